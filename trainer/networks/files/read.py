"""Reading LoRA files: to make images, to measure them, and to continue from them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...config.choices import BLOCKS
from ...errors import ModelError, NetworkError
from ...models.base import Bundle
from ...models.checkpoint.identify import FileKind, Kind, identify
from ...models.checkpoint.lora_kinds import EMBEDDING, UNKNOWN, foreign_family, module_of
from ...models.lora_target import Target
from ...models.placement import device_of
from ...models.registry import block_of, family_of_lora
from ...paths import open_file
from ...text.messages import Message, message
from ..base import Adapter, Network, Parts, Strength
from ..registry import adapter_types
from .file import read
from .keys import COMPONENTS, MIDDLE, Key, sorted_keys, type_of_parts

_LONGEST_CONFIG = 1_000_000


@dataclass(frozen=True)
class Stored:
    """A LoRA file's content.

    Attributes:
        path: the file.
        modules: the tensors of each module, by the name kohya gives it; every one has its ``alpha``.
        metadata: the header's.
        others: keys that nothing is made of, by their kind; see :mod:`.lora_kinds`.
        embeddings: those that are bundled with it, by their keys.
    """

    path: Path
    modules: dict[str, Parts]
    metadata: dict[str, str]
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    embeddings: Mapping[str, Tensor] = field(default_factory=dict)


Tell = Callable[[Message], object]


def _nobody(_told: Message) -> None:
    """For readers to whom what is left out is no news."""


def read_lora(path: Path) -> Stored:
    """Everything in a LoRA file, whichever keys it has.

    Raises:
        NetworkError: the file is not there, broken, or of a kind that is not known.
    """
    tensors, metadata = read(path)
    modules: dict[str, Parts] = {}
    configs = _peft_configs(path, metadata)
    found = sorted_keys(tensors, path.name)
    for name, keys in found.modules.items():
        parts = {key.part: tensors[stored] for stored, key in keys.items()}
        rank = _rank_of(parts, name, path)
        if "alpha" not in parts:
            parts["alpha"] = torch.tensor(_alpha(next(iter(keys.values())), rank, configs))
        modules[name] = _of_two_factors(parts, name, path)
    embeddings = {key: tensors[key] for key in found.others.get(EMBEDDING, ())}
    return Stored(path, modules, metadata, found.others, embeddings)


def _of_two_factors(parts: dict[str, Tensor], name: str, path: Path) -> Parts:
    """An update of three factors as one of two, which is the same: the core goes into the first."""
    if MIDDLE not in parts:
        return parts
    try:
        down = torch.einsum("pqhw,qi->pihw", parts[MIDDLE].float(), parts["lora_down.weight"].float().flatten(1))
    except RuntimeError as error:
        raise NetworkError("networks.misshapen", where=str(path), module=name) from error
    return {part: tensor for part, tensor in parts.items() if part != MIDDLE} | {"lora_down.weight": down}


def _rank_of(parts: Parts, name: str, path: Path) -> int:
    """Raises:
    NetworkError: the tensors are none of a module: a number where there should be many, or NaN among them.
    """
    broken = [part for part, tensor in parts.items() if not bool(torch.isfinite(tensor.float()).all())]
    if broken:
        raise NetworkError("networks.nan", where=str(path), tensor=f"{name}.{broken[0]}")
    weights = [tensor for part, tensor in parts.items() if part != "alpha"]
    sound = all(tensor.dim() and tensor.numel() for tensor in weights)
    if not sound or any(tensor.numel() != 1 for part, tensor in parts.items() if part == "alpha"):
        raise NetworkError("networks.misshapen", where=str(path), module=name)
    return type_of(parts).rank_of(parts)


def type_of(parts: Parts) -> type[Adapter]:
    """The class of a module's adapter; :func:`sorted_keys` has left out those that have none."""
    found = type_of_parts(parts)
    assert found is not None
    return found


def _peft_configs(path: Path, metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What peft knows of each component: in the header where diffusers wrote the file, else beside it."""
    beside = path.with_name("adapter_config.json")
    try:
        if "lora_adapter_metadata" not in metadata:
            config = _json_beside(beside) if beside.is_file() else {}
            return dict.fromkeys(COMPONENTS.values(), config)
        configs: dict[str, dict[str, Any]] = {}
        for key, value in json.loads(metadata["lora_adapter_metadata"]).items():
            component, _, name = key.partition(".")
            configs.setdefault(COMPONENTS.get(component, component), {})[name] = value
        return configs
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise NetworkError("networks.broken_alpha", where=path.name, reason=error) from error


def _json_beside(path: Path) -> dict[str, Any]:
    with open_file(path) as file:
        found = json.loads(file.read(_LONGEST_CONFIG))
    return found if isinstance(found, dict) else {}


def _alpha(key: Key, rank: int, configs: Mapping[str, Mapping[str, Any]]) -> float:
    """The alpha of a module whose file has none beside its tensors: peft's, or the rank."""
    config = configs.get(key.component, {})
    alpha = config.get("lora_alpha", rank)
    for module, own in (config.get("alpha_pattern") or {}).items():
        if key.path == module or key.path.endswith(f".{module}"):
            alpha = own
    return float(alpha) * (math.sqrt(rank) if config.get("use_rslora") else 1.0)


def block_norms(path: Path) -> dict[str, float]:
    """The norm of each block's update in a LoRA file, in the model's order; ``other`` is what belongs to no block.

    Returns:
        Nothing if the norm of some update depends on the model's weights.

    Raises:
        NetworkError: the file is not there, broken, or of a kind that is not known.
    """
    squares: dict[str, float] = {}
    for name, parts in read_lora(path).modules.items():
        try:
            norm = type_of(parts).norm_of(parts, None)
        except (RuntimeError, ValueError) as error:  # matrices that cannot be multiplied
            raise NetworkError("networks.misshapen", where=str(path), module=name) from error
        if norm is None:
            return {}
        block = block_of(name) or "other"
        squares[block] = squares.get(block, 0.0) + norm**2
    return {block: math.sqrt(squares[block]) for block in (*BLOCKS, "other") if block in squares}


def network_from_file(path: Path, bundle: Bundle, tell: Tell = _nobody) -> Network:
    """The network in the file at ``path``, ready to be attached to ``bundle``.

    Args:
        tell: called with what of the file is not used, if there is anything.

    Raises:
        NetworkError: no such file, no LoRA, or one for another kind of model.
    """
    stored = read_lora(path)
    strength = Strength()
    adapters = adapters_of(stored, bundle, strength, torch.float32)
    unused = [*beside(stored.others), *placeless(stored, bundle)]
    if unused:
        tell(message("networks.unused", file=path.name, parts=unused))
    return Network(list(adapters.values()), strength)


def adapters_of(stored: Stored, bundle: Bundle, strength: Strength, dtype: torch.dtype) -> dict[str, Adapter]:
    """The adapters a file holds, on the denoiser's device and by the names that the family of ``bundle`` writes.

    Modules that the model does not have are left out as long as they are the smaller part of it.

    Raises:
        NetworkError: the file is for another kind of model.
    """
    known = bundle.family.known_names(bundle)
    foreign = modules_without_place(stored, bundle)
    if 2 * len(foreign) > len(stored.modules):
        raise _other_model(stored, bundle, foreign)
    found: dict[str, Adapter] = {}
    device = device_of(bundle.denoiser)  # the text encoders may be elsewhere just now
    for name, parts in stored.modules.items():
        if name in known:
            adapter = _adapter(known[name], strength, parts, dtype, stored.path.name).to(device)
            found[adapter.name] = adapter
    return found


def modules_without_place(stored: Stored, bundle: Bundle) -> list[str]:
    """The names of a file's modules that the model does not have."""
    known = bundle.family.known_names(bundle)
    return [name for name in stored.modules if name not in known]


def _other_model(stored: Stored, bundle: Bundle, foreign: Sequence[str]) -> NetworkError:
    shapes = {
        f"{name}.{part}": tuple(tensor.shape)
        for name, parts in stored.modules.items()
        for part, tensor in parts.items()
    }
    family = foreign_family(shapes, stored.metadata)
    if family is None:
        inputs = {name: tuple(parts[part].shape) for name, parts in stored.modules.items() for part in _inputs(parts)}
        made_for = family_of_lora(stored.metadata, inputs)
        family = None if made_for is None or made_for is bundle.family else made_for.label
    own = bundle.family.label
    if family is not None:
        return NetworkError("networks.other_family", where=stored.path.name, trained_for=family, family=own)
    return NetworkError(
        "networks.other_model",
        where=stored.path.name,
        count=len(foreign),
        total=len(stored.modules),
        example=foreign[0],
        family=own,
    )


def _inputs(parts: Parts) -> list[str]:
    part = type_of(parts).input_part
    return [part] if part in parts else []


# ---- what is not used -----------------------------------------------------------------------------------------------


def beside(others: Mapping[str, Sequence[str]]) -> list[Message]:
    """What of a file is not used whatever the model is, one part of a sentence for each kind.

    Args:
        others: see :attr:`Stored.others`.
    """
    return [
        message(f"networks.part_{kind}", count=len(set(map(_owner_of(kind), keys))), example=keys[0])
        for kind, keys in others.items()
    ]


def unused_in(path: Path) -> Message | None:
    """What of a file is not used whatever the model is, by its header alone; None if all of it is.

    Raises:
        UserError: the file cannot be read, or nothing of it can be used.
    """
    parts = beside(sorted_keys(identify(path).tensors, path.name).others)
    return message("networks.unused", file=path.name, parts=parts) if parts else None


def family_in(kind: FileKind, modules: Mapping[str, Mapping[str, Key]]) -> str | None:
    """The family of ours that a LoRA was trained for, by its header; None if it does not say."""
    input_parts = {each.input_part for each in adapter_types()}
    inputs = {
        name: kind.tensors[whole].shape
        for name, keys in modules.items()
        for whole, key in keys.items()
        if key.part in input_parts
    }
    found = family_of_lora(kind.metadata, inputs)
    return None if found is None else found.name


def refuse_unusable(path: Path, family: str) -> None:
    """Refuse a file that cannot be used on a model, before the model is loaded. All its tensors are read.

    Args:
        family: the model's.

    Raises:
        UserError: it is no LoRA, for another family, broken, or has NaN in it.
    """
    kind = identify(path)
    if kind.kind is not Kind.LORA:
        raise NetworkError("networks.resume_no_lora", file=path.name, kind=kind.label)
    refuse_other_family(path, family)
    read_lora(path)


def refuse_other_family(path: Path, family: str) -> None:
    """Refuse a LoRA for another family than the model's, by its header alone; what else is wrong, its reader says.

    Args:
        family: the model's.

    Raises:
        NetworkError: it is for another family.
    """
    try:
        made_for = made_for_family(path)
    except ModelError:
        return
    if made_for not in (None, family):
        raise NetworkError("networks.other_family", where=path.name, trained_for=made_for, family=family)


def made_for_family(path: Path) -> str | None:
    """The family that a LoRA was trained for, by its header alone; None if that does not tell, or if it is no LoRA.

    Raises:
        ModelError: the file cannot be read.
    """
    kind = identify(path)
    if kind.kind is not Kind.LORA:
        return None
    try:
        modules = sorted_keys(kind.tensors, path.name).modules
    except NetworkError:  # of a network type that is not trained here, which a WebUI may know
        modules = {}
    return trained_for(kind, modules)


def trained_for(kind: FileKind, modules: Mapping[str, Mapping[str, Key]]) -> str | None:
    """The family that a LoRA was trained for, whether it is one of ours or not; None if its header does not tell."""
    return family_in(kind, modules) or kind.family


def _owner_of(kind: str) -> Callable[[str], str]:
    """What a key of a kind is counted by: the module, or the embedding's name."""
    if kind == EMBEDDING:
        return lambda key: ".".join(key.split(".")[:2])
    return str if kind == UNKNOWN else module_of


def placeless(stored: Stored, bundle: Bundle) -> list[Message]:
    """The same for modules that the model does not have; nothing if it has all of them."""
    names = modules_without_place(stored, bundle)
    return [message("networks.part_placeless", count=len(names), example=names[0])] if names else []


# ---- adapters -------------------------------------------------------------------------------------------------------


def _adapter(target: Target, strength: Strength, parts: Parts, dtype: torch.dtype, where: str) -> Adapter:
    try:
        return type_of(parts).load(target, strength, parts, dtype)
    except NetworkError as error:
        raise error.at(where) from error
