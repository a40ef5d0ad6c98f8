"""Reading LoRA files: to make images, to measure them, and to continue from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...config.choices import BLOCKS
from ...errors import NetworkError
from ...models.base import Bundle
from ...models.lora_target import Target
from ...models.placement import device_of
from ...models.registry import block_of
from ...paths import open_file
from ..base import Adapter, Network, Parts, Strength
from ..registry import adapter_type_of
from .file import read
from .keys import COMPONENTS, Key, by_module

_LONGEST_CONFIG = 1_000_000


@dataclass(frozen=True)
class Stored:
    """A LoRA file's content.

    Attributes:
        path: the file.
        modules: the tensors of each module, by the name kohya gives it; every one has its ``alpha``.
        metadata: the header's.
    """

    path: Path
    modules: dict[str, Parts]
    metadata: dict[str, str]


def read_lora(path: Path) -> Stored:
    """Everything in a LoRA file, whichever keys it has.

    Raises:
        NetworkError: the file is not there, broken, or of a kind that is not known.
    """
    tensors, metadata = read(path)
    modules: dict[str, Parts] = {}
    configs = _peft_configs(path, metadata)
    for name, keys in by_module(tensors, path.name).items():
        parts = {key.part: tensors[stored] for stored, key in keys.items()}
        rank = _rank_of(parts, name, path)
        if "alpha" not in parts:
            parts["alpha"] = torch.tensor(_alpha(next(iter(keys.values())), rank, configs))
        modules[name] = parts
    return Stored(path, modules, metadata)


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
    """The class of a module's adapter; :func:`by_module` has refused those that have none."""
    found = adapter_type_of(parts)
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


def network_from_file(path: Path, bundle: Bundle) -> Network:
    """The network in the file at ``path``, ready to be attached to ``bundle``; every key is used.

    Raises:
        NetworkError: no such file, no LoRA, or one for another kind of model.
    """
    stored = read_lora(path)
    strength = Strength()
    return Network(list(adapters_of(stored, bundle, strength, torch.float32).values()), strength)


def adapters_of(stored: Stored, bundle: Bundle, strength: Strength, dtype: torch.dtype) -> dict[str, Adapter]:
    """The adapters a file holds, on the denoiser's device and by the names that the family of ``bundle`` writes.

    Raises:
        NetworkError: the file is for another kind of model.
    """
    known = bundle.family.known_names(bundle)
    foreign = [name for name in stored.modules if name not in known]
    if foreign:
        raise NetworkError(
            "networks.other_model",
            where=stored.path.name,
            count=len(foreign),
            total=len(stored.modules),
            example=foreign[0],
            family=bundle.family.label,
        )
    found: dict[str, Adapter] = {}
    device = device_of(bundle.denoiser)  # the text encoders may be elsewhere just now
    for name, parts in stored.modules.items():
        adapter = _adapter(known[name], strength, parts, dtype, stored.path.name).to(device)
        found[adapter.name] = adapter
    return found


def _adapter(target: Target, strength: Strength, parts: Parts, dtype: torch.dtype, where: str) -> Adapter:
    try:
        return type_of(parts).load(target, strength, parts, dtype)
    except NetworkError as error:
        raise error.at(where) from error
