"""Optimizers: one row each, imported only when chosen."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch

from ..errors import NotBuiltError, UserError
from ..schema import parse_literals
from ..settings import Settings

_LABEL = "train optimizer settings"


@dataclass(frozen=True)
class OptimizerRow:
    """Where an optimizer comes from, and what it is given beside the user's settings."""

    module: str
    name: str
    package: str
    """What to install where the module is missing."""
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


OPTIMIZERS: Mapping[str, OptimizerRow] = MappingProxyType(
    {
        "AdamW": OptimizerRow("torch.optim", "AdamW", "torch"),
        # Without these three, transformers' AdaFactor insists on a learning rate of its own making.
        "AdaFactor": OptimizerRow(
            "transformers.optimization",
            "Adafactor",
            "transformers",
            MappingProxyType({"relative_step": False, "scale_parameter": False, "warmup_init": False}),
        ),
        "Lion": OptimizerRow("pytorch_optimizer", "Lion", "pytorch-optimizer"),
        "Prodigy": OptimizerRow("pytorch_optimizer", "Prodigy", "pytorch-optimizer"),
        "CAME": OptimizerRow("pytorch_optimizer", "CAME", "pytorch-optimizer"),
    }
)


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """The class behind ``name``.

    Raises:
        NotBuiltError: a name of the table that has no row yet.
        UserError: its package is not installed.
    """
    row = _row(name)
    try:
        found = getattr(importlib.import_module(row.module), row.name)
    except ImportError as error:
        raise UserError(
            f"{name} needs the package {row.package}, which cannot be imported ({error})",
            where="train optimizer",
            do=f"Install it with: pip install {row.package}",
        ) from error
    assert isinstance(found, type)
    return found


def arguments(settings: Settings) -> dict[str, Any]:
    """What the chosen optimizer is called with beside its parameters and their learning rates.

    Raises:
        UserError: the settings' text names something the optimizer does not take.
    """
    row = _row(settings.train_optimizer)
    given = parse_literals(settings.train_optimizer_settings)
    accepted = inspect.signature(optimizer_class(settings.train_optimizer).__init__).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    names = [name for name in accepted if name not in ("self", "params", "lr", "kwargs")]
    unknown = [name for name in given if name not in names and (name == "lr" or not takes_any)]
    if unknown:
        hint = "The learning rate has a field of its own" if unknown == ["lr"] else f"It takes: {', '.join(names)}"
        raise UserError(f"{settings.train_optimizer} does not take {', '.join(unknown)}", where=_LABEL, do=hint)
    return {**row.defaults, **given}


def make_optimizer(settings: Settings, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The chosen optimizer over parameter ``groups`` (``params`` and ``lr`` each).

    Raises:
        UserError: a setting has a value the optimizer refuses.
    """
    chosen: Any = optimizer_class(settings.train_optimizer)
    kwargs = arguments(settings)
    if kwargs.get("relative_step"):  # this AdaFactor finds its learning rate itself and takes none
        groups = [{"params": group["params"], "lr": None} for group in groups]
    elif settings.train_optimizer == "AdamW" and all(p.is_cuda for group in groups for p in group["params"]):
        kwargs.setdefault("fused", True)
    try:
        made: torch.optim.Optimizer = chosen(groups, lr=groups[0]["lr"], **kwargs)
    except (TypeError, ValueError) as error:
        raise UserError(f"{settings.train_optimizer} refuses them ({error})", where=_LABEL) from error
    return made


def effective_rates(optimizer: torch.optim.Optimizer) -> list[float]:
    """The learning rate of each group as it acts: Prodigy multiplies it by the step size it has found (``d``)."""
    return [float(group["lr"] or 0.0) * float(group.get("d", 1.0)) for group in optimizer.param_groups]


def _row(name: str) -> OptimizerRow:
    if name not in OPTIMIZERS:
        raise NotBuiltError(
            f"{name} is not built yet", where="train optimizer", do=f"Choose one of: {', '.join(OPTIMIZERS)}"
        )
    return OPTIMIZERS[name]
