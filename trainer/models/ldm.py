"""Checkpoint files' names (LDM's) -> diffusers' and transformers' names, for the parts of a checkpoint.

The tensors stay the same ones; only a VAE's attention, where it is stored as 1×1 convolutions, is looked at through a
view of two dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .shapes import Shape, count

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """The shapes by name, as plain tuples."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def unet_from_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A U-Net's tensors (without prefix) under diffusers' names."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    inputs = count(tensors, r"input_blocks\.(\d+)\.")
    levels = 1 + sum(name.startswith("input_blocks.") and name.endswith(".0.op.weight") for name in tensors)
    config: dict[str, Any] = {"layers_per_block": inputs // levels - 1}
    prefixed = {UNET + name: tensor for name, tensor in tensors.items()}
    return convert_ldm_unet_checkpoint(prefixed, config)


def vae_from_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A VAE's tensors (without prefix) under diffusers' names."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    levels = count(tensors, r"encoder\.down\.(\d+)\.")
    config = {"down_block_types": [""] * levels, "up_block_types": [""] * levels}
    known = {name: tensor for name, tensor in tensors.items() if not name.startswith(("loss.", "model_ema."))}
    return convert_ldm_vae_checkpoint(known, config)


def vae_with_new_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A diffusers-named VAE whose attention may have the names from before diffusers 0.17."""
    renamed = {}
    for name, tensor in tensors.items():
        if ".attentions.0." in name:
            for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
                name = name.replace(f".{old}.", f".{new}.")
            if tensor.ndim == 4:
                tensor = tensor[:, :, 0, 0]
        renamed[name] = tensor
    return renamed


def clip_without_level(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP text encoder's tensors without the ``text_model.`` level that files have and transformers 5 has not."""
    return {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
