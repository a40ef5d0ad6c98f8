"""Names of a file's tensors as the original code has them, where a tool or a trainer has changed all of them.

A training framework saves what it holds: the whole model under one more level (``model.``, ``module.``,
``state_dict.``), or the U-Net as the moving average of its weights alone, whose names have lost their dots.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TypeVar

Value = TypeVar("Value")

_STARTS = (
    "model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.embedders.", "model_ema.",
    "input_blocks.0.0.", "conv_in.", "encoder.conv_in.", "decoder.conv_in.", "encoder.down.", "unet.conv_in.",
    "lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "text_model.encoder.layers.0.",
)  # fmt: skip
"""How names begin in files without such a level."""
_LEVELS = re.compile(rf"(?:(?:state_dict|module|model|ema_model|ema)\.){{1,4}}?(?={'|'.join(map(re.escape, _STARTS))})")
_AVERAGE = "model_ema.diffusion_model"
_UNET = "model.diffusion_model."
_WORD = re.compile(
    r"(?P<block>input_blocks|output_blocks)(?P<number>\d+)(?P<place>\d)"
    r"|(?P<label>label_emb)(?P<outer>\d)(?P<inner>\d)"
    r"|middle_block|transformer_blocks|time_embed|in_layers|out_layers|emb_layers|skip_connection|proj_in|proj_out"
    r"|to_q|to_k|to_v|to_out|attn1|attn2|norm1|norm2|norm3|norm|net|ff|proj|conv|out|op|weight|bias|\d+"
)
"""A part of a U-Net tensor's name. Of the digits behind a block the last one is the place in it."""


def with_own_names(tensors: Mapping[str, Value]) -> Mapping[str, Value]:
    """The same tensors under the names of the original code; as they are if they have those already."""
    return _with_averages(_without_level(tensors))


def has_averages_only(names: Collection[str]) -> bool:
    """Whether a file, by its own names, has the moving average of a U-Net's weights and not the weights."""
    return _holds(names, _AVERAGE) and not _holds(names, _UNET)


def _holds(names: Collection[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)


def _without_level(tensors: Mapping[str, Value]) -> Mapping[str, Value]:
    """What is beside the level (an optimizer's state) keeps its name."""
    if any(name.startswith(_STARTS) for name in tensors):
        return tensors
    level = next((found[0] for found in map(_LEVELS.match, tensors) if found), None)
    return tensors if level is None else {name.removeprefix(level): tensor for name, tensor in tensors.items()}


def _with_averages(tensors: Mapping[str, Value]) -> Mapping[str, Value]:
    """An average takes the place of the weights where they are missing."""
    if not has_averages_only(tensors):
        return tensors
    return {_name_of_average(name) or name: tensor for name, tensor in tensors.items()}


def _name_of_average(name: str) -> str | None:
    """``model.diffusion_model.input_blocks.1.0.op.weight`` for ``model_ema.diffusion_modelinput_blocks10opweight``."""
    if not name.startswith(_AVERAGE):
        return None
    parts, at = [], len(_AVERAGE)
    while at < len(name):
        found = _WORD.match(name, at)
        if found is None:
            return None
        parts += [part for part in found.groups() if part] or [found[0]]
        at = found.end()
    return _UNET + ".".join(parts)
