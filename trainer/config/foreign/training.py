"""Optimizers, their options and learning-rate schedules as other programs name them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ...text.messages import message
from ..choices import OPTIMIZERS, SCHEDULERS
from .synonyms import Turned, as_number, is_on

_OTHER_NAMES: Final = MappingProxyType(
    {
        "dadaptationadam": "DAdaptAdam",
        "dadaptationlion": "DAdaptLion",
        "schedulefreeadamw": "AdamWScheduleFree",
        "schedulefreesgd": "SGDScheduleFree",
        "schedulefreeradam": "RAdamScheduleFree",
        "adamw8": "AdamW8bit",
        "adam8": "Adam8bit",
        "pagedadamw8": "PagedAdamW8bit",
    }
)
_KINDRED: Final = MappingProxyType(
    {
        "dadaptation": "DAdaptAdam",
        "dadaptadampreprint": "DAdaptAdam",
        "dadaptadanip": "DAdaptAdan",
        "prodigy8bit": "Prodigy",
        "prodigyadv": "Prodigy",
        "prodigyplusschedulefree": "Prodigy",
        "ademamix": "AdamW",
        "ademamix8bit": "AdamW8bit",
        "pagedademamix8bit": "PagedAdamW8bit",
        "adamwadv": "AdamW",
        "lionadv": "Lion",
        "came8bit": "CAME",
    }
)
"""Optimizers that have a relative here, and what may be set of it."""
_COMMON: Final = ("weight_decay", "betas", "eps", "weight_decouple", "bias_correction", "d0", "d_coef")
"""Options that mean the same in relatives."""
_FACTOR: Final = 0.1
"""A learning rate from here on is a factor, for optimizers that find their step size themselves."""
_OPTIONS: Final = MappingProxyType(
    {"decouple": "weight_decouple", "use_bias_correction": "bias_correction", "safeguard_warmup": "safeguard_warmup"}
)
"""Options that the packages prodigyopt and dadaptation have, under the name they have here."""
_WITHOUT_EFFECT: Final = frozenset(
    ("fsdp_in_use", "slice_p", "log_every", "foreach", "fused", "no_prox", "use_triton", "capturable", "differentiable")
)
_RENAMED_FOR: Final = frozenset(("Prodigy", "DAdaptAdam", "DAdaptLion", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptSGD"))
_CLASSES: Final = MappingProxyType(
    {
        "cosineannealinglr": "cosine_annealing",
        "cosineannealingwarmrestarts": "cosine_annealing_with_restarts",
        "exponentiallr": "exponential",
        "steplr": "step",
        "multisteplr": "multi_step",
        "reducelronplateau": "reduce_on_plateau",
        "cycliclr": "cyclic",
        "onecyclelr": "one_cycle",
        "constantlr": "constant",
    }
)
"""torch's schedules by their classes."""


def optimizer(name: str, options: Mapping[str, Any], rate: Any, also: Mapping[str, Any] | None = None) -> Turned:
    """An optimizer with its options.

    Args:
        name: as the program writes it, also with the module it is in.
        options: as given, values as text or as what they are.
        rate: the learning rate it is given, which says of what kind one is that is not known here.
        also: options the program adds where they are not given.
    """
    plain = name.rsplit(".", 1)[-1].replace("_", "").replace("-", "").lower()
    chosen = _OTHER_NAMES.get(plain) or next((each for each in OPTIMIZERS if each.lower() == plain), "")
    written = {**(also or {}), **options}
    note = None
    if not chosen and plain in _KINDRED:
        chosen = _KINDRED[plain]
        note = message("foreign.kindred_optimizer", name=name, near=chosen)
    elif not chosen:
        chosen = "Prodigy" if (as_number(rate) or 0.0) >= _FACTOR else "AdamW"
        note = message("foreign.no_optimizer", name=name, near=chosen)
    if chosen == "AdaFactor":
        written = {**_ADAFACTOR, **written}
        if is_on(written["warmup_init"]):
            written["relative_step"] = True
    if chosen in _RENAMED_FOR:
        written = {_OPTIONS.get(key, key): value for key, value in written.items()}
    taken = _COMMON if note is not None else tuple(key for key in written if key not in _WITHOUT_EFFECT)
    settings = "; ".join(f"{key}={_literal(value)}" for key, value in written.items() if key in taken)
    return Turned({"train_optimizer": chosen, "train_optimizer_settings": settings}, note)


_ADAFACTOR: Final = MappingProxyType({"relative_step": True, "scale_parameter": True, "warmup_init": False})
"""transformers' own defaults, which Trainyard does not take."""


def _literal(value: Any) -> str:
    """A value as ``key=value`` settings have it."""
    if isinstance(value, str):
        return {"true": "True", "false": "False", "none": "None"}.get(value.lower(), value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_literal, value))},)"
    return repr(value)


def schedule(name: str, options: Mapping[str, Any], of: str = "") -> Turned:
    """A learning-rate schedule by its name or its class, with its options.

    Args:
        of: the optimizer. Those that are free of schedules are given none, whichever is chosen.
    """
    if "schedulefree" in of.replace("_", "").lower():
        name, options = "constant", {}
    plain = name.rsplit(".", 1)[-1].lower()
    chosen = _CLASSES.get(plain) or (plain if plain in SCHEDULERS else "")
    note = None
    if not chosen:
        chosen = _NEAR_SCHEDULES.get(plain, "constant")
        note = message("foreign.no_schedule", name=name, near=chosen)
    takes = SCHEDULERS[chosen].takes
    kept = {key: value for key, value in options.items() if key in takes}
    left = [key for key in options if key not in takes]
    if left and note is None:
        note = message("foreign.schedule_without", name=chosen, options=left)
    settings = "; ".join(f"{key}={_literal(value)}" for key, value in kept.items())
    return Turned({"train_lr_scheduler": chosen, "train_lr_scheduler_settings": settings}, note)


_NEAR_SCHEDULES: Final = MappingProxyType(
    {
        "inverse_sqrt": "constant_with_warmup",
        "warmup_stable_decay": "constant_with_warmup",
        "cosine_with_min_lr": "cosine",
        "cosine_warmup_with_min_lr": "cosine",
        "cosine_with_hard_restarts": "cosine_with_restarts",
        "cosineannealingwarmuprestarts": "cosine_with_restarts",
        "rexannealingwarmrestarts": "polynomial",
        "rex": "polynomial",
        "adafactor": "constant",
    }
)


def warmup(value: Any) -> dict[str, Any]:
    """A warm-up in steps, or as a share of the run where it is below 1."""
    number = as_number(str(value).rstrip("%"))
    if number is None:
        return {"train_lr_warmup_steps": value}
    share = number / 100 if str(value).endswith("%") else number
    if share < 1:
        return {"train_lr_warmup_steps": 0, "train_lr_warmup_ratio": share}
    return {"train_lr_warmup_steps": int(share), "train_lr_warmup_ratio": 0.0}
