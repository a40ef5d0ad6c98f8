"""Sizes of a model read from the shapes of its tensors, under diffusers' and transformers' names.

So a small model of a family and the full one go the same way, and no list of configurations is kept. What shapes do not
show (heads of attention, groups of normalisation) the family says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

SIZE_WIDTH = 256
"""Sines and cosines that each of SDXL's size numbers becomes."""

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


def unet_config(shapes: Shapes, *, heads: Callable[[int], int], norm_groups: int) -> dict[str, Any]:
    """Arguments for diffusers' ``UNet2DConditionModel``.

    Args:
        heads: attention heads of a level, from its width.

    Raises:
        KeyError: tensors every U-Net has are missing.
    """
    down = [f"down_blocks.{level}" for level in range(count(shapes, r"down_blocks\.(\d+)\."))]
    up = [f"up_blocks.{level}" for level in range(count(shapes, r"up_blocks\.(\d+)\."))]
    keys = [name for name in shapes if name.endswith("attn2.to_k.weight")]
    project = next(name for name in shapes if name.endswith("proj_in.weight"))
    widths = tuple(shapes[f"{block}.resnets.0.conv1.weight"][0] for block in down)
    depths = [_depth(shapes, block) for block in down]
    config = {
        "in_channels": shapes["conv_in.weight"][1],
        "out_channels": shapes["conv_out.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": count(shapes, r"down_blocks\.0\.resnets\.(\d+)\."),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "up_block_types": tuple("CrossAttnUpBlock2D" if _depth(shapes, block) else "UpBlock2D" for block in up),
        "cross_attention_dim": shapes[keys[0]][1],
        # diffusers' name; for these models it has always been the number of heads
        "attention_head_dim": tuple(heads(width) for width in widths),
        "transformer_layers_per_block": tuple(depth or 1 for depth in depths),
        "use_linear_projection": len(shapes[project]) == 2,
        "norm_num_groups": norm_groups,
    }
    if "add_embedding.linear_1.weight" in shapes:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = SIZE_WIDTH
        config["projection_class_embeddings_input_dim"] = shapes["add_embedding.linear_1.weight"][1]
    return config


def vae_config(shapes: Shapes, *, norm_groups: int, scaling_factor: float) -> dict[str, Any]:
    """Arguments for diffusers' ``AutoencoderKL``.

    Raises:
        KeyError: tensors every VAE has are missing.
    """
    levels = count(shapes, r"encoder\.down_blocks\.(\d+)\.")
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": tuple(
            shapes[f"encoder.down_blocks.{level}.resnets.0.conv1.weight"][0] for level in range(levels)
        ),
        "layers_per_block": count(shapes, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "norm_num_groups": norm_groups,
        "scaling_factor": scaling_factor,
    }


def clip_config(shapes: Shapes, *, head_size: int = 64, exact_gelu: bool = False) -> dict[str, Any]:
    """Arguments for transformers' ``CLIPTextConfig``; names without the ``text_model.`` level.

    Args:
        exact_gelu: OpenCLIP's activation instead of OpenAI's approximation.

    Raises:
        KeyError: tensors every CLIP text encoder has are missing.
    """
    vocabulary, width = shapes["embeddings.token_embedding.weight"]
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "num_hidden_layers": count(shapes, r"encoder\.layers\.(\d+)\."),
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "num_attention_heads": max(1, width // head_size),
        "projection_dim": shapes.get("text_projection.weight", (width,))[0],
        "hidden_act": "gelu" if exact_gelu else "quick_gelu",
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    }


def count(names: Iterable[str], pattern: str) -> int:
    """How many there are of what ``pattern``'s group numbers: the highest number found, and one."""
    compiled = re.compile(pattern)
    numbers = [int(found[1]) for found in map(compiled.match, names) if found]
    return max(numbers, default=-1) + 1


def _depth(shapes: Shapes, block: str) -> int:
    """Transformer blocks in each attention of a level; 0 where it has none."""
    return count(shapes, rf"{re.escape(block)}\.attentions\.0\.transformer_blocks\.(\d+)\.")
