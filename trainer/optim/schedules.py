"""Learning-rate schedules: one row each, from diffusers and torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from torch.optim import Optimizer, lr_scheduler

from ..config.schema import parse_literals
from ..config.settings import Settings
from ..errors import UserError

_LABEL = "train lr scheduler settings"


class Schedule(Protocol):
    """Sets the optimizer's learning rates for the next step."""

    def step(self) -> None: ...


class Plateau:
    """Lowers the rates when the loss no longer falls.

    It is told the mean loss of some steps together: single losses depend more on their timestep than on what has been
    learned. ``patience`` counts these tellings.
    """

    def __init__(self, optimizer: Optimizer, **options: Any) -> None:
        self._inner = lr_scheduler.ReduceLROnPlateau(optimizer, **options)

    def step(self) -> None:
        """Nothing: only a loss changes the rates."""

    def hear(self, loss: float) -> None:
        self._inner.step(loss)


Maker = Callable[[Optimizer, Settings, dict[str, Any]], Schedule]


@dataclass(frozen=True)
class ScheduleRow:
    """How a schedule is made, and what it takes in the settings' text."""

    make: Maker
    takes: tuple[str, ...] = ()


def _from_diffusers(function: str, *takes: str) -> ScheduleRow:
    def make(optimizer: Optimizer, settings: Settings, given: dict[str, Any]) -> Schedule:
        from diffusers import optimization

        maker = getattr(optimization, function)
        offered = {
            "num_warmup_steps": settings.train_lr_warmup_steps,
            "num_training_steps": settings.train_iterations,
            "num_cycles": settings.train_lr_scheduler_num_cycles,
            "power": settings.train_lr_scheduler_power,
            "step_rules": settings.train_lr_step_rules,
        }
        accepted = set(inspect.signature(maker).parameters)
        if "num_cycles" in accepted and "restarts" not in function:
            accepted.discard("num_cycles")  # there it counts waves, and half a one is the default
        chosen = {key: value for key, value in offered.items() if key in accepted}
        schedule: Schedule = maker(optimizer, **{**chosen, **given})
        return schedule

    return ScheduleRow(make, takes)


def _from_torch(name: str, defaults: Callable[[Settings, list[float]], dict[str, Any]], *takes: str) -> ScheduleRow:
    """``defaults`` are made from the settings and the learning rate of each group."""

    def make(optimizer: Optimizer, settings: Settings, given: dict[str, Any]) -> Schedule:
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        schedule: Schedule = getattr(lr_scheduler, name)(optimizer, **{**defaults(settings, rates), **given})
        return schedule

    return ScheduleRow(make, takes)


def _plateau(optimizer: Optimizer, settings: Settings, given: dict[str, Any]) -> Schedule:
    del settings
    return Plateau(optimizer, **{"factor": 0.5, "patience": 4, **given})


def _period(settings: Settings) -> int:
    return max(1, settings.train_iterations // settings.train_lr_scheduler_num_cycles)


# Defaults of the step-wise ones are shares of the run, so that they act in one of 30 steps as in one of 3000.
SCHEDULERS: Mapping[str, ScheduleRow] = MappingProxyType(
    {
        "cosine_annealing": _from_torch(
            "CosineAnnealingLR", lambda s, _rates: {"T_max": s.train_iterations}, "T_max", "eta_min"
        ),
        "cosine_annealing_with_restarts": _from_torch(
            "CosineAnnealingWarmRestarts", lambda s, _rates: {"T_0": _period(s)}, "T_0", "T_mult", "eta_min"
        ),
        "linear": _from_diffusers("get_linear_schedule_with_warmup", "num_warmup_steps"),
        "cosine": _from_diffusers("get_cosine_schedule_with_warmup", "num_warmup_steps", "num_cycles"),
        "cosine_with_restarts": _from_diffusers(
            "get_cosine_with_hard_restarts_schedule_with_warmup", "num_warmup_steps", "num_cycles"
        ),
        "polynomial": _from_diffusers(
            "get_polynomial_decay_schedule_with_warmup", "num_warmup_steps", "lr_end", "power"
        ),
        "constant": _from_diffusers("get_constant_schedule"),
        "constant_with_warmup": _from_diffusers("get_constant_schedule_with_warmup", "num_warmup_steps"),
        "piecewise_constant": _from_diffusers("get_piecewise_constant_schedule", "step_rules"),
        "exponential": _from_torch(
            "ExponentialLR", lambda s, _rates: {"gamma": 0.01 ** (1 / s.train_iterations)}, "gamma"
        ),
        "step": _from_torch(
            "StepLR", lambda s, _rates: {"step_size": max(1, s.train_iterations // 3)}, "step_size", "gamma"
        ),
        "multi_step": _from_torch(
            "MultiStepLR",
            lambda s, _rates: {"milestones": [s.train_iterations // 2, s.train_iterations * 3 // 4]},
            "milestones",
            "gamma",
        ),
        "reduce_on_plateau": ScheduleRow(
            _plateau, ("factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps", "mode")
        ),
        "cyclic": _from_torch(
            "CyclicLR",
            lambda s, rates: {
                "base_lr": [rate / 10 for rate in rates],
                "max_lr": rates,
                "step_size_up": max(1, _period(s) // 2),
                "cycle_momentum": False,
            },
            *("base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma", "scale_mode"),
        ),
        "one_cycle": _from_torch(
            "OneCycleLR",
            lambda s, rates: {"max_lr": rates, "total_steps": s.train_iterations, "cycle_momentum": False},
            *("max_lr", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase"),
        ),
    }
)


def arguments(settings: Settings) -> dict[str, Any]:
    """The schedule's own settings.

    Raises:
        UserError: the settings' text names something the schedule does not take.
    """
    given = parse_literals(settings.train_lr_scheduler_settings)
    takes = SCHEDULERS[settings.train_lr_scheduler].takes
    unknown = [key for key in given if key not in takes]
    if unknown:
        hint = f"It takes: {', '.join(takes)}" if takes else "Leave them empty"
        what = f"{settings.train_lr_scheduler} does not take {', '.join(unknown)}"
        raise UserError(what, where=_LABEL, do=hint)
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
    try:
        return SCHEDULERS[settings.train_lr_scheduler].make(optimizer, settings, given)
    except (TypeError, ValueError) as error:
        raise UserError(f"{settings.train_lr_scheduler} refuses them ({error})", where=_LABEL) from error
