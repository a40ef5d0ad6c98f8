"""The toy world: one coloured shape on a plain background, and the captions that describe it.

Pictures are (64, 64, 3) uint8 RGB. Everything random comes from the `numpy.random.Generator` that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

SIDE = 64

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 35, 35),
    "green": (35, 170, 60),
    "blue": (35, 60, 215),
    "yellow": (240, 220, 40),
    "purple": (150, 25, 195),
    "orange": (245, 135, 30),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (244, 244, 244),
    "black": (14, 14, 14),
    "gray": (128, 128, 128),
    "cyan": (90, 215, 225),
}
SHAPES = ("circle", "square", "triangle")
SIZES: dict[str, float] = {"small": 9.5, "large": 15.5}  # radius of the circle, px
PLACES: dict[str, float] = {"left": 18.0, "centre": 32.0, "right": 46.0}  # x of the middle, px

# Half side of the square and circumradius of the triangle, in circle radii: the areas are alike, the outlines are not.
SQUARE_HALF_SIDE = 0.9
TRIANGLE_RADIUS = 1.2

RADIUS_JITTER = 0.7
X_JITTER = 1.2
Y_JITTER = 2.0
COLOUR_JITTER = 8


@dataclass(frozen=True)
class Scene:
    """What a picture shows, in words."""

    colour: str
    shape: str
    size: str
    background: str
    place: str


ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "size": tuple(SIZES),
    "background": tuple(BACKGROUNDS),
    "place": tuple(PLACES),
}


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene with every attribute drawn evenly."""
    return Scene(**{name: str(rng.choice(values)) for name, values in ATTRIBUTES.items()})


def coverage(shape: str, x: float, y: float, radius: float, side: int = SIDE) -> np.ndarray:
    """How much of each pixel the shape covers: (side, side) float64 in 0..1, with soft edges one pixel wide."""
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    dx, dy = columns - x, rows - y
    if shape == "circle":
        distance = np.hypot(dx, dy) - radius
    elif shape == "square":
        distance = np.maximum(abs(dx), abs(dy)) - SQUARE_HALF_SIDE * radius
    elif shape == "triangle":
        slopes = np.maximum(np.sqrt(0.75) * dx - 0.5 * dy, -np.sqrt(0.75) * dx - 0.5 * dy)
        distance = np.maximum(slopes, dy) - 0.5 * TRIANGLE_RADIUS * radius
    else:
        raise ValueError(f"no such shape: {shape}")
    return np.clip(0.5 - distance, 0.0, 1.0)


def paint(mask: np.ndarray, colour: Sequence[float], background: Sequence[float]) -> np.ndarray:
    """The colour over the background where the mask (H, W) says so: (H, W, 3) uint8."""
    pixels = mask[..., None] * np.asarray(colour) + (1.0 - mask[..., None]) * np.asarray(background)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def render(scene: Scene, rng: np.random.Generator | None = None) -> np.ndarray:
    """The picture of a scene, (64, 64, 3) uint8; without a generator every value is the nominal one."""

    def jitter(amount: float) -> float:
        return 0.0 if rng is None else float(rng.uniform(-amount, amount))

    mask = coverage(
        scene.shape,
        PLACES[scene.place] + jitter(X_JITTER),
        SIDE / 2 + jitter(Y_JITTER),
        SIZES[scene.size] + jitter(RADIUS_JITTER),
    )
    colour = [channel + jitter(COLOUR_JITTER) for channel in COLOURS[scene.colour]]
    background = [channel + jitter(COLOUR_JITTER) for channel in BACKGROUNDS[scene.background]]
    return paint(mask, colour, background)


def picture(scene: Scene, rng: np.random.Generator | None = None) -> Image.Image:
    """As `render`, as an RGB image."""
    return Image.fromarray(render(scene, rng))


def full_caption(scene: Scene, told: Sequence[str] = tuple(ATTRIBUTES)) -> str:
    """All that is told of a scene, for example "a small red circle on a white background, left"."""
    return subset_caption(scene, told)


def subset_caption(scene: Scene, named: Sequence[str], place_position: int = 2) -> str:
    """A caption that names only some attributes; the place comes first (0), after the shape (1) or last (2)."""
    words = asdict(scene)
    thing = " ".join(words[name] for name in ("size", "colour", "shape") if name in named)
    if len(thing.split()) > 1:
        thing = f"a {thing}"
    ground = f"{scene.background} background" if "background" in named else ""
    if thing and ground:
        ground = f"on a {ground}"
    place = scene.place if "place" in named else ""
    if place and thing and ground and place_position == 1:
        return f"{thing}, {place}, {ground}"
    description = " ".join(part for part in (thing, ground) if part)
    parts = (place, description) if place_position == 0 else (description, place)
    return ", ".join(part for part in parts if part)


SHORT_FORMS: tuple[tuple[str, ...], ...] = (
    ("colour", "shape"),
    ("colour", "shape"),
    ("colour", "shape", "place"),
    ("shape", "place"),
    ("colour",),
    ("shape",),
    ("background",),
    ("place",),
)

PLACE_POSITIONS = (0.2, 0.2, 0.6)  # how often the place stands first, after the shape, last


def draw_caption(scene: Scene, rng: np.random.Generator, told: Sequence[str] = tuple(ATTRIBUTES)) -> str:
    """A training caption: full, short, or a random subset of the attributes (the empty one is not drawn here).

    Args:
        told: the attributes that captions may name.
    """
    position = int(rng.choice(3, p=PLACE_POSITIONS))
    kind = rng.random()
    if kind < 0.45:
        return subset_caption(scene, told, position)
    if kind < 0.67:
        forms = [form for form in SHORT_FORMS if set(form) <= set(told)]
        named = forms[int(rng.integers(len(forms)))]
        caption = subset_caption(scene, named, position)
        return caption.removeprefix("a ") if rng.random() < 0.7 else caption
    odds = {"colour": 0.65, "shape": 0.75, "size": 0.5, "background": 0.5, "place": 0.8}
    chosen = [name for name, chance in odds.items() if rng.random() < chance and name in told]
    return subset_caption(scene, chosen or told[-1:], position)
