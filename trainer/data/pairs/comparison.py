"""Where the two images of a pair differ and by how much, before anything is trained: numbers, and an image of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ...config.settings import Settings
from ...config.size import Size
from ..images.decoding import Pixels
from ..samples import pixels_of
from .pair import Pair, difference

COMPARED_AT = Size(1024, 1024)
"""Larger pairs are compared at this area: no family exceeds it by default."""
_LEVELS = 765.0
"""The most that red, green and blue together can differ by."""
_ALIGNED_AT = 256
"""Side of the square of grey levels in which a shift is looked for."""
_SHIFT_HELPS = 0.6
"""A shift is believed if it leaves less than this share of the difference."""
_SMALL_SHARE = 0.01
_COOL, _HOT = (255, 80, 0), (255, 245, 120)


@dataclass(frozen=True)
class Comparison:
    """What differs.

    Attributes:
        original: the original as it is trained, uint8 (H, W, 3).
        amount: how much each pixel differs, float32 (H, W) from 0 to 1; 0 where it does not count as different.
        share: how much of the area differs, 0 to 1, of what both images show.
        mean: by how much it differs there on average, 0 to 1.
        shift: pixels to the right and down that the target seems to be moved by, as a share of width and height;
            (0, 0) if it does not.
    """

    original: Pixels
    amount: NDArray[np.float32]
    share: float
    mean: float
    shift: tuple[float, float]


def compare(pair: Pair, settings: Settings) -> Comparison:
    """Compare the images of a pair as they are trained: scaled, cropped, over grey where they are transparent.

    What counts as different is what a mask of the difference counts, see :func:`~trainer.data.pairs.pair.difference`.

    Raises:
        DataError: a file cannot be read any more; or with ``diff_use_diff_mask``, they differ nowhere.
    """
    sample = pair.placed(settings, COMPARED_AT).distinct[0]
    assert sample.target is not None
    (original, alpha), (target, target_alpha) = pixels_of(sample), pixels_of(sample.target)
    seen = np.ones(original.shape[:2], np.bool_)
    for mask in (alpha, target_alpha):
        if mask is not None:
            seen &= mask > 0
    differs = difference(original, target) & seen
    levels = np.abs(original.astype(np.int16) - target.astype(np.int16)).sum(axis=2)
    amount = np.where(differs, levels, 0).astype(np.float32) / np.float32(_LEVELS)
    count = int(differs.sum())
    return Comparison(
        original=original,
        amount=amount,
        share=count / max(1, int(seen.sum())),
        mean=float(amount.sum(dtype=np.float64)) / max(1, count),
        shift=shift_of(original, target) if count else (0.0, 0.0),
    )


def shift_of(original: Pixels, target: Pixels) -> tuple[float, float]:
    """How far the target seems to be moved as a whole, to the right and down, as shares of width and height.

    Found by phase correlation (Kuglin and Hines, 1975), and only believed where undoing it takes most of the
    difference away.
    """
    one, two = _grey(original), _grey(target)
    window = np.outer(np.hanning(_ALIGNED_AT), np.hanning(_ALIGNED_AT))
    spectra = [np.fft.rfft2((grey - grey.mean()) * window) for grey in (one, two)]
    cross = spectra[1] * np.conj(spectra[0])
    peak = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9), s=one.shape)
    down, across = (int(index) for index in np.unravel_index(int(peak.argmax()), peak.shape))
    down, across = (each - _ALIGNED_AT if each > _ALIGNED_AT // 2 else each for each in (down, across))
    if (down, across) == (0, 0) or max(abs(down), abs(across)) > _ALIGNED_AT // 4:
        return 0.0, 0.0
    here = (slice(max(0, -down), _ALIGNED_AT - max(0, down)), slice(max(0, -across), _ALIGNED_AT - max(0, across)))
    moved = np.roll(two, (-down, -across), (0, 1))
    left = float(np.abs(one - moved)[here].mean())
    before = float(np.abs(one - two)[here].mean())
    return (across / _ALIGNED_AT, down / _ALIGNED_AT) if left < _SHIFT_HELPS * before else (0.0, 0.0)


def heat(found: Comparison) -> Image.Image:
    """The original in faint grey, and over it what differs, the more the brighter; RGB of the compared size."""
    grey = Image.fromarray(found.original).convert("L")
    faint = grey.point([64 + level // 3 for level in range(256)]).convert("RGB")
    amount = Image.fromarray(np.rint(found.amount * 255).astype(np.uint8))
    if 0 < found.share < _SMALL_SHARE:  # else a few pixels would not be found once the image is made smaller
        amount = amount.filter(ImageFilter.MaxFilter(9))
    strength = np.asarray(amount).astype(np.float32)
    strongest = max(float(strength.max()), 1.0)
    warmth = (strength / strongest)[..., None]  # (H, W, 1)
    colours = np.array(_COOL, np.float32) * (1 - warmth) + np.array(_HOT, np.float32) * warmth
    cover = np.where(warmth > 0, 0.55 + 0.45 * warmth, 0)
    mixed = np.asarray(faint).astype(np.float32) * (1 - cover) + colours * cover
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def _grey(pixels: Pixels) -> NDArray[np.float64]:
    small = Image.fromarray(pixels).convert("L").resize((_ALIGNED_AT, _ALIGNED_AT), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float64)
