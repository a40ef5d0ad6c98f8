"""Checkpoint files' names (LDM's) -> diffusers' and transformers' names, for the parts of a checkpoint.

The tensors stay the same ones, some looked at through a view: a VAE's attention, where it is stored as 1×1
convolutions, and OpenCLIP's queries, keys and values, which are stored as one matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...config.imports import without_advice
from .shapes import Shape, count

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."
OPEN_CLIP = "cond_stage_model.model."
CONDITIONER = "conditioner.embedders."
PROJECTION = "text_projection.weight"
"""transformers' name of what projects the pooled output; it stands outside the text model's level."""


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """The shapes by name, as plain tuples."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def unet_from_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A U-Net's tensors (without prefix) under diffusers' names."""
    with without_advice():
        from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    inputs = count(tensors, r"input_blocks\.(\d+)\.")
    levels = 1 + sum(name.startswith("input_blocks.") and name.endswith(".0.op.weight") for name in tensors)
    config: dict[str, Any] = {"layers_per_block": inputs // levels - 1}
    if any(name.startswith("label_emb.") for name in tensors):
        config["addition_embed_type"] = "text_time"
    prefixed = {UNET + name: tensor for name, tensor in tensors.items()}
    return convert_ldm_unet_checkpoint(prefixed, config)


def vae_from_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A VAE's tensors (without prefix) under diffusers' names."""
    with without_advice():
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
    ignored = ("logit_scale",)
    return {name.removeprefix("text_model."): tensor for name, tensor in tensors.items() if name not in ignored}


def text_from_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Text encoders' tensors as hosts have them, under the prefixes of checkpoint files.

    Forge and its kin call them ``clip_l``, ``clip_g`` and ``clip_h``; what has a file's prefix already keeps it.
    """
    has_two = any(name.startswith("clip_g.") for name in tensors)
    homes = {
        "clip_l.transformer.": f"{CONDITIONER}0.transformer." if has_two else CLIP,
        "clip_g.transformer.": f"{CONDITIONER}1.model.",
        "clip_h.transformer.": OPEN_CLIP,
        **{prefix: prefix for prefix in (CLIP, OPEN_CLIP, CONDITIONER)},
    }
    return {
        home + name[len(start) :]: tensor
        for name, tensor in tensors.items()
        for start, home in homes.items()
        if name.startswith(start)
    }


_OPEN_CLIP_NAMES = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_OPEN_CLIP_LAYER = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}  # fmt: skip
_OPEN_CLIP_IGNORED = ("logit_scale", "attn_mask")


def clip_from_open_clip(tensors: Mapping[str, Tensor], *, last_layer: bool = True) -> dict[str, Tensor]:
    """An OpenCLIP text encoder's tensors (without prefix) under transformers' names, without ``text_model.``.

    Args:
        last_layer: whether the last layer is wanted.

    Names that are not OpenCLIP's are taken for transformers', which is what some hosts have in memory.

    Raises:
        ValueError: a layer has no number, or its queries, keys and values are not three alike.
    """
    start = "transformer.resblocks."
    depth = count(tensors, r"transformer\.resblocks\.(\d+)\.") - (0 if last_layer else 1)
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name == "text_projection":
            renamed[PROJECTION] = tensor.T  # OpenCLIP multiplies by it from the right
        elif name.startswith(start):
            number, _, rest = name[len(start) :].partition(".")
            if int(number) < depth:
                renamed.update(_open_clip_layer(f"encoder.layers.{number}", rest, tensor))
        elif name not in _OPEN_CLIP_IGNORED:
            renamed[_OPEN_CLIP_NAMES.get(name, name.removeprefix("text_model."))] = tensor
    return renamed


def _open_clip_layer(layer: str, name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name.startswith("attn.in_proj_"):
        ending = name.removeprefix("attn.in_proj_")
        return {
            f"{layer}.self_attn.{part}_proj.{ending}": view for part, view in zip("qkv", tensor.chunk(3), strict=True)
        }
    module, _, ending = name.rpartition(".")
    return {f"{layer}.{_OPEN_CLIP_LAYER.get(module, module)}.{ending}": tensor}
