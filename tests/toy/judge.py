"""Tells what a toy picture shows, by rendering what it might be and comparing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.toy.world import BACKGROUNDS, COLOURS, PLACES, SHAPES, SIDE, SIZES, coverage

MIN_CONTRAST = 50.0  # RGB units between shape and background
BORDER_TOLERANCE = 45.0  # RGB units
MIN_PLAIN_BORDER = 0.8  # share of border pixels that must look alike
BACKGROUND_TOLERANCE = 75.0  # RGB units
SHARPENING = 2.5  # so that blurred edges and a slightly uneven background do not count
MIN_AREA, MAX_AREA = 80.0, 1600.0  # px
MIN_BLOB_OVERLAP = 0.72  # below it the thing is no single shape: nothing is said about it
MIN_SHAPE_OVERLAP = 0.8
MIN_SHAPE_MARGIN = 0.005
SIZE_BORDER = sum(SIZES.values()) / 2


@dataclass(frozen=True)
class Verdict:
    """What the picture shows; None where it cannot be told. `rgb` and `area` (px) belong to the shape."""

    colour: str | None = None
    shape: str | None = None
    size: str | None = None
    background: str | None = None
    place: str | None = None
    rgb: tuple[float, float, float] | None = None
    area: float = 0.0
    overlap: float = 0.0


def _nearest(value: np.ndarray, palette: Mapping[str, tuple[int, int, int]]) -> tuple[str, float]:
    distances = {name: float(np.linalg.norm(value - np.asarray(colour))) for name, colour in palette.items()}
    name = min(distances, key=distances.__getitem__)
    return name, distances[name]


def _background(pixels: np.ndarray) -> np.ndarray | None:
    """The colour of the border (3,), or None where the border is not plain."""
    ring = np.concatenate([pixels[:2].reshape(-1, 3), pixels[-2:].reshape(-1, 3)])
    ring = np.concatenate([ring, pixels[2:-2, :2].reshape(-1, 3), pixels[2:-2, -2:].reshape(-1, 3)])
    colour = np.median(ring, axis=0)
    plain = np.linalg.norm(ring - colour, axis=1) < BORDER_TOLERANCE
    return colour if plain.mean() >= MIN_PLAIN_BORDER else None


def _separate(pixels: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The shape's colour (3,) and its soft mask (H, W), or None where nothing stands out."""
    difference = pixels - background
    contrast = np.linalg.norm(difference, axis=-1)
    strong = contrast > max(0.6 * np.percentile(contrast, 98.5), 0.6 * MIN_CONTRAST)
    if strong.sum() < MIN_AREA / 2:
        return None
    colour = np.median(pixels[strong], axis=0)
    direction = colour - background
    strength = float(np.linalg.norm(direction))
    if strength < MIN_CONTRAST:
        return None
    share = difference @ direction / strength**2
    return colour, np.clip(SHARPENING * (share - 0.5) + 0.5, 0.0, 1.0)


def _unit_area(shape: str) -> float:
    return float(coverage(shape, SIDE / 2, SIDE / 2, 12.0).sum()) / 12.0**2


_UNIT_AREAS = {shape: _unit_area(shape) for shape in SHAPES}


def _overlap(mask: np.ndarray, shape: str, x: float, y: float) -> tuple[float, float]:
    """The best overlap (soft intersection over union) of the mask with this shape, and the radius it has then."""
    radius = float(np.sqrt(mask.sum() / _UNIT_AREAS[shape]))
    best = (0.0, radius)
    for factor in (0.95, 1.0, 1.05):
        template = coverage(shape, x, y, factor * radius)
        overlap = float(np.minimum(mask, template).sum() / np.maximum(mask, template).sum())
        best = max(best, (overlap, factor * radius))
    return best


def judge(image: Image.Image | np.ndarray) -> Verdict:
    """The verdict on a picture: a PIL image or (64, 64, 3) uint8."""
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    pixels = image.astype(np.float64)
    border = _background(pixels)
    if border is None:
        return Verdict()
    name, distance = _nearest(border, BACKGROUNDS)
    background = name if distance <= BACKGROUND_TOLERANCE else None
    found = _separate(pixels, border)
    if found is None or not MIN_AREA <= found[1].sum() <= MAX_AREA:
        return Verdict(background=background)
    return _describe(*found, background)


def _describe(colour: np.ndarray, mask: np.ndarray, background: str | None) -> Verdict:
    area = float(mask.sum())
    rows, columns = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]] + 0.5
    x, y = float((mask * columns).sum() / area), float((mask * rows).sum() / area)
    overlaps = {shape: _overlap(mask, shape, x, y) for shape in SHAPES}
    first, second = sorted(SHAPES, key=lambda shape: overlaps[shape], reverse=True)[:2]
    overlap, radius = overlaps[first]
    if overlap < MIN_BLOB_OVERLAP:
        return Verdict(background=background)
    clear = overlap >= MIN_SHAPE_OVERLAP and overlap - overlaps[second][0] >= MIN_SHAPE_MARGIN
    small, large = SIZES
    return Verdict(
        colour=_nearest(colour, COLOURS)[0],
        shape=first if clear else None,
        size=small if radius < SIZE_BORDER else large,
        background=background,
        place=min(PLACES, key=lambda place: abs(PLACES[place] - x)),
        rgb=(float(colour[0]), float(colour[1]), float(colour[2])),
        area=area,
        overlap=overlap,
    )
