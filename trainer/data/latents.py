"""Samples as the loop takes them: latents and masks made once, in batches, and captions by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.base import Bundle
from ..models.latents import encode_images
from ..models.placement import device_of, dtype_of
from ..settings import Settings
from .loader import Batches
from .scan import Sample, Scan, pixels_of

_PIXELS_AT_ONCE = 4 * 512 * 512
_MOST_RESIDENT = 512 * 2**20
"""Bytes of latents that stay on the device; more than that wait in the machine's memory."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        latents: ``(B, C, h, w)`` on the device, in the model's precision.
        mask: ``(B, 1, h, w)`` from 0 to 1, or None where everything counts.
        captions: the number of each sample's caption in :attr:`Dataset.captions`.
        names: each sample's file name.
    """

    latents: Tensor
    mask: Tensor | None
    captions: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """All samples of a run; which of them make a step depends on the step's number alone."""

    samples: tuple[Sample, ...]
    captions: tuple[str, ...]
    """Every caption once."""
    batches: Batches
    _caption_numbers: tuple[int, ...]
    """Of each sample, its caption's place in ``captions``."""
    _latents: tuple[Tensor, ...]
    _masks: tuple[Tensor | None, ...]
    _device: torch.device

    def of_step(self, step: int) -> Batch:
        """The batch of a step, counted from 1."""
        count = len(self.samples)
        numbers = [number % count for number in self.batches.of_step(step)]
        latents = torch.stack([self._latents[number] for number in numbers]).to(self._device, non_blocking=True)
        return Batch(
            latents=latents,
            mask=self._mask(numbers, latents),
            captions=tuple(self._caption_numbers[number] for number in numbers),
            names=tuple(self.samples[number].path.name for number in numbers),
        )

    def _mask(self, numbers: list[int], latents: Tensor) -> Tensor | None:
        masks = [self._masks[number] for number in numbers]
        if all(mask is None for mask in masks):
            return None
        ones = torch.ones(1, *latents.shape[2:])
        return torch.stack([ones if mask is None else mask for mask in masks]).to(self._device, non_blocking=True)


@torch.no_grad()
def encode_samples(scan: Scan, bundle: Bundle, settings: Settings, progress: Progress) -> Dataset:
    """Latents of every distinct sample, through the VAE on the U-Net's device; the VAE is back on the CPU afterwards.

    Args:
        progress: told the phase, how many are done and of how many; raises to stop.

    Raises:
        DataError: a picture was there when it was scanned, but cannot be read now.
    """
    device, dtype = device_of(bundle.unet), dtype_of(bundle.unet)
    distinct = scan.distinct
    latents: dict[int, Tensor] = {}
    masks: dict[int, Tensor | None] = {}
    resident = _bytes(distinct, bundle, dtype) <= _MOST_RESIDENT
    bundle.vae.to(device)
    try:
        for numbers in _together(distinct):
            progress("encoding the pictures", len(latents), len(distinct))
            pixels, alphas = zip(*(pixels_of(distinct[number]) for number in numbers), strict=True)
            encoded = encode_images(bundle, _normalised(pixels)).to(dtype)
            for number, one, alpha in zip(numbers, encoded, alphas, strict=True):
                latents[number] = one if resident else one.cpu()
                masks[number] = None if alpha is None else _shrunk(alpha, bundle)
    finally:
        bundle.vae.to("cpu")
    progress("encoding the pictures", len(distinct), len(distinct))
    caption_numbers: dict[str, int] = {}
    for sample in distinct:
        caption_numbers.setdefault(sample.caption, len(caption_numbers))
    repeated = [sample.frame for sample in scan.samples]
    return Dataset(
        samples=distinct,
        captions=tuple(caption_numbers),
        batches=Batches(repeated, settings.train_batch_size, settings.train_seed),
        _caption_numbers=tuple(caption_numbers[sample.caption] for sample in distinct),
        _latents=tuple(latents[number] for number in range(len(distinct))),
        _masks=tuple(masks[number] for number in range(len(distinct))),
        _device=device,
    )


def _together(samples: tuple[Sample, ...]) -> list[list[int]]:
    """Numbers of samples that go through the VAE at once: of one frame, and not too many pixels."""
    by_frame: dict[tuple[int, int], list[int]] = {}
    for number, sample in enumerate(samples):
        by_frame.setdefault(sample.frame, []).append(number)
    groups = []
    for (width, height), numbers in by_frame.items():
        most = max(1, _PIXELS_AT_ONCE // (width * height))
        groups += [numbers[at : at + most] for at in range(0, len(numbers), most)]
    return groups


def _bytes(samples: tuple[Sample, ...], bundle: Bundle, dtype: torch.dtype) -> int:
    shapes = (bundle.latent_shape(sample.frame[1], sample.frame[0]) for sample in samples)
    return sum(channels * height * width for channels, height, width in shapes) * dtype.itemsize


def _normalised(pixels: tuple[np.ndarray, ...]) -> Tensor:
    """uint8 ``(h, w, 3)`` each to ``(B, 3, h, w)`` in -1…1."""
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    return stacked.float() / 127.5 - 1.0


def _shrunk(alpha: np.ndarray, bundle: Bundle) -> Tensor:
    """A mask ``(H, W)`` at the latents' size, ``(1, h, w)``: how much of each latent's pixels counts."""
    _, height, width = bundle.latent_shape(*alpha.shape)
    return F.adaptive_avg_pool2d(torch.from_numpy(alpha).float()[None], (height, width))
