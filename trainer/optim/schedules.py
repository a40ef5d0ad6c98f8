"""Learning-rate schedules: one row each, from diffusers and torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from ..errors import NotBuiltError, UserError
from ..schema import parse_literals
from ..settings import Settings

_LABEL = "train lr scheduler settings"
Maker = Callable[[Optimizer, Settings, dict[str, Any]], LRScheduler]


def _from_diffusers(name: str) -> Maker:
    def make(optimizer: Optimizer, settings: Settings, given: dict[str, Any]) -> LRScheduler:
        from diffusers import optimization

        function = {
            "constant": optimization.get_constant_schedule,
            "linear": optimization.get_linear_schedule_with_warmup,
            "cosine": optimization.get_cosine_schedule_with_warmup,
        }[name]
        offered = {
            "num_warmup_steps": settings.train_lr_warmup_steps,
            "num_training_steps": settings.train_iterations,
        }
        takes = inspect.signature(function).parameters
        schedule = function(optimizer, **{key: value for key, value in {**offered, **given}.items() if key in takes})
        assert isinstance(schedule, LRScheduler)
        return schedule

    return make


def _cosine_annealing(optimizer: Optimizer, settings: Settings, given: dict[str, Any]) -> LRScheduler:
    return CosineAnnealingLR(optimizer, **{"T_max": settings.train_iterations, **given})


# What each takes in the settings' text, beside how it is made.
SCHEDULERS: Mapping[str, tuple[Maker, tuple[str, ...]]] = MappingProxyType(
    {
        "cosine_annealing": (_cosine_annealing, ("T_max", "eta_min")),
        "linear": (_from_diffusers("linear"), ("num_warmup_steps",)),
        "cosine": (_from_diffusers("cosine"), ("num_warmup_steps", "num_cycles")),
        "constant": (_from_diffusers("constant"), ()),
    }
)


def arguments(settings: Settings) -> dict[str, Any]:
    """The schedule's own settings.

    Raises:
        NotBuiltError: a name of the table that has no row yet.
        UserError: the settings' text names something the schedule does not take.
    """
    name = settings.train_lr_scheduler
    if name not in SCHEDULERS:
        raise NotBuiltError(
            f"{name} is not built yet", where="train lr scheduler", do=f"Choose one of: {', '.join(SCHEDULERS)}"
        )
    given = parse_literals(settings.train_lr_scheduler_settings)
    takes = SCHEDULERS[name][1]
    unknown = [key for key in given if key not in takes]
    if unknown:
        hint = f"It takes: {', '.join(takes)}" if takes else "Leave them empty"
        raise UserError(f"{name} does not take {', '.join(unknown)}", where=_LABEL, do=hint)
    return given


def make_schedule(optimizer: Optimizer, settings: Settings) -> LRScheduler:
    """The chosen schedule over ``train_iterations`` steps.

    Raises:
        UserError: a setting has a value the schedule refuses.
    """
    given = arguments(settings)
    try:
        return SCHEDULERS[settings.train_lr_scheduler][0](optimizer, settings, given)
    except (TypeError, ValueError) as error:
        raise UserError(f"{settings.train_lr_scheduler} refuses them ({error})", where=_LABEL) from error
