"""``network_resume``: training continues from a LoRA file.

Modules of the file keep their rank and alpha. Modules that the settings train and the file lacks start new, with the
file's rank and alpha. Modules of the file that the settings do not train are frozen; they take part in every prediction
and are saved with the others.

A file holds the update multiplied by ``network_strength``. It is divided by that of this run, so that a run that learns
nothing saves what it was given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from ..config.choices import NETWORK_TYPES
from ..config.settings import Settings
from ..errors import NetworkError, UserError
from ..models.base import Bundle
from ..models.checkpoint.header import Header, read_header
from ..models.checkpoint.identify import Kind, classify
from ..models.checkpoint.unpickle import is_pickle
from ..models.lora_target import Target
from ..models.registry import family_of_lora
from ..paths import open_file
from ..text.messages import Message, label, message
from .base import Adapter, Network, Strength, refuse_none
from .files.find import find_lora
from .files.keys import Key, by_module
from .files.read import Stored, adapters_of, read_lora, type_of
from .registry import adapter_type, adapter_type_of, adapter_types

_LABEL: Final = label("network_resume")


def wanted(settings: Settings) -> str:
    """The file to continue from; empty for modes that do not."""
    return settings.network_resume.strip()


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
        header = read_header(path)
        kind = classify(path.name, header)
        if kind.kind is not Kind.LORA:
            raise NetworkError("networks.resume_no_lora", file=path.name, kind=kind.label)
        if _is_pickled(path):
            raise NetworkError("networks.resume_pickle", file=path.name)
        modules = by_module(header.tensors, path.name)
    except UserError as error:
        raise NetworkError(error.whole, where=_LABEL) from error
    _check_type(path.name, modules, settings.network_type)
    _check_family(path.name, header, modules, family)


def _is_pickled(path: Path) -> bool:
    with open_file(path) as file:
        return is_pickle(file.read(512))


def _check_type(name: str, modules: Mapping[str, Mapping[str, Key]], network_type: str) -> None:
    found = {adapter_type_of(key.part for key in keys.values()) for keys in modules.values()}
    if found == {adapter_type(network_type)}:
        return
    kinds = sorted(each.label for each in found if each is not None)
    values = {"file": name, "kinds": kinds, "type": network_type}
    fitting = [each for each in NETWORK_TYPES if {adapter_type(each)} == found]
    if fitting:
        raise NetworkError("networks.resume_other_type", where=_LABEL, fitting=fitting, **values)
    raise NetworkError("networks.resume_mixed_types", where=_LABEL, **values)


def _check_family(name: str, header: Header, modules: Mapping[str, Mapping[str, Key]], family: str) -> None:
    made_for = _family_of(header, modules)
    if made_for not in (None, family):
        raise NetworkError("networks.resume_other_family", where=_LABEL, file=name, trained_for=made_for, family=family)


def _family_of(header: Header, modules: Mapping[str, Mapping[str, Key]]) -> str | None:
    """The family a LoRA was trained for; None if the file does not say."""
    input_parts = {each.input_part for each in adapter_types()}
    inputs = {
        name: header.tensors[whole].shape
        for name, keys in modules.items()
        for whole, key in keys.items()
        if key.part in input_parts
    }
    found = family_of_lora(header.metadata, inputs)
    return None if found is None else found.name


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
) -> tuple[Network, Message]:
    """The network of a file on the model, with new adapters for the targets it lacks.

    Args:
        make: makes a new adapter.
        settings: for the strength the file's update is divided by.
        dtype: of the trained numbers.

    Returns:
        The network, and what of the file is continued.

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
    return Network([*trained, *carried], strength), note
