"""A LoRA file put back on a model, for pictures and comparisons."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import NetworkError
from ..models.base import Bundle
from ..settings import BLOCKS
from .base import Adapter, Network, Strength, group_by_name
from .file import read
from .lora import lora_from_tensors, lora_norm
from .naming import block_of, text_targets, unet_targets

_ENDING = ".safetensors"


def block_norms(path: Path) -> dict[str, float]:
    """The norm of each block's update in a LoRA file, in the model's order; empty if it is of another kind.

    Raises:
        NetworkError: the file is not there, or broken.
    """
    tensors, _ = read(path)
    squares: dict[str, float] = {}
    for name, parts in group_by_name(tensors).items():
        norm, block = lora_norm(parts), block_of(name)
        if norm is None or block is None:
            return {}
        squares[block] = squares.get(block, 0.0) + norm * norm
    return {block: math.sqrt(squares[block]) for block in BLOCKS if block in squares}


def find_lora(name: str, folder: Path) -> Path:
    """The LoRA file called ``name``: a path, or what lies in the LoRA folder, with or without its ending.

    Raises:
        NetworkError: there is none.
    """
    given = Path(name).expanduser()
    for candidate in (given, folder / name, folder / f"{name}{_ENDING}"):
        if candidate.is_file():
            return candidate
    raise NetworkError("there is no such LoRA file", where=name, do=f"Give its full path, or put it into {folder}")


def network_from_file(path: Path, bundle: Bundle) -> Network:
    """The network in the file at ``path``, ready to be attached to ``bundle``; every key is used.

    Raises:
        NetworkError: no such file, no LoRA, or one for another kind of model.
    """
    tensors, _ = read(path)
    grouped = group_by_name(tensors)
    targets = unet_targets(bundle.unet, BLOCKS, "Full")
    for text_encoder in bundle.text_encoders:
        targets += text_targets(text_encoder)
    by_name = {target.name: target for target in targets}
    foreign = [name for name in grouped if name not in by_name or "lora_down.weight" not in grouped[name]]
    if foreign:
        raise NetworkError(
            f"{len(foreign)} of its {len(grouped)} modules have no place in this model ({foreign[0]} …)",
            where=path.name,
            do=f"Choose a LoRA for {bundle.family.label}",
        )
    strength = Strength()
    adapters: list[Adapter] = [lora_from_tensors(by_name[name], strength, parts) for name, parts in grouped.items()]
    return Network(adapters, strength)
