"""``network_resume``: training continues from a LoRA file.

Modules of the file keep their rank and alpha. Modules that the settings train and the file lacks start new, with the
file's rank and alpha. Modules of the file that the settings do not train are frozen; they take part in every prediction
and are saved with the others.

What else is in the file is saved again if it cannot contradict what is trained: embeddings, and modules that the model
does not have. What acts on the model but does not take part in the training (changes of norms, biases, the DoRA scale,
modules of other network types) is not, or the new file would act otherwise than it was trained. Both are told.

A file holds the update multiplied by ``network_strength``. It is divided by that of this run, so that a run that learns
nothing saves what it was given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ..config.choices import NETWORK_TYPES
from ..config.settings import Settings, effective
from ..errors import NetworkError, UserError
from ..models.base import Bundle
from ..models.checkpoint.identify import FileKind, Kind, identify
from ..models.checkpoint.lora_kinds import EMBEDDING
from ..models.lora_target import Target
from ..text.messages import Message, label, message
from .base import Adapter, Network, Strength, refuse_none
from .files.find import find_lora
from .files.keys import Key, sorted_keys, type_of_parts
from .files.read import Stored, adapters_of, beside, modules_without_place, placeless, read_lora, trained_for, type_of
from .registry import adapter_type

_LABEL: Final = label("network_resume")


def wanted(settings: Settings) -> str:
    """The file to continue from; empty for modes that do not."""
    return settings.network_resume.strip()


def defaults(settings: Settings, folder: Path) -> dict[str, Any]:
    """The network type of the file to continue from, where none is set: what it trains is trained on, and no more.

    Args:
        folder: where LoRA files lie.

    Returns:
        By short name; empty without a file, and for one that :func:`check` refuses.
    """
    name = wanted(effective(settings))
    if not name:
        return {}
    try:
        kind = identify(find_lora(name, folder))
        modules = sorted_keys(kind.tensors, kind.name).modules
    except UserError:
        return {}
    shapes = [kind.tensors[key].shape for keys in modules.values() for key in keys]
    has_wide = any(len(shape) == 4 and shape[-1] > 1 for shape in shapes)
    fitting = _fitting(modules)
    as_wide = [each for each in fitting if NETWORK_TYPES[each].include_resnets == has_wide]
    chosen = as_wide or fitting
    return {"network_type": chosen[0]} if chosen else {}


def _fitting(modules: Mapping[str, Mapping[str, Key]]) -> list[str]:
    """The network types that all modules of a file are of; none where they are of several classes."""
    found = {type_of_parts(key.part for key in keys.values()) for keys in modules.values()}
    return [each for each in NETWORK_TYPES if {adapter_type(each)} == found]


def check(settings: Settings, family: str, folder: Path) -> None:
    """Refuse a file that cannot be continued from, by its header alone.

    Args:
        settings: of the pass that continues; those without a file pass.
        family: the model's.
        folder: where LoRA files lie.

    Raises:
        NetworkError: it is missing, broken, no LoRA, of another network type or for another family.
    """
    name = wanted(settings)
    if not name:
        return
    try:
        path = find_lora(name, folder)
        kind = identify(path)
        if kind.kind is not Kind.LORA:
            raise NetworkError("networks.resume_no_lora", file=path.name, kind=kind.label)
        modules = sorted_keys(kind.tensors, path.name).modules
    except UserError as error:
        raise NetworkError(error.whole, where=_LABEL) from error
    _check_family(kind, modules, family)
    _check_type(path.name, modules, settings.network_type)
    _check_numbers(path)


def _check_numbers(path: Path) -> None:
    """Refuse what no training can go on from; the tensors are read for it, which takes less than loading a model."""
    try:
        alphas = [float(parts["alpha"]) for parts in read_lora(path).modules.values()]
    except UserError as error:
        raise NetworkError(error.whole, where=_LABEL) from error
    if not any(alphas):
        raise NetworkError("networks.resume_alpha_zero", where=_LABEL, file=path.name)


def _check_type(name: str, modules: Mapping[str, Mapping[str, Key]], network_type: str) -> None:
    fitting = _fitting(modules)
    if network_type in fitting:
        return
    found = {type_of_parts(key.part for key in keys.values()) for keys in modules.values()}
    kinds = sorted(each.label for each in found if each is not None)
    values = {"file": name, "kinds": kinds, "type": network_type}
    if fitting:
        raise NetworkError("networks.resume_other_type", where=_LABEL, fitting=fitting, **values)
    raise NetworkError("networks.resume_mixed_types", where=_LABEL, **values)


def _check_family(kind: FileKind, modules: Mapping[str, Mapping[str, Key]], family: str) -> None:
    made_for = trained_for(kind, modules)
    if made_for not in (None, family):
        raise NetworkError(
            "networks.resume_other_family", where=_LABEL, file=kind.name, trained_for=made_for, family=family
        )


def stored(settings: Settings, folder: Path) -> Stored | None:
    """What to continue from, after :func:`check` has accepted it; None for a new network."""
    name = wanted(settings)
    return read_lora(find_lora(name, folder)) if name else None


def as_stored(settings: Settings, given: Stored) -> Settings:
    """The settings with the rank and alpha that most modules of the file have, for new modules."""
    plain: Counter[tuple[int, float]] = Counter()
    wide: Counter[tuple[int, float]] = Counter()
    for parts in given.modules.values():
        kind = type_of(parts)
        (wide if kind.is_wide(parts) else plain)[kind.rank_of(parts), float(parts["alpha"])] += 1
    if plain:
        rank, alpha = plain.most_common(1)[0][0]
        settings = replace(settings, network_rank=rank, network_alpha=alpha)
    if wide:
        rank, alpha = wide.most_common(1)[0][0]
        settings = replace(settings, network_conv_rank=rank, network_conv_alpha=alpha)
    return settings


def resumed_network(
    given: Stored,
    bundle: Bundle,
    targets: list[Target],
    make: Callable[[Target, Strength], Adapter],
    settings: Settings,
    dtype: torch.dtype,
) -> tuple[Network, list[Message]]:
    """The network of a file on the model, with new adapters for the targets it lacks.

    Args:
        make: makes a new adapter.
        settings: for the strength the file's update is divided by.
        dtype: of the trained numbers.

    Returns:
        The network, and what of the file is continued, kept and left out.

    Raises:
        NetworkError: the file is for another kind of model, or nothing is left to train.
    """
    refuse_none(targets)
    strength = Strength()
    stored_ones = adapters_of(given, bundle, strength, dtype)
    for adapter in stored_ones.values():
        if settings.network_strength != 1.0:
            adapter.multiply(1.0 / settings.network_strength)
    count = len(stored_ones)
    trained = [
        stored_ones.pop(target.name) if target.name in stored_ones else make(target, strength) for target in targets
    ]
    carried = list(stored_ones.values())
    for adapter in carried:
        adapter.requires_grad_(False)
    counts = {"count": count - len(carried), "new": len(trained) - count + len(carried), "frozen": len(carried)}
    key = f"networks.continues{'_new' if counts['new'] else ''}{'_frozen' if carried else ''}"
    note = message(key, file=given.path.name, rank=settings.network_rank, alpha=f"{settings.network_alpha:g}", **counts)
    return Network([*trained, *carried], strength, _kept(given, bundle)), [note, *_told(given, bundle)]


def _kept(given: Stored, bundle: Bundle) -> dict[str, Tensor]:
    """What of the file goes into the new one as it is, by its keys there."""
    modules = {
        f"{name}.{part}": tensor
        for name in modules_without_place(given, bundle)
        for part, tensor in given.modules[name].items()
    }
    return {**modules, **given.embeddings}


def _told(given: Stored, bundle: Bundle) -> Iterator[Message]:
    kept = {kind: keys for kind, keys in given.others.items() if kind == EMBEDDING}
    dropped = {kind: keys for kind, keys in given.others.items() if kind != EMBEDDING}
    for key, parts in (
        ("networks.carried", [*beside(kept), *placeless(given, bundle)]),
        ("networks.dropped", beside(dropped)),
    ):
        if parts:
            yield message(key, file=given.path.name, parts=parts)
