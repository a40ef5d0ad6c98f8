"""Images <-> latents, through a model's VAE."""

from __future__ import annotations

from torch import Tensor, nn

from .base import Bundle


def encode_images(bundle: Bundle, pixels: Tensor) -> Tensor:
    """The latents of images, normalised as the denoiser knows them.

    Args:
        bundle: the model; gradients flow through its VAE if the caller's grad mode is on.
        pixels: ``(B, 3, H, W)`` in -1 … 1, sides multiples of the family's; brought to the VAE's device and type.

    Returns:
        ``(B, C, h, w)`` on the VAE's device, in its type.
    """
    return bundle.family.encode_images(bundle, _like_weights(bundle.vae, pixels))


def decode(bundle: Bundle, latents: Tensor) -> Tensor:
    """The images of latents ``(B, C, h, w)``: ``(B, 3, H, W)``, about -1 … 1, in the VAE's type."""
    return bundle.family.decode(bundle, _like_weights(bundle.vae, latents))


def _like_weights(vae: nn.Module, tensor: Tensor) -> Tensor:
    weight = next(vae.parameters())
    return tensor.to(device=weight.device, dtype=weight.dtype)
