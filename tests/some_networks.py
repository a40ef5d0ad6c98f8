"""Networks with random numbers in them, on small models, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trainer.models.base import Bundle
from trainer.networks.base import Network, build
from trainer.networks.registry import builder, targets_of
from trainer.settings import Settings


def some_settings(network_type: str = "lierla", **changes: object) -> Settings:
    given = {"network_rank": 4, "network_alpha": 2.0, "network_conv_rank": 2, "network_conv_alpha": 3.0, **changes}
    return replace(Settings(), network_type=network_type, **given)


def some_network(
    bundle: Bundle, settings: Settings, *, text: bool = True, seed: int = 3, size: float = 0.05
) -> Network:
    """One whose update changes pictures, at every module and none of it zero."""
    generator = torch.Generator().manual_seed(seed)
    make = builder(settings, torch.float32, torch.device("cpu"))
    network = build(targets_of(bundle, settings, trains_text=text), make, generator)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    if settings.network_type == "loha":  # a product of four or six: its spread is the product of theirs
        for adapter in network:
            adapter.multiply(0.05 / (1e-12 + adapter.norm()) * float(adapter.weight.norm()))
    return network


def predict(bundle: Bundle) -> Tensor:
    """What the model says of two noisy latents with two prompts, text encoders included."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 16, 16, generator=generator)
    with torch.no_grad():
        conditioning = bundle.encode(["a red circle", "something else, large"])
        return bundle.predict(latents, torch.tensor([10, 800]), conditioning)
