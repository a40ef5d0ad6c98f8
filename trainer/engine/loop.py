"""THE LOOP: one for all modes. It knows no mode, no host and no user interface.

The device never waits for the CPU within a step: losses stay on the device and are read back together, at most
twice ``READ_EVERY`` steps late (on the CPU at once), and the garbage collector is held off while the loop runs.
"""

from __future__ import annotations

import gc
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..config.settings import Settings
from ..diffusion.random import StepRandom
from ..errors import DivergedError
from ..job import Control, Listener, Step
from ..models.checkpoint.parts import DENOISER, TEXT_ENCODER
from ..modes.base import Pass, StepLoss
from ..networks.base import Network
from ..optim.optimizers import averaged_weights, effective_rates, finalise, make_optimizer
from ..optim.scaling import LossScaler
from ..optim.schedules import Plateau, make_schedule
from ..text.messages import message

READ_EVERY = 25
_READ_SECONDS = 0.5


@dataclass(frozen=True)
class LoopHooks:
    """What the loop calls between steps.

    Attributes:
        save: writes the network as it is after a step's number.
        preview: makes images after a step's number.
        pause: waits after a step's number; receives the tensors the loop keeps on the device, which come back as
            they were.
        step_done: called after each step with its number, once its work is complete.
    """

    save: Callable[[int], None]
    preview: Callable[[int], None]
    pause: Callable[[int, Sequence[Tensor]], None]
    step_done: Callable[[int], None]


def train(
    training: Pass,
    network: Network,
    settings: Settings,
    *,
    device: torch.device,
    scale_loss: bool,
    control: Control,
    emit: Listener,
    hooks: LoopHooks,
) -> int:
    """Take ``train_iterations`` steps, or fewer if the user stops.

    Returns:
        The number of steps taken.

    Raises:
        DivergedError: a loss was not finite; nothing has been saved since.
    """
    optimizer = make_optimizer(settings, _parameter_groups(network, settings))
    schedule = make_schedule(optimizer, settings)
    scaler = LossScaler(list(network.parameters())) if scale_loss else None
    means = _Means(emit)
    reader = LossReader(settings.train_iterations, device, means)
    step = 0

    def goes_on() -> bool:
        return step < settings.train_iterations and not control.asked_to_stop

    while goes_on():
        with _collector_held():
            while goes_on() and not control.asked_to_pause:
                step += 1
                losses = training.loss(StepRandom.of_step(settings.train_seed, step, device))
                rates = effective_rates(optimizer)
                _update(losses.samples.mean(), optimizer, scaler)
                schedule.step()
                reader.note(step, losses, rates)
                if (
                    isinstance(schedule, Plateau) and step % READ_EVERY == 0
                ):  # all, so that it sees the same losses on every machine
                    reader.read_all()
                    schedule.hear(means.take())
                if _is_due(step, settings.save_per_steps, settings):
                    reader.read_all()
                    with averaged_weights(optimizer):
                        hooks.save(step)
                if _is_due(step, settings.sample_every_steps, settings):
                    with averaged_weights(optimizer):
                        hooks.preview(step)
                hooks.step_done(step)
            reader.read_all()
        if goes_on() and control.asked_to_pause:
            hooks.pause(step, _kept(network, optimizer))
    finalise(optimizer)
    return step


def _update(loss: Tensor, optimizer: torch.optim.Optimizer, scaler: LossScaler | None) -> None:
    optimizer.zero_grad(set_to_none=True)
    if scaler is None:
        loss.backward()
    else:
        scaler.scaled(loss).backward()
        scaler.unscale()
    optimizer.step()


def _kept(network: Network, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The tensors that go from one step to the next: parameters and what the optimizer remembers of them."""
    network.zero_grad(set_to_none=True)  # gradients do not: the next step drops them anyway
    states = [state for state in optimizer.state.values() if isinstance(state, dict)]
    remembered = [value for state in states for value in state.values() if isinstance(value, Tensor)]
    return [*network.parameters(), *network.buffers(), *remembered]


def _is_due(step: int, every: int, settings: Settings) -> bool:
    return every > 0 and step % every == 0 and step < settings.train_iterations


def _parameter_groups(network: Network, settings: Settings) -> list[dict[str, Any]]:
    rates = {DENOISER: settings.train_learning_rate, TEXT_ENCODER: settings.train_textencoder_learning_rate}
    groups = []
    for part, rate in rates.items():
        parameters = network.parameters_of(part)
        if parameters:
            groups.append({"params": parameters, "lr": settings.train_learning_rate if rate is None else rate})
    return groups


@dataclass(frozen=True)
class _Noted:
    """One step whose loss has not been read yet."""

    step: int
    losses: StepLoss
    rates: tuple[float, ...]


class _Means:
    """Passes steps on and keeps their losses until their mean is taken."""

    def __init__(self, emit: Listener) -> None:
        self._emit = emit
        self._losses: deque[float] = deque(maxlen=READ_EVERY)

    def __call__(self, step: Step) -> None:
        self._losses.append(step.loss)
        self._emit(step)

    def take(self) -> float:
        mean = sum(self._losses) / len(self._losses)
        self._losses.clear()
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

    def note(self, step: int, losses: StepLoss, rates: list[float]) -> None:
        self._noted.append(_Noted(step, replace(losses, samples=losses.samples.detach()), tuple(rates)))
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
            self._emit(Step(entry.step, self._total, sum(losses) / count, entry.rates))

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


@contextmanager
def _collector_held() -> Iterator[None]:
    # A collection walks every object diffusers and transformers have made: it can cost more than the step.
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
