"""A LoRA the plain way: the update added to the weights, no adapters. What the product computes is held against it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.config.choices import BLOCKS
from trainer.models.base import Bundle
from trainer.models.stable_diffusion.lora_targets import text_targets, unet_targets
from trainer.networks.base import Network, Ranks, build, builder_of
from trainer.networks.lora import LoRA

KEPT = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
"""Stable Diffusion's share of signal left at every timestep, ``(1000,)``, written out once more."""


def double_network(bundle: Bundle, *, text: bool, rank: int = 3, alpha: float = 6.0, seed: int = 5) -> Network:
    """A LoRA in double precision at every module of the U-Net, and of the text encoder; its update is not zero."""
    targets = unet_targets(bundle.denoiser, BLOCKS, "Full")
    if text:
        targets += text_targets(bundle.text_encoders[0])
    generator = torch.Generator().manual_seed(seed)
    network = build(targets, builder_of(LoRA, Ranks(rank, alpha), torch.float64, torch.device("cpu")), generator)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network


def merged_weights(network: Network, module: nn.Module, prefix: str, scale: float) -> dict[str, Tensor]:
    """The changed weights of ``module`` by their path, with their graph, for ``torch.func.functional_call``.

    Args:
        prefix: ``lora_unet`` or ``lora_te``, as files have it.
        scale: alpha over rank, as a separate number.
    """
    merged = {}
    for path, child in module.named_modules():
        name = f"{prefix}_{path.replace('.', '_')}"
        if prefix == "lora_te" and "text_model" not in name:
            name = name.replace("lora_te_", "lora_te_text_model_")
        adapter = next((one for one in network if one.name == name), None)
        if isinstance(adapter, LoRA):
            product = adapter.up.flatten(1) @ adapter.down.flatten(1)
            merged[f"{path}.weight"] = child.weight + scale * product.view_as(child.weight)
    return merged
