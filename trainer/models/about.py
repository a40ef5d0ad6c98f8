"""What is found out about a model before it is trained on, each with its reason.

For :func:`.checkpoint.identify.identify`'s answer, so that the same is said before a run, by a dry run, on the page and
by ``info``. Of the weights at most one small tensor is read.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..config.settings import FOUND, Settings
from ..diffusion.parameterisation import EPSILON, FLOW, VELOCITY, Parameterisation
from ..errors import ModelError
from ..text.messages import Message, label, message
from .base import Family, Predicts
from .checkpoint.identify import FileKind, as_chosen
from .checkpoint.parts import DENOISER, TEXT_ENCODER, VAE, text_encoder_part


class About(NamedTuple):
    """What is said of a model.

    Attributes:
        facts: what it is taken for, and why.
        doubts: what may be a mistake, or makes it a bad choice.
    """

    facts: tuple[Message, ...] = ()
    doubts: tuple[Message, ...] = ()


def about_model(kind: FileKind, family: Family, prediction: str = Settings.prediction) -> About:
    """Everything that is said of a checkpoint.

    Args:
        kind: what it is, by itself or as a host has loaded it.
        family: the one it is of.
        prediction: the setting.
    """
    chosen = as_chosen(kind, prediction)
    taken = family.predicts(chosen)
    facts = [*_prediction(taken, prediction), *_stored_types(kind, family)]
    doubts = [*_overruled(kind, taken, family, prediction), *_doubted(chosen, taken), *_distilled(kind)]
    return About(tuple(facts), tuple(doubts))


# ---- what it predicts -----------------------------------------------------------------------------------------------


def _prediction(taken: Predicts | None, prediction: str) -> list[Message]:
    if taken is None:
        return []
    told = [message("models.predicts", what=_called(taken.what), reason=_reason(taken.reason, prediction))]
    if taken.zero_snr:
        told.append(message("models.zero_snr"))
    if taken.what is FLOW:
        told.append(message("models.flow_is_plain"))
    return told


def _called(what: Parameterisation) -> Message:
    return message(f"models.predicts_{what.name}")


def _reason(reason: str, prediction: str = "") -> Message:
    values = {"setting": label("prediction"), "value": prediction} if reason == "chosen" else {}
    return message(f"models.because_{reason or 'nothing'}", **values)


def _overruled(kind: FileKind, taken: Predicts | None, family: Family, prediction: str) -> list[Message]:
    """Where the user's choice is not what the file says."""
    if taken is None or prediction == FOUND:
        return []
    values = {"file": kind.name, "what": _called(taken.what), "setting": label("prediction"), "value": prediction}
    try:
        found = family.predicts(kind)
    except ModelError as error:  # which nobody could train without the choice
        return [message("models.prediction_unknown", reason=error.whole, **values)]
    if found is None or found.what is taken.what:
        return []
    if not found.reason:
        return [message("models.prediction_chosen", reason=_reason(""), default=FOUND, **values)]
    said = {"found": _called(found.what), "reason": _reason(found.reason), "default": FOUND}
    return [message("models.prediction_denied", **said, **values)]


_NAMES_VELOCITY = (("vpred",), ("v", "pred"), ("vprediction",), ("v", "prediction"), ("vparam",))
_NAMES_EPSILON = (("eps",), ("epsilon",), ("epspred",))
_NAMES_FLOW = (("rf",), ("rectified", "flow"), ("rectifiedflow",))


def _doubted(kind: FileKind, found: Predicts | None) -> list[Message]:
    """Where the name alone says it or says something else, and nobody has chosen."""
    if found is None or found.reason == "chosen":
        return []
    words = _words(kind.name)
    values = {"file": kind.name, "reason": _reason(found.reason), "setting": label("prediction")}
    if found.reason == "name":
        return [message("models.taken_by_name", **values)]
    if found.what is not FLOW and _has(words, _NAMES_FLOW) and found.reason != "scheduler":
        return [message("models.named_flow", found=_called(found.what), **values)]
    if found.what is EPSILON and _has(words, _NAMES_VELOCITY) and found.reason != "scheduler":
        return [message("models.named_velocity", **values)]
    if found.what is VELOCITY and _has(words, _NAMES_EPSILON) and not _has(words, _NAMES_VELOCITY):
        return [message("models.named_epsilon", **values)]
    return []


# ---- what it is made for --------------------------------------------------------------------------------------------


_DISTILLED: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "Turbo": (("turbo",),),
        "Lightning": (("lightning",),),
        "Hyper": (("hyper", "sd"), ("hyper", "sdxl"), ("hyper", "xl"), ("hypersd",), ("hypersdxl",), ("hyper", "#")),
        "LCM": (("lcm",),),
        "DMD2": (("dmd",),),
    }
)
"""Ways of distilling -> the words that stand for them in names; ``#`` is a number, or the end."""


def _distilled(kind: FileKind) -> list[Message]:
    said = [_words(kind.name), _words(kind.metadata.get("modelspec.title", ""))]
    for how, names in _DISTILLED.items():
        if any(_has(words, names) for words in said):
            return [message("models.distilled", file=kind.name, how=how)]
    return []


_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def _words(name: str) -> list[str]:
    """The words of a file's name, where ``camelCase`` has two: ``noobaiXL_vPred10`` has four and a number."""
    found = _WORD.findall(Path(name).stem if "." in name else name)
    return ["#" if word.isdecimal() else word.lower() for word in found] + ["#"]


def _has(words: list[str], names: tuple[tuple[str, ...], ...]) -> bool:
    """Whether one of the names stands among the words."""
    return any(tuple(words[at : at + len(name)]) == name for name in names for at in range(len(words)))


# ---- how it is stored -----------------------------------------------------------------------------------------------


_PARTS = (
    (("model.diffusion_model.", "unet.", "transformer."), DENOISER),
    (("first_stage_model.", "vae."), VAE),
    (("cond_stage_model.", "conditioner.embedders.0.", "text_encoder."), TEXT_ENCODER),
    (("conditioner.embedders.1.", "text_encoder_2."), text_encoder_part(1)),
)
"""How the names of a part's tensors begin."""
_TYPES: Mapping[str, str] = MappingProxyType(
    {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8_e4m3fn", "F8_E5M2": "fp8_e5m2"}
)
"""Types of weights by safetensors' names, as settings and other tools write them."""


def _stored_types(kind: FileKind, family: Family) -> list[Message]:
    counts: dict[str, Counter[str]] = {}
    for name, info in kind.tensors.items():
        part = next((part for starts, part in _PARTS if name.startswith(starts)), None)
        if part is not None and info.dtype in _TYPES:
            counts.setdefault(part, Counter())[_TYPES[info.dtype]] += math.prod(info.shape)
    if not counts:
        return []
    written = {part: _mixed(counts[part]) for _, part in _PARTS if part in counts}
    if len(set(map(str, written.values()))) == 1:
        return [message("models.stored_alike", types=next(iter(written.values())))]
    parts = [
        message("models.part_stored", part=family.part_label(part), types=types) for part, types in written.items()
    ]
    return [message("models.stored", parts=parts)]


def _mixed(found: Counter[str]) -> Message | str:
    """The type most of a part's numbers are in, and the others; fewer than one in a hundred are not worth a word."""
    (most, _), *others = found.most_common()
    rest = [name for name, count in others if count * 100 >= found.total()]
    return message("models.mixed_types", most=most, rest=rest) if rest else most
