"""By what an image is known again: exactly, by its pixels, and roughly, by its shape, also at another size or quality.

Both are made while an image is decoded anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .colours import as_rgb

_STRIP = 64
"""Rows that are hashed at once, so that no copy of a whole image is made."""
_SIDE = 16
"""Of the square of grey levels that images are compared by."""
_FLAT = 4.0
"""Levels by which they have to vary (standard deviation); what varies less has no shape to know it by."""
_ALIKE = 2.0
"""Levels by which two images that look alike may differ (root mean square): another size or JPEG quality changes about
one, another drawing of one person tens."""
MOST_COMPARED = 20_000
"""Of more images, which look alike is not looked for: the comparisons would take longer than the decoding."""
_BLOCK = 512

_IN_COLOURS = frozenset(("1", "L", "P", "RGB", "RGBA", "LA", "PA"))
_AVERAGED = frozenset(("L", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB"))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two files of one image have in common.

    Attributes:
        pixels: a hash of size and pixels; of a JPEG, of an eighth of its size, which is what is decoded of it.
        shape: the image as 16 by 16 grey levels; None for one that is nearly flat.
    """

    pixels: bytes
    shape: bytes | None


@dataclass(frozen=True)
class Copies:
    """Which of several images are there more than once.

    Attributes:
        same: pairs of indices: an image, and the first one with the same pixels.
        alike: pairs of indices likewise, of images that look the same but for size, quality or small changes.
    """

    same: tuple[tuple[int, int], ...] = ()
    alike: tuple[tuple[int, int], ...] = ()


def fingerprint_of(
    image: Image.Image, size: tuple[int, int], upright: Callable[[Image.Image], Image.Image]
) -> Fingerprint:
    """Made of an image that is decoded.

    Args:
        size: in its file, of which ``image`` may be less.
        upright: turns an image as its file says.
    """
    return Fingerprint(_hash_of(image, size), _shape_of(upright(_sampled(image))))


def copies_among(prints: Sequence[Fingerprint], check: Callable[[], None] | None = None) -> Copies:
    """Find the images that are there more than once, each together with the first of its like.

    Args:
        check: called now and then; may raise to stop.
    """
    first: dict[bytes, int] = {}
    same = []
    for number, each in enumerate(prints):
        if first.setdefault(each.pixels, number) != number:
            same.append((number, first[each.pixels]))
    distinct = [number for number in first.values() if prints[number].shape is not None]
    if len(distinct) > MOST_COMPARED:
        return Copies(tuple(same))
    return Copies(tuple(same), tuple(_alike(prints, distinct, check)))


def _alike(
    prints: Sequence[Fingerprint], numbers: Sequence[int], check: Callable[[], None] | None
) -> list[tuple[int, int]]:
    """The square of a difference is that of one, and of the other, without twice their product."""
    if len(numbers) < 2:
        return []
    grey = np.frombuffer(b"".join(prints[number].shape or b"" for number in numbers), np.uint8)
    grey = grey.reshape(len(numbers), -1).astype(np.float32)
    grey -= grey.mean(axis=1, keepdims=True)  # one may be brighter as a whole
    squares = (grey * grey).sum(axis=1)
    first: dict[int, int] = {}
    for start in range(0, len(numbers), _BLOCK):
        if check is not None:
            check()
        block = slice(start, start + _BLOCK)
        products = grey[block] @ grey[: start + _BLOCK].T
        distances = squares[block, None] + squares[None, : start + _BLOCK] - 2 * products
        for row, column in np.argwhere(distances <= _ALIKE**2 * _SIDE**2).tolist():
            if column < start + row:
                first.setdefault(start + row, column)
    return [(numbers[later], numbers[earlier]) for later, earlier in sorted(first.items())]


def _hash_of(image: Image.Image, size: tuple[int, int]) -> bytes:
    found = hashlib.blake2b(f"{size} {image.size}".encode(), digest_size=16)
    for top in range(0, image.height, _STRIP):
        end = min(top + _STRIP, image.height)
        # As crop(), which Pillow's limit of the process may forbid.
        box = (0, top, image.width, end)
        strip = image.resize((image.width, end - top), Image.Resampling.NEAREST, box=box)
        found.update((strip.convert("RGBA") if strip.mode in _IN_COLOURS else strip).tobytes())
    return found.digest()


def _sampled(image: Image.Image) -> Image.Image:
    """The image made small, in whatever mode it is; of palettes and of 16 bits, some of its points."""
    size = (min(image.width, 4 * _SIDE), min(image.height, 4 * _SIDE))
    kind = Image.Resampling.BOX if image.mode in _AVERAGED else Image.Resampling.NEAREST
    return image.resize(size, kind)


def _shape_of(sampled: Image.Image) -> bytes | None:
    rgb, alpha = as_rgb(sampled)
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, (128, 128, 128)), alpha)
    grey = np.asarray(rgb.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    return grey.tobytes() if float(grey.std()) >= _FLAT else None
