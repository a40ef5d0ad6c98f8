"""The losses of steps on their way from the device to the listeners."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import DivergedError
from ..job import Listener, Step
from ..modes.base import StepLoss
from ..optim.schedules import READ_EVERY
from ..text.messages import message

_READ_SECONDS = 0.5


@dataclass(frozen=True)
class _Noted:
    """One step whose loss has not been read yet."""

    step: int
    losses: StepLoss
    rates: tuple[float, ...]
    validation: float | None


class Means:
    """Passes steps on and keeps their losses until their mean is taken."""

    def __init__(self, emit: Listener) -> None:
        self._emit = emit
        self.losses: deque[float] = deque(maxlen=READ_EVERY)

    def __call__(self, step: Step) -> None:
        self.losses.append(step.loss)
        self._emit(step)

    def take(self) -> float:
        mean = sum(self.losses) / len(self.losses)
        self.losses.clear()
        return mean


class LossReader:
    """Carries losses from the device to the listeners, in order and late, and notices those that are NaN or infinite.

    On CUDA a batch of losses is copied while the device works on, and looked at when the next batch is sent: the CPU
    never waits for the step in flight.
    """

    def __init__(self, total: int, device: torch.device, emit: Callable[[Step], None]) -> None:
        self._total = total
        self._emit = emit
        self._device = device
        self._noted: list[_Noted] = []
        self._sent: tuple[list[_Noted], Tensor, torch.cuda.Event | None] = ([], torch.empty(0), None)
        self._last_sent = time.monotonic()

    def note(self, step: int, losses: StepLoss, rates: list[float], validation: float | None = None) -> None:
        noted = _Noted(step, replace(losses, samples=losses.samples.detach()), tuple(rates), validation)
        self._noted.append(noted)
        long_ago = time.monotonic() - self._last_sent > _READ_SECONDS
        if self._device.type == "cpu":
            self.read_all()
        elif len(self._noted) >= READ_EVERY or long_ago:
            self._receive()
            self._send()

    def read_all(self) -> None:
        """Report every step noted so far.

        Raises:
            DivergedError: one of its losses is not finite.
        """
        self._receive()
        self._send()
        self._receive()

    def _send(self) -> None:
        noted, self._noted = self._noted, []
        self._last_sent = time.monotonic()
        if not noted:
            return
        together = torch.cat([entry.losses.samples.float() for entry in noted])
        if self._device.type != "cuda":
            self._sent = (noted, together.cpu(), None)
            return
        arriving = torch.empty(together.shape, pin_memory=True)
        arriving.copy_(together, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        self._sent = (noted, arriving, arrived)

    def _receive(self) -> None:
        noted, together, arrived = self._sent
        self._sent = ([], torch.empty(0), None)
        if arrived is not None:
            arrived.synchronize()
        at = 0
        for entry in noted:
            count = len(entry.losses.samples)
            losses = together[at : at + count].tolist()
            at += count
            for index, loss in enumerate(losses):
                if not math.isfinite(loss):
                    raise self._diverged(entry, index)
            self._emit(Step(entry.step, self._total, sum(losses) / count, entry.rates, entry.validation))

    def _diverged(self, entry: _Noted, sample: int) -> DivergedError:
        losses = entry.losses
        named = {"name": losses.names[sample]} if losses.names else {}
        return DivergedError(
            "engine.named_loss_diverged" if named else "engine.loss_diverged",
            where=message("engine.step_of", step=entry.step, steps=self._total),
            sample=sample + 1,
            count=len(losses.samples),
            timestep=int(losses.timesteps[sample]),
            **named,
        )
