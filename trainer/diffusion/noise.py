"""Noise that is not white: with an offset of its own in each channel, or with coarser noise added to it.

White noise leaves the mean of an image nearly as it was, so a model learns that dark and bright are not its business.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from .random import StepRandom
from .seeds import mixed_seed

_PYRAMID_STREAM = 7 << 32  # no step has this number


def offset_noise(
    noise: Tensor, latents: Tensor, rng: StepRandom, offset: float, *, adaptive: float = 0.0, is_random: bool = False
) -> Tensor:
    """``noise + f d`` with one number ``d ~ N(0, 1)`` for each channel of each sample (Guttenberg 2023).

    ``f = max(0, offset + adaptive * |mean of the channel's latents|)``, as in sd-scripts.

    Args:
        noise, latents: ``(B, C, h, w)``.
        is_random: the offset is a share of ``offset``, drawn once a batch.
    """
    device = rng.generator.device
    strength: Tensor | float = offset
    if is_random:
        strength = offset * torch.rand((), generator=rng.generator, device=device).to(noise.dtype)
    if adaptive:
        means = latents.mean(dim=(2, 3), keepdim=True).abs().to(noise.dtype)  # (B, C, 1, 1)
        strength = (strength + adaptive * means).clamp(min=0.0)
    return noise + strength * rng.noise((*noise.shape[:2], 1, 1), noise.dtype)


def pyramid_noise(noise: Tensor, rng: StepRandom, iterations: int, discount: float) -> Tensor:
    """``noise`` and ever coarser noise, divided by the standard deviation of it all (Whitaker 2023).

    The one added at ``i = 0, 1, …`` is ``discount^i`` times noise with sides divided by ``r^i``, enlarged bilinearly,
    with a new ``r`` from 2 to 4 each time; the last one is that of a single pixel.
    https://wandb.ai/johnowhitaker/multires_noise

    Args:
        noise: ``(B, C, h, w)``.
        iterations: how many there are at most.
    """
    ratios = random.Random(mixed_seed(rng.seed, _PYRAMID_STREAM, rng.step))  # on the host, where sizes are needed
    height, width = noise.shape[2:]
    for number in range(iterations):
        ratio = (2.0 + 2.0 * ratios.random()) ** number
        size = max(1, int(height / ratio)), max(1, int(width / ratio))
        coarse = rng.noise((*noise.shape[:2], *size), noise.dtype)
        noise = noise + discount**number * F.interpolate(coarse, (height, width), mode="bilinear")
        if size == (1, 1):
            break
    return noise / noise.std()
