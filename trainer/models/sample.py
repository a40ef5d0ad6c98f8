"""Images from a model: its family's sampler with classifier-free guidance, the same image for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from ..errors import ModelError
from .base import Bundle
from .image_spec import ImageSpec
from .latents import decode
from .placement import broken_model, device_of, dtype_of, text_on, vae_on


@torch.no_grad()
def sample(
    bundle: Bundle, requests: Sequence[ImageSpec], *, check: Callable[[], None] = lambda: None
) -> list[Image.Image]:
    """One image per request, as :func:`sample_latents` makes them.

    Args:
        check: called before every step; raises to stop.

    Raises:
        ModelError: the family makes no images of that size; or what it makes is NaN, whatever the reason.
    """
    latents = sample_latents(bundle, requests, check=check)
    check()
    return decoded(bundle, latents)


@torch.no_grad()
def decoded(bundle: Bundle, latents: Tensor) -> list[Image.Image]:
    """The images of latents ``(B, C, h, w)``.

    Raises:
        ModelError: what the model makes is NaN, whatever the reason.
    """
    with vae_on(bundle, latents.device):
        pixels = decode(bundle, latents)
        if not bool(pixels.isfinite().all()):
            raise broken_model(bundle) or ModelError("models.nan_image", file=bundle.name)
        images = [_image(each) for each in pixels]
        del pixels
    return images


@torch.no_grad()
def sample_latents(
    bundle: Bundle, requests: Sequence[ImageSpec], *, check: Callable[[], None] = lambda: None
) -> Tensor:
    """The latents ``(B, C, h, w)`` of one image per request; the requests share steps, guidance and size, and run as
    one batch.

    The starting noise is drawn on the CPU with one generator per image, so an image depends neither on its neighbours
    nor on the device.

    Args:
        check: called before every step; raises to stop.

    Raises:
        ModelError: the family makes no images of that size.
    """
    first = requests[0]
    multiple = bundle.family.info.size_multiple
    if any(side % multiple for side in first.size):
        raise ModelError("models.other_size", size=first.size, family=bundle.family.label, multiple=multiple)
    shape = bundle.latent_shape(first.size)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(request.seed)) for request in requests]
    device = device_of(bundle.denoiser)
    latents = torch.stack(noise).to(device, dtype_of(bundle.denoiser))  # (B, C, H/8, W/8)
    guided = first.cfg > 1.0
    prompts = [request.prompt for request in requests]
    negatives = [request.negative for request in requests] if guided else []
    with text_on(bundle, device):
        conditioning = bundle.encode([*prompts, *negatives], size=first.size)
    if guided:
        conditioning = conditioning.without([len(prompts) + at for at, text in enumerate(negatives) if not text])

    sampler = bundle.family.sampler(bundle)
    for timestep in sampler.timesteps(first.steps):
        check()
        doubled = torch.cat([latents, latents]) if guided else latents
        steps = timestep.to(device).expand(len(doubled))
        prediction = bundle.predict(doubled, steps, conditioning)
        if guided:
            wanted, unwanted = prediction.chunk(2)
            prediction = unwanted + first.cfg * (wanted - unwanted)
        latents = sampler.step(prediction, timestep, latents)
    return latents


def is_black(image: Image.Image) -> bool:
    """Whether nothing is to be seen, as where a VAE or a LoRA does not go with the model."""
    return image.convert("RGB").getbbox() is None


def _image(pixels: Tensor) -> Image.Image:
    """``(3, H, W)`` in -1 … 1, as an image."""
    levels = (pixels.float() / 2 + 0.5).clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())
