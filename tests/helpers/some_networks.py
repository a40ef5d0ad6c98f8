"""Networks with random numbers in them, on small models, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from lycoris.modules import get_module, make_module
from torch import Tensor, nn

from tests.helpers.checkpoints import SDXL, UNET, unet_shapes
from trainer.config.settings import Settings
from trainer.models.base import Bundle
from trainer.networks.base import Network, build
from trainer.networks.files import file
from trainer.networks.registry import builder, targets_of


def some_settings(network_type: str = "lierla", **changes: Any) -> Settings:
    given = Settings(network_rank=4, network_alpha=2.0, network_conv_rank=2, network_conv_alpha=3.0)
    return replace(given, network_type=network_type, **changes)


def some_network(bundle: Bundle, settings: Settings, *, text: bool = True, seed: int = 3) -> Network:
    """One whose update changes images, at every module and none of it zero."""
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


def apply_by_lycoris(path: Path, bundle: Bundle) -> None:
    """Put a file on a model for good, by LyCORIS's modules, made by it from the tensors; every key has to be used."""
    weights, layers = file.read(path)[0], layers_by_name(bundle)
    for name in {key.partition(".")[0] for key in weights}:
        kind, parts = get_module(weights, name)
        assert len([part for part in parts if part is not None]) == sum(key.startswith(f"{name}.") for key in weights)
        theirs = make_module(kind, parts, name, layers[name])
        theirs.multiplier = 1.0
        theirs.apply_to()


def layers_by_name(bundle: Bundle) -> dict[str, nn.Module]:
    """Every linear and convolution by the name files have for it, made without our own tables."""
    layers = {}
    original = {}
    if bundle.family.name == "SDXL":
        empty = {UNET + name: torch.empty(shape, device="meta") for name, shape in unet_shapes(SDXL).items()}
        names = {id(tensor): name.removeprefix(UNET) for name, tensor in empty.items()}
        config: Any = bundle.denoiser.config
        converted = convert_ldm_unet_checkpoint(dict(empty), config=dict(config))
        original = {name: names[id(tensor)] for name, tensor in converted.items()}
    for name, module in bundle.denoiser.named_modules():
        path = original.get(f"{name}.weight", name).removesuffix(".weight")
        layers["lora_unet_" + path.replace(".", "_")] = module
    for number, encoder in enumerate(bundle.text_encoders, 1):
        prefix = "lora_te" if len(bundle.text_encoders) == 1 else f"lora_te{number}"
        for name, module in encoder.named_modules():
            layers[f"{prefix}_text_model_" + name.removeprefix("text_model.").replace(".", "_")] = module
    return layers
