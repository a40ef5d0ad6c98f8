"""Blocks: the numbered parts of a U-Net, as Stable Diffusion's own code counts them, and ``BASE`` for text encoders.

A module's path decides.
"""

from __future__ import annotations

import re

from ...config.choices import TEXT_ENCODERS

_UNET_PLACE = re.compile(r"(down|up)_blocks[._](\d+)[._](resnets|attentions|downsamplers|upsamplers)[._](\d+)")
_SGM_PLACE = re.compile(r"(input|middle|output)_blocks?_(\d+)")


def unet_block(path: str, layers_per_block: int = 2) -> str | None:
    """The block a U-Net module stands in: ``IN00`` … ``M00`` … ``OUT11``, or None for what belongs to no block.

    Stable Diffusion counts its input blocks as: the first convolution, then for every level its ``layers_per_block``
    layers and a down-sampler; output blocks likewise with one layer more, the up-sampler within the last.
    """
    if path.startswith("conv_in"):
        return "IN00"
    if path.startswith(("mid_block.", "mid_block_")):
        return "M00"
    found = _UNET_PLACE.match(path)
    if not found:
        return None
    direction, level, kind, index = found[1], int(found[2]), found[3], int(found[4])
    width = layers_per_block + 1
    if direction == "down":
        return f"IN{1 + level * width + (layers_per_block if kind == 'downsamplers' else index):02d}"
    return f"OUT{level * width + (layers_per_block if kind == 'upsamplers' else index):02d}"


def block_of(name: str) -> str | None:
    """The block of the module that an adapter of this name in a file belongs to; ``BASE`` for text encoders.

    Both ways of naming U-Net modules are known: diffusers' paths, and those of the original code.
    """
    if name.startswith("lora_te"):
        return TEXT_ENCODERS
    path = name.removeprefix("lora_unet_")
    found = _SGM_PLACE.match(path)
    if not found:
        return unet_block(path)
    return "M00" if found[1] == "middle" else f"{'IN' if found[1] == 'input' else 'OUT'}{int(found[2]):02d}"
