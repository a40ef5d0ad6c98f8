"""Learning-rate schedules: made from their descriptors, and our own schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch.optim import Optimizer, lr_scheduler

from ..config.choices import SCHEDULERS, Course, load
from ..config.key_values import parse_literals
from ..config.settings import Settings
from ..errors import UserError
from ..text.messages import label
from .values import attributes_of

READ_EVERY = 25
"""Steps whose losses are read together at most; a plateau hears their mean."""
_SETTINGS = label("train_lr_scheduler_settings")


class Schedule(Protocol):
    """Sets the optimizer's learning rates for the next step."""

    def step(self) -> None: ...


def kept(schedule: Schedule) -> dict[str, Any]:
    """What a schedule needs to continue; the optimizer and functions are made anew with it."""
    return attributes_of(_inner(schedule))


def continue_from(schedule: Schedule, given: Mapping[str, Any]) -> None:
    """Put a new schedule where another one was, which gave what it needed by :func:`kept`."""
    vars(_inner(schedule)).update(given)


def _inner(schedule: Schedule) -> object:
    return schedule.inner if isinstance(schedule, Plateau) else schedule


class Plateau:
    """Lowers the rates when the loss no longer falls.

    It receives the mean loss of several steps: single losses depend more on their timestep than on what has been
    learned. ``patience`` counts these means.
    """

    def __init__(self, optimizer: Optimizer, **options: Any) -> None:
        self.inner = lr_scheduler.ReduceLROnPlateau(optimizer, **options)

    def step(self) -> None:
        """Nothing: only a loss changes the rates."""

    def hear(self, loss: float) -> None:
        self.inner.step(loss)


def arguments(settings: Settings) -> dict[str, Any]:
    """The schedule's own settings.

    Raises:
        UserError: the settings' text names something the schedule does not take.
    """
    given = parse_literals(settings.train_lr_scheduler_settings)
    takes = SCHEDULERS[settings.train_lr_scheduler].takes
    unknown = [key for key in given if key not in takes]
    if unknown:
        name = settings.train_lr_scheduler
        if takes:
            raise UserError("optim.unknown_settings", where=_SETTINGS, name=name, unknown=unknown, known=takes)
        raise UserError("optim.takes_no_settings", where=_SETTINGS, name=name)
    return given


def make_schedule(optimizer: Optimizer, settings: Settings) -> Schedule:
    """The chosen schedule over ``train_iterations`` steps; AdaFactor's own where that finds its learning rate itself.

    Raises:
        UserError: a setting has a value the schedule refuses.
    """
    given = arguments(settings)
    if any(group["lr"] is None for group in optimizer.param_groups):
        from transformers.optimization import AdafactorSchedule

        of_its_own: Schedule = AdafactorSchedule(optimizer, settings.train_learning_rate)
        return of_its_own
    info = SCHEDULERS[settings.train_lr_scheduler]
    try:
        schedule: Schedule = load(info.path)(optimizer, **{**info.defaults(_course(optimizer, settings)), **given})
    except (TypeError, ValueError) as error:
        raise UserError("optim.refused", where=_SETTINGS, name=info.name, reason=error) from error
    return schedule


def _course(optimizer: Optimizer, settings: Settings) -> Course:
    return Course(
        steps=settings.train_iterations,
        warmup=settings.warmup,
        cycles=settings.train_lr_scheduler_num_cycles,
        power=settings.train_lr_scheduler_power,
        rules=settings.train_lr_step_rules,
        rates=[float(group["lr"]) for group in optimizer.param_groups],
    )
