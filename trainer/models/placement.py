"""Where the parts of a model are and in which precision: cast once, moved when they are needed or no longer are."""

from __future__ import annotations

import torch
from torch import nn

from .base import Bundle
from .weights import cast


def place(bundle: Bundle, device: torch.device, base: torch.dtype, vae: torch.dtype) -> None:
    """Bring U-Net and text encoders to ``device`` in ``base``; the VAE gets its dtype and waits on the CPU.

    Weights that are already there in that dtype are not copied.
    """
    for module in (bundle.unet, *bundle.text_encoders):
        cast(module, base).to(device)
    cast(bundle.vae, vae).to("cpu")


def place_for_pictures(bundle: Bundle, device: torch.device) -> None:
    """Everything as it is stored, in float32 on the CPU, whose half precision is slow; the VAE always in float32."""
    stored = bundle.dtypes["unet"]
    place(bundle, device, torch.float32 if device.type == "cpu" else stored, torch.float32)


def text_to(bundle: Bundle, device: torch.device | str) -> None:
    """Move the text encoders."""
    for text_encoder in bundle.text_encoders:
        text_encoder.to(device)


def device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def dtype_of(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
