"""Names: which of the model's modules a network trains, in which block they stand, and what a file calls them.

Modules are chosen by their path in diffusers' and transformers' modules, never by class name, which changes between
versions of those libraries.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import nn

from .base import Target

_TRANSFORMER = re.compile(r"\.attentions\.\d+\.")
_ELEMENTS = {"Full": "", "CrossAttention": ".attn2.", "SelfAttention": ".attn1."}
_UNET_PLACE = re.compile(r"(down|up)_blocks[._](\d+)[._](resnets|attentions|downsamplers|upsamplers)[._](\d+)")
_SGM_PLACE = re.compile(r"(input|middle|output)_blocks?_(\d+)")
_TEXT_LAYER = re.compile(r"^(?:text_model\.)?(encoder\.layers\.\d+\.(?:self_attn|mlp)\..+)$")


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
        return "BASE"
    path = name.removeprefix("lora_unet_")
    found = _SGM_PLACE.match(path)
    if not found:
        return unet_block(path)
    return "M00" if found[1] == "middle" else f"{'IN' if found[1] == 'input' else 'OUT'}{int(found[2]):02d}"


def unet_targets(unet: nn.Module, blocks: Collection[str], element: str) -> list[Target]:
    """The linears and 1×1 convolutions of the transformer blocks (``lierla``) in ``blocks``.

    Args:
        unet: diffusers' U-Net.
        blocks: names such as ``IN01``; see :func:`unet_block`.
        element: ``Full``, ``CrossAttention`` (only ``attn2``) or ``SelfAttention`` (only ``attn1``).
    """
    wanted = _ELEMENTS[element]
    targets = []
    for path, module in unet.named_modules():
        if not _is_matrix(module) or not _TRANSFORMER.search(path) or wanted not in path:
            continue
        if unet_block(path) in blocks:
            targets.append(Target(unet_name(path), module, "unet"))
    return targets


def text_targets(text_encoder: nn.Module, prefix: str = "lora_te") -> list[Target]:
    """The linears of a CLIP text encoder's attention and feed-forward layers.

    File names always carry ``text_model``, which transformers 5 no longer has in its paths.
    """
    targets = []
    for path, module in text_encoder.named_modules():
        found = _TEXT_LAYER.match(path)
        if found and isinstance(module, nn.Linear):
            targets.append(Target(f"{prefix}_text_model_{found[1].replace('.', '_')}", module, "text"))
    return targets


def unet_name(path: str) -> str:
    """The kohya name of a U-Net module: ``lora_unet_`` and diffusers' path with ``_`` for ``.``."""
    return "lora_unet_" + path.replace(".", "_")


def _is_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1))
