"""What networks are attached to: modules of the model, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Target:
    """One module of the model that a network is attached to."""

    name: str
    """The adapter's name in the file, e.g. ``lora_unet_mid_block_attentions_0_proj_in``."""
    module: nn.Module
    """The model's own Linear or Conv2d; its weights stay as they are."""
    part: str
    """The part of the model it belongs to, as in :mod:`.checkpoint.parts`."""
    depth: int = 1
    """How many layers like its own follow one another there, each adding to what the one before it hands on."""
    reads_prompt: bool = False
    """Whether what it reads are the states of a prompt (:meth:`.Family.states_of`), and nothing else."""
    reads: str = ""
    """Names its input: modules of one name are given the same tensor, one right after the other. Empty: no other is."""


@dataclass(frozen=True)
class TargetChoice:
    """Which modules are trained.

    Attributes:
        blocks: of the denoiser, by the family's names; those a model does not have are passed over.
        element: ``Full``, ``CrossAttention`` or ``SelfAttention``. The last two are about attention alone: with them
            nothing around the transformers is trained, whatever ``include_resnets`` says.
        include_resnets: not only the transformers, but also the blocks around them, where a family has any.
        text_encoders: whether theirs are trained as well.
    """

    blocks: Collection[str]
    element: str = "Full"
    include_resnets: bool = False
    text_encoders: bool = False
