"""An image turned and made smaller at random, over transparency: the same thing at other angles and sizes.

Pure image work with Pillow; nothing is read or written here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

from ..config.size import Size
from ..data.problems import FileError
from ..text.messages import message

SIDES = ("none", "right", "left", "top", "bottom")
"""Of the canvas: where the image stands; "none" is anywhere."""


@dataclass(frozen=True)
class Ranges:
    """What variations are drawn from.

    Attributes:
        most_angle: degrees an image is turned by at most, to either side.
        least_scale: smallest scale, relative to the image; 1 keeps the size.
        fixed_side: the side of the canvas it stays at, one of :data:`SIDES`.
    """

    most_angle: float = 180.0
    least_scale: float = 0.4
    fixed_side: str = "none"


@dataclass(frozen=True)
class Variation:
    """One of them.

    Attributes:
        angle: degrees, counter-clockwise.
        scale: of the image's own size, at most 1.
        across, down: where it stands in the room that is left, 0 (left, top) to 1 (right, bottom).
    """

    angle: float
    scale: float
    across: float
    down: float


def drawn(ranges: Ranges, seed: int, name: str, number: int) -> Variation:
    """The variation of this number of the image with this name: always the same for one seed."""
    # Text as a seed is hashed with SHA-512, alike in every version of Python.
    chance = random.Random(f"{seed}/{number}/{name}")
    angle = chance.uniform(-ranges.most_angle, ranges.most_angle)
    scale = chance.uniform(ranges.least_scale, 1.0)
    across, down = chance.random(), chance.random()
    ends = {"left": (0.0, down), "right": (1.0, down), "top": (across, 0.0), "bottom": (across, 1.0)}
    return Variation(angle, scale, *ends.get(ranges.fixed_side, (across, down)))


def varied(image: Image.Image, variation: Variation) -> Image.Image:
    """The image rotated, scaled down and placed on a transparent canvas of the same size.

    What can be seen of it is moved, not its transparent margin, and none of it is cut off: what would not fit the
    canvas once it is turned, becomes smaller than its scale says.

    Args:
        image: RGBA; it is left as it is.

    Raises:
        FileError: it is fully transparent.
    """
    # Pillow multiplies colours by alpha before it mixes them, so what is hidden leaves no fringe.
    turned = image.rotate(variation.angle, Image.Resampling.BICUBIC, expand=True) if variation.angle else image
    box = turned.getchannel("A").getbbox()
    if box is None:
        raise FileError(message("data.transparent"), "")
    left, top, right, bottom = box
    canvas_size = Size(*image.size)
    size = _fitting(Size(right - left, bottom - top), canvas_size, variation.scale)
    seen = turned.resize(size, Image.Resampling.LANCZOS, box=box)
    canvas = Image.new("RGBA", canvas_size, (0, 0, 0, 0))
    canvas.paste(seen, (_place(variation.across, canvas_size.width - size.width),
                        _place(variation.down, canvas_size.height - size.height)))  # fmt: skip
    return canvas


def _fitting(size: Size, canvas: Size, scale: float) -> Size:
    scale = min(scale, canvas.width / size.width, canvas.height / size.height)
    return Size(*(min(most, max(1, round(side * scale))) for side, most in zip(size, canvas, strict=True)))


def _place(share: float, room: int) -> int:
    return min(room, int(share * (room + 1)))
