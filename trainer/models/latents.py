"""Images <-> latents, through a model's VAE."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .base import Bundle


def encode_images(bundle: Bundle, pixels: Tensor) -> Tensor:
    """The latents of images: the mean of the VAE's posterior, ``(z - shift) * scaling_factor``.

    Args:
        bundle: the model; gradients flow through its VAE if the caller's grad mode is on.
        pixels: ``(B, 3, H, W)`` in -1 … 1, sides multiples of 8; brought to the VAE's device and type.

    Returns:
        ``(B, C, H/8, W/8)`` on the VAE's device, in its type.
    """
    vae: Any = bundle.vae
    mean = vae.encode(_like_weights(vae, pixels)).latent_dist.mean
    return (mean - bundle.shift) * bundle.scaling_factor


def decode(bundle: Bundle, latents: Tensor) -> Tensor:
    """The images of latents ``(B, C, h, w)``: ``(B, 3, 8h, 8w)``, about -1 … 1, in the VAE's type."""
    vae: Any = bundle.vae
    return vae.decode(_like_weights(vae, latents) / bundle.scaling_factor + bundle.shift).sample


def _like_weights(vae: Any, tensor: Tensor) -> Tensor:
    weight = next(vae.parameters())
    return tensor.to(device=weight.device, dtype=weight.dtype)
