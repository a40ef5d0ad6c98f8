"""A LoRA the plain way: the update added to the weights, no adapters. What the product computes is held against it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.networks.base import Network
from trainer.networks.lora import LoRA

KEPT = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
"""Stable Diffusion's share of signal left at every timestep, ``(1000,)``, written out once more."""


def merged_weights(network: Network, module: nn.Module, prefix: str, scale: float) -> dict[str, Tensor]:
    """The changed weights of ``module`` by their path, with their graph, for ``torch.func.functional_call``.

    Args:
        prefix: ``lora_unet`` or ``lora_te``, as files have it.
        scale: alpha over rank, as a number of its own.
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
