"""What there is to choose from: modes, network types, optimizers and learning-rate schedules, one descriptor each.

Settings, checks, page, presets and metadata are made from these, so nothing else lists them. They are light: the class
or function behind one is given by its path and imported by :func:`load`, when it is chosen.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

from .imports import without_advice

_PACKAGE = __name__.rsplit(".", 2)[0]


def load(path: str) -> Any:
    """What a path names: ``torch.optim:AdamW``, or ``.networks.lora:LoRA`` in this package, whatever its name is.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such name.
    """
    module, name = path.split(":")
    with without_advice():
        return getattr(importlib.import_module(module, _PACKAGE), name)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Info = TypeVar("_Info", bound=_Named)


def _by_name(infos: Iterable[_Info]) -> Mapping[str, _Info]:
    return MappingProxyType({info.name: info for info in infos})


# ---- modes ----------------------------------------------------------------------------------------------------------

Images = Literal["none", "folder", "pair", "folder of pairs"]
"""What a mode learns from: prompts alone, the data directory, the original and the target image, or pairs in the
data directory."""
Group = Literal[
    "pass", "run", "prompts", "pair", "second pass", "resume", "concept", "folder", "trigger word", "named pairs",
    "text rate", "copier", "turns", "descriptions", "subsets", "noise", "self reg",
]  # fmt: skip
"""Settings that are shown together; each row of the table belongs to one group, and a mode names those it shows."""
EVERY_MODE: Final[tuple[Group, ...]] = ("pass", "run")
SECOND_PASS: Final = "Difference 2nd pass"
"""Beside the modes: the place where the second pass's own settings are shown."""
SECOND_PASS_GROUPS: Final[tuple[Group, ...]] = ("pass", "second pass")


@dataclass(frozen=True)
class ModeInfo:
    """A way of training."""

    name: str
    path: str
    """Its class, a :class:`.modes.base.Mode`."""
    images: Images
    shows: tuple[Group, ...]
    """Its groups of settings, beside those that every mode shows."""
    check: str = ""
    """The path of what checks its settings before a run; see :mod:`.check`."""
    preset: str = ""
    """The preset of ours (``presets/trainyard``) whose values are its defaults; empty: the table's."""
    second_pass_check: str = ""
    """The same as ``check`` for the settings of its second pass; empty: it has none."""

    @property
    def slug(self) -> str:
        """The name as a CSS class, a key of a text or a file name has it."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower())

    @property
    def groups(self) -> tuple[Group, ...]:
        return (*EVERY_MODE, *self.shows)

    @property
    def learns_from_folder(self) -> bool:
        return self.images in ("folder", "folder of pairs")


MODES: Final = _by_name(
    (
        ModeInfo(
            "LoRA",
            ".modes.lora:LoRAMode",
            images="folder",
            shows=("folder", "trigger word", "resume", "text rate", "subsets", "noise", "self reg"),
            check=".config.check:lora",
            preset="character-from-images",
        ),
        ModeInfo(
            "iLECO",
            ".modes.ileco:ILECO",
            images="none",
            shows=("prompts", "concept"),
            check=".config.check:ileco",
            preset="change-concept",
        ),
        ModeInfo(
            "Difference",
            ".modes.difference:Difference",
            images="pair",
            shows=("prompts", "pair", "copier", "descriptions", "resume", "noise"),
            check=".config.check:difference",
            preset="difference-from-pair",
            second_pass_check=".config.check:denoiser_blocks",
        ),
        ModeInfo(
            "ADDifT",
            ".modes.addift:ADDifT",
            images="pair",
            shows=("prompts", "pair", "trigger word", "turns", "descriptions"),
            check=".config.check:addift",
            preset="action-from-pair",
        ),
        ModeInfo(
            "Multi-ADDifT",
            ".modes.multi_addift:MultiADDifT",
            images="folder of pairs",
            shows=("folder", "trigger word", "named pairs", "resume", "turns", "descriptions"),
            check=".config.check:multi_addift",
            preset="action-from-many-pairs",
        ),
    )
)
"""In the order shown."""


AUTOMATIC_CARD: Final = "auto"
CARDS: Final = (AUTOMATIC_CARD, "6", "8", "12", "24")
"""The GPUs that settings can be fitted to: the one that is there, or by their memory in GB."""
WITH_FOLDER: Final = next(name for name, mode in MODES.items() if mode.learns_from_folder)
"""One that has the size a model is made for as its default; others do well with less, or take their images' own."""
WITH_SECOND_PASS: Final = tuple(name for name, mode in MODES.items() if mode.second_pass_check)
"""The modes that have a second pass with its own settings."""


def places_of(group: Group) -> tuple[str, ...]:
    """The modes that show a group, and :data:`SECOND_PASS` where it does, too."""
    places = tuple(name for name, mode in MODES.items() if group in mode.groups)
    return (*places, SECOND_PASS) if group in SECOND_PASS_GROUPS else places


# ---- network types --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkInfo:
    """What is trained beside the model's weights."""

    name: str
    path: str
    """Its class, a :class:`.networks.base.Adapter`."""
    include_resnets: bool
    """Also in the residual, down- and up-sampling blocks."""
    module: str
    """What sd-scripts would train it with: ``ss_network_module``."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Of that module, beside rank and alpha: ``ss_network_args``."""
    is_product: bool = False
    """Whether its update is a product of two matrices, as which a change that is known beforehand can be written."""
    drops_hidden: bool = False
    """Whether it has numbers between its factors, of which ``network_dropout`` leaves some out."""


NETWORK_TYPES: Final = _by_name(
    (
        NetworkInfo(
            "lierla",
            ".networks.lora:LoRA",
            include_resnets=False,
            module="networks.lora",
            is_product=True,
            drops_hidden=True,
        ),
        NetworkInfo(
            "c3lier",
            ".networks.lora:LoRA",
            include_resnets=True,
            module="networks.lora",
            is_product=True,
            drops_hidden=True,
        ),
        NetworkInfo(
            "loha",
            ".networks.loha:LoHa",
            include_resnets=True,
            module="lycoris.kohya",
            arguments=MappingProxyType({"algo": "loha", "use_tucker": "True"}),
        ),
    )
)
"""In the order shown."""


# ---- optimizers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OptimizerInfo:
    """Where an optimizer comes from, and what it is given beside the user's settings."""

    name: str
    path: str
    package: str
    """What to install where the module is missing."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    finds_its_rate: bool = False
    """The learning rate is a factor on a step size it finds itself, so it should be about 1."""
    usual: tuple[float, float] = (1e-7, 1e-2)
    """The lowest and the highest learning rate that people train with."""
    takes_module: bool = False
    """It is made from a module rather than from groups of parameters."""
    fuses: bool = False
    """On CUDA one kernel does the whole step."""
    compiled: bool = False
    """Its step is compiled code, which may have been built without the device."""


def _torch(name: str, found_as: str = "", **options: Any) -> OptimizerInfo:
    return OptimizerInfo(name, f"torch.optim:{found_as or name}", "torch", **options)


def _collection(name: str, found_as: str = "", **options: Any) -> OptimizerInfo:
    return OptimizerInfo(name, f"pytorch_optimizer:{found_as or name}", "pytorch-optimizer", **options)


def _small(name: str, found_as: str = "", **options: Any) -> OptimizerInfo:
    return OptimizerInfo(name, f"bitsandbytes.optim:{found_as or name}", "bitsandbytes", compiled=True, **options)


_FACTORS, _BY_SIGN, _BY_GRADIENT, _AVERAGED = (0.1, 10.0), (1e-8, 1e-3), (1e-5, 100.0), (1e-7, 1e-1)
"""Usual rates: as factors; where only a gradient's sign counts; where its size does; of averaged weights."""
_NESTEROV: Mapping[str, Any] = MappingProxyType({"momentum": 0.9, "nesterov": True})
# Without these three, transformers' AdaFactor insists on its own learning rate.
_GIVEN_RATE: Mapping[str, Any] = MappingProxyType(
    {"relative_step": False, "scale_parameter": False, "warmup_init": False}
)
OPTIMIZERS: Final = _by_name(
    (
        _torch("AdamW", fuses=True),
        _small("AdamW8bit"),
        OptimizerInfo("AdaFactor", "transformers.optimization:Adafactor", "transformers", _GIVEN_RATE),
        _collection("Lion", usual=_BY_SIGN),
        _collection("Prodigy", finds_its_rate=True, usual=_FACTORS),
        _collection("DAdaptAdam", finds_its_rate=True, usual=_FACTORS),
        _collection("DAdaptLion", finds_its_rate=True, usual=_FACTORS),
        _collection("DAdaptAdaGrad", finds_its_rate=True, usual=_FACTORS),
        _collection("DAdaptAdan", finds_its_rate=True, usual=_FACTORS),
        _collection("DAdaptSGD", finds_its_rate=True, usual=_FACTORS),
        _small("Adam8bit"),
        _small("SGDNesterov8bit", "SGD8bit", defaults=_NESTEROV, usual=_BY_GRADIENT),
        _small("Lion8bit", usual=_BY_SIGN),
        _small("PagedAdamW8bit"),
        _small("PagedLion8bit", usual=_BY_SIGN),
        _collection("RAdamScheduleFree", "ScheduleFreeRAdam", usual=_AVERAGED),
        _collection("AdamWScheduleFree", "ScheduleFreeAdamW", usual=_AVERAGED),
        _collection("SGDScheduleFree", "ScheduleFreeSGD", usual=_BY_GRADIENT),
        _collection("CAME"),
        _collection("Tiger", usual=_BY_SIGN),
        _collection("AdamMini", takes_module=True),
        _small("PagedAdamW"),
        _small("PagedAdamW32bit"),
        _torch("SGDNesterov", "SGD", defaults=_NESTEROV, usual=_BY_GRADIENT),
        _torch("Adam", fuses=True),
    )
)
"""In the order shown."""


# ---- learning-rate schedules ----------------------------------------------------------------------------------------


class Course(NamedTuple):
    """What a schedule is made for."""

    steps: int
    """Of the whole run."""
    warmup: int
    cycles: int
    power: float
    rules: str
    """``train_lr_step_rules``."""
    rates: list[float]
    """The learning rate of each parameter group."""

    @property
    def period(self) -> int:
        """The steps of one cycle."""
        return max(1, self.steps // self.cycles)


@dataclass(frozen=True)
class SchedulerInfo:
    """Where a schedule comes from, and what it is made with."""

    name: str
    path: str
    """A class or function that takes the optimizer first."""
    defaults: Callable[[Course], dict[str, Any]]
    """What it is given beside the user's settings."""
    takes: tuple[str, ...] = ()
    """What the user's settings may name."""


def _warm(course: Course) -> dict[str, Any]:
    return {"num_warmup_steps": course.warmup, "num_training_steps": course.steps}


# Defaults of the step-wise ones are shares of the run, so that they act in one of 30 steps as in one of 3000.
SCHEDULERS: Final = _by_name(
    (
        SchedulerInfo(
            "cosine_annealing",
            "torch.optim.lr_scheduler:CosineAnnealingLR",
            lambda course: {"T_max": course.steps},
            ("T_max", "eta_min"),
        ),
        SchedulerInfo(
            "cosine_annealing_with_restarts",
            "torch.optim.lr_scheduler:CosineAnnealingWarmRestarts",
            lambda course: {"T_0": course.period},
            ("T_0", "T_mult", "eta_min"),
        ),
        SchedulerInfo("linear", "diffusers.optimization:get_linear_schedule_with_warmup", _warm, ("num_warmup_steps",)),
        SchedulerInfo(  # its num_cycles counts waves, half a one by default, so the setting of that name is not given
            "cosine",
            "diffusers.optimization:get_cosine_schedule_with_warmup",
            _warm,
            ("num_warmup_steps", "num_cycles"),
        ),
        SchedulerInfo(
            "cosine_with_restarts",
            "diffusers.optimization:get_cosine_with_hard_restarts_schedule_with_warmup",
            lambda course: {**_warm(course), "num_cycles": course.cycles},
            ("num_warmup_steps", "num_cycles"),
        ),
        SchedulerInfo(
            "polynomial",
            "diffusers.optimization:get_polynomial_decay_schedule_with_warmup",
            lambda course: {**_warm(course), "power": course.power},
            ("num_warmup_steps", "lr_end", "power"),
        ),
        SchedulerInfo("constant", "diffusers.optimization:get_constant_schedule", lambda _course: {}),
        SchedulerInfo(
            "constant_with_warmup",
            "diffusers.optimization:get_constant_schedule_with_warmup",
            lambda course: {"num_warmup_steps": course.warmup},
            ("num_warmup_steps",),
        ),
        SchedulerInfo(
            "piecewise_constant",
            "diffusers.optimization:get_piecewise_constant_schedule",
            lambda course: {"step_rules": course.rules},
            ("step_rules",),
        ),
        SchedulerInfo(
            "exponential",
            "torch.optim.lr_scheduler:ExponentialLR",
            lambda course: {"gamma": 0.01 ** (1 / course.steps)},
            ("gamma",),
        ),
        SchedulerInfo(
            "step",
            "torch.optim.lr_scheduler:StepLR",
            lambda course: {"step_size": max(1, course.steps // 3)},
            ("step_size", "gamma"),
        ),
        SchedulerInfo(
            "multi_step",
            "torch.optim.lr_scheduler:MultiStepLR",
            lambda course: {"milestones": [course.steps // 2, course.steps * 3 // 4]},
            ("milestones", "gamma"),
        ),
        SchedulerInfo(
            "reduce_on_plateau",
            ".optim.schedules:Plateau",
            lambda _course: {"factor": 0.5, "patience": 4},
            ("factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps", "mode"),
        ),
        SchedulerInfo(
            "cyclic",
            "torch.optim.lr_scheduler:CyclicLR",
            lambda course: {
                "base_lr": [rate / 10 for rate in course.rates],
                "max_lr": course.rates,
                "step_size_up": max(1, course.period // 2),
                "cycle_momentum": False,
            },
            ("base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma", "scale_mode"),
        ),
        SchedulerInfo(
            "one_cycle",
            "torch.optim.lr_scheduler:OneCycleLR",
            lambda course: {"max_lr": course.rates, "total_steps": course.steps, "cycle_momentum": False},
            ("max_lr", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase"),
        ),
    )
)
"""In the order shown."""


# ---- families -------------------------------------------------------------------------------------------------------


TEXT_ENCODERS: Final = "BASE"
"""The block that stands for the text encoders, in every family."""


def _unet_blocks(count: int) -> tuple[str, ...]:
    """Those of a U-Net with so many blocks in the down path, and as many in the up path."""
    numbers = [f"{number:02}" for number in range(count)]
    return (TEXT_ENCODERS, *(f"IN{each}" for each in numbers), "M00", *(f"OUT{each}" for each in numbers))


@dataclass(frozen=True)
class FamilyInfo:
    """A family of models."""

    name: str
    label: str
    path: str
    """Its class, a :class:`.models.base.Family`."""
    blocks: tuple[str, ...]
    """The names of its blocks in the model's order, :data:`TEXT_ENCODERS` first."""
    size_multiple: int = 8
    """What the sides of its images must be multiples of, in pixels."""
    signature: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Tensors that all its checkpoints have, by the ends of their names, each with the sizes it has there, the first
    ones of its shape. Empty for Stable Diffusion's, which :mod:`.models.checkpoint.identify` tells apart with all their
    variants."""


FAMILIES: Final = _by_name(
    (
        FamilyInfo("SD1", "Stable Diffusion 1", ".models.stable_diffusion.sd1:SD1", _unet_blocks(12)),
        FamilyInfo("SD2", "Stable Diffusion 2", ".models.stable_diffusion.sd2:SD2", _unet_blocks(12)),
        FamilyInfo("SDXL", "Stable Diffusion XL", ".models.stable_diffusion.sdxl:SDXL", _unet_blocks(9)),
    )
)
"""In the order shown."""
BLOCKS: Final = tuple(dict.fromkeys(block for family in FAMILIES.values() for block in family.blocks))
"""Those of all families."""
