"""Optimizer and schedule tried on two numbers, before a model is loaded: what would go wrong at some step is known.

The schedule takes the steps of the run, up to 100,000 of them. The optimizer takes the first ones, and then one as if
it had taken them all: what it computes from the number of steps only rises or falls with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..config.choices import OPTIMIZERS
from ..config.key_values import parse_literals
from ..config.settings import Settings
from ..errors import UserError
from ..text.messages import Message, label, message
from .optimizers import construct, make_optimizer
from .schedules import READ_EVERY, Plateau, make_schedule

MOST_STEPS: Final = 100_000
"""A schedule takes no more than so many, which is seconds."""
FIRST_STEPS: Final = 1000
"""The optimizer takes them one by one."""
STILL_STEPS: Final = 50
"""As many are looked at to find out when an optimizer begins to move."""
HIGHEST_RATE: Final = 1000.0
"""A schedule that raises a learning rate above this is on its way to infinity; how high one begins is not judged."""
_OF_A_DEVICE: Final = ("fused", "capturable")
"""What an optimizer may be told that holds for cards alone."""
_COUNTERS: Final = frozenset({"step", "k"})
"""What optimizers call the number of steps they have taken."""


def try_out(settings: Settings, device: torch.device, groups: Sequence[int] = (1,)) -> None:
    """Take a run's steps with its optimizer and its schedule.

    Args:
        device: where the run will be; the trial itself is on the CPU.
        groups: how many groups of parameters there may be; it is enough if one of these works.

    Raises:
        UserError: something fails at a step, or a learning rate is negative or grows without end.
    """
    failed: UserError | None = None
    for count in groups:
        try:
            _Trial(settings, device, count).run()
        except UserError as error:
            failed = failed or error
        else:
            return
    if failed is not None:
        raise failed


def notes(settings: Settings, device: torch.device) -> list[Message]:
    """What the user should know of an optimizer and a schedule that work: how long nothing moves."""
    if _is_for_card(settings, device):
        return []
    steps = min(settings.train_iterations, STILL_STEPS)
    still = _Trial(settings, device, 1).still_steps(steps)
    if still == settings.train_iterations:
        return [message("optim.never_moves", optimizer=settings.train_optimizer, steps=still)]
    if still > 1:  # the first step of a warm-up has a learning rate of 0
        return [message("optim.moves_late", optimizer=settings.train_optimizer, steps=still)]
    return []


class _Trial:
    """One trial, with ``count`` groups of two parameters each: the first has a gradient, the other's is zero."""

    def __init__(self, settings: Settings, device: torch.device, count: int) -> None:
        self._settings = _without_card(settings) if device.type != "cpu" else settings
        self._steps_here = not _is_for_card(settings, device)
        text = settings.train_textencoder_learning_rate
        rates = (settings.train_learning_rate, settings.train_learning_rate if text is None else text)[:count]
        self._highest = max(HIGHEST_RATE, 10 * max(rates))
        self._pairs = [tuple(nn.Parameter(torch.tensor([value])) for value in (0.0, 0.0)) for _ in rates]
        groups = [{"params": list(pair), "lr": rate} for pair, rate in zip(self._pairs, rates, strict=True)]
        with self._explained("train_optimizer", 0):
            make = make_optimizer if self._steps_here else construct
            self._optimizer = make(self._settings, groups)
        with self._explained("train_lr_scheduler", 0):
            self._schedule = make_schedule(self._optimizer, self._settings)

    def run(self) -> None:
        steps = self._settings.train_iterations
        if not self._steps_here:
            self._optimizer.step()  # without gradients, so that the schedule does not miss it
        for step in range(1, min(steps, MOST_STEPS) + 1):
            self._look_at_rates(step)
            if step <= FIRST_STEPS:
                self._take_step(step)
            self._move_schedule(step)
        if steps > FIRST_STEPS:
            self._count_as(steps - 1)
            self._take_step(steps)

    def still_steps(self, most: int) -> int:
        """How many steps the optimizer takes, of at most so many, before it moves a parameter that has a gradient."""
        for step in range(1, most + 1):
            before = self._pairs[0][0].item()
            self._take_step(step)
            if self._pairs[0][0].item() != before:
                return step - 1
            self._move_schedule(step)
        return most

    def _take_step(self, step: int) -> None:
        if not self._steps_here:
            return
        with self._explained("train_optimizer", step):
            for moved, still in self._pairs:
                moved.grad, still.grad = torch.full_like(moved, 0.01 * (-1) ** step), torch.zeros_like(still)
            self._optimizer.step()
        is_told_how = bool(self._settings.train_optimizer_settings.strip())  # or it is the rate, which the run watches
        if is_told_how and not all(math.isfinite(each.item()) for pair in self._pairs for each in pair):
            raise UserError("optim.overflows", where=self._where("train_optimizer"), **self._values("optimizer", step))

    def _move_schedule(self, step: int) -> None:
        with self._explained("train_lr_scheduler", step):
            self._schedule.step()
            if isinstance(self._schedule, Plateau) and step % READ_EVERY == 0:
                self._schedule.hear(1.0)  # never less, so that it lowers the rates as far as it can

    def _look_at_rates(self, step: int) -> None:
        with self._explained("train_lr_scheduler", step):
            rates = [float(group["lr"]) for group in self._optimizer.param_groups if group["lr"] is not None]
            wrong = [rate for rate in rates if not 0 <= rate <= self._highest]
        if wrong:
            key = "optim.rate_negative" if wrong[0] < 0 else "optim.rate_too_high"
            where = self._where("train_lr_scheduler")
            raise UserError(key, where=where, rate=f"{wrong[0]:g}", **self._values("lr_scheduler", step))

    def _count_as(self, steps: int) -> None:
        """Have the optimizer take its next step as the one after so many."""
        for holder in (*self._optimizer.param_groups, *self._optimizer.state.values()):
            for name in _COUNTERS & set(holder):
                count = holder[name]
                holder[name] = torch.full_like(count, steps) if isinstance(count, Tensor) else steps

    @contextmanager
    def _explained(self, setting: str, step: int) -> Iterator[None]:
        """Whatever fails in libraries with what the user has given them, as what is wrong with the setting."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            values = self._values(setting.removeprefix("train_"), step)
            reason = f"{type(error).__name__}: {error}"
            key = "optim.fails_at_step" if step else "optim.refused"
            raise UserError(key, where=self._where(setting), reason=reason, **values) from error

    def _where(self, setting: str) -> Message:
        """The setting whose value it is: the text beside the choice, if there is any."""
        beside = f"{setting}_settings"
        return label(beside if getattr(self._settings, beside).strip() else setting)

    def _values(self, kind: str, step: int) -> dict[str, Any]:
        return {
            "name": getattr(self._settings, f"train_{kind}"), "step": step, "steps": self._settings.train_iterations,
        }  # fmt: skip


def _is_for_card(settings: Settings, device: torch.device) -> bool:
    """Whether the optimizer may be one that steps on the run's device alone."""
    return OPTIMIZERS[settings.train_optimizer].compiled and device.type != "cpu"


def _without_card(settings: Settings) -> Settings:
    """The same without what only an optimizer on a card can be told."""
    given = parse_literals(settings.train_optimizer_settings)
    kept = "; ".join(f"{name}={value!r}" for name, value in given.items() if name not in _OF_A_DEVICE)
    return replace(settings, train_optimizer_settings=kept)
