"""Which frame an image is trained in, and which part of it that is. Numbers only: no image is opened here.

A frame is a size to train at. Images of one frame make up a bucket, and every batch comes from one bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from ..config.settings import Settings
from ..config.size import Size
from ..text.messages import Message, message

UNIT = 8
"""A latent stands for this many pixels a side, so a frame's sides are multiples of it."""


@dataclass(frozen=True)
class Frames:
    """The sizes that images are trained at.

    Attributes:
        full: frames as large as ``image_size`` allows, sorted.
        smaller: what is allowed besides, sorted; only ``sub_image_num`` and ``image_disable_upscale`` use these.
    """

    full: tuple[Size, ...]
    smaller: tuple[Size, ...]


@dataclass(frozen=True)
class Placement:
    """What of an image is trained: scale it, then cut the frame out of it.

    Attributes:
        frame: the size to train at.
        scaled: the size of the whole image before it is cropped; it covers the frame.
        crop: how much is cut off at the left and at the top, in pixels of the scaled image.
    """

    frame: Size
    scaled: Size
    crop: tuple[int, int]

    def kept(self) -> float:
        """How much of the image's area is left after cropping, 0 to 1."""
        return self.frame.area / self.scaled.area


def frames_of(settings: Settings) -> Frames:
    """The frames that the settings allow; there is always at least the square."""
    longest, shorter = max(settings.size), min(settings.size)
    area = settings.size.area
    step, ratio = settings.image_buckets_step, settings.image_max_ratio
    square = shorter - shorter % UNIT
    lengths = [length for length in range(settings.image_min_length, longest + 1, step) if not length % UNIT]
    full = {Size(square, square)}
    for width in lengths:
        tallest = min(area // width, longest)
        height = tallest - tallest % step
        if _allowed(width, height, ratio):
            full |= {Size(width, height), Size(height, width)}
    every = {Size(width, height) for width in lengths for height in lengths}
    smaller = {size for size in every - full if size.area <= area and _allowed(*size, ratio)}
    return Frames(tuple(sorted(full)), tuple(sorted(smaller)))


def _allowed(width: int, height: int, ratio: float) -> bool:
    return height >= UNIT and not height % UNIT and max(width, height) <= ratio * min(width, height)


def by_nearness(size: Size, frames: Iterable[Size]) -> list[Size]:
    """The frames, the nearest in aspect ratio to an image of this size first; the larger, then the wider wins."""
    # Exact, as 0.8 - 0.6 and 1.0 - 0.8 differ in floating point.
    aspect = Fraction(*size)
    return sorted(frames, key=lambda frame: (abs(Fraction(*frame) - aspect), -frame.area, -frame.width))


def choose_frames(size: Size, frames: Frames, smaller: int = 0, *, upscale: bool = True) -> tuple[Size, ...]:
    """The frames that an image goes to.

    Args:
        size: of the image.
        frames: what there is to choose from.
        smaller: how many smaller frames it goes to as well (``sub_image_num``).
        upscale: whether it may be enlarged. If not, an image that is smaller than its frame goes to the largest
            frame of all that it fills.

    Returns:
        Its own frame, then the smaller ones, the nearest in aspect ratio first. Empty if it may not be enlarged
        and fills no frame.
    """
    own = by_nearness(size, frames.full)[0]
    others = frames.smaller
    if not upscale:
        if not _fills(size, own):
            filled = [frame for frame in by_nearness(size, frames.full + frames.smaller) if _fills(size, frame)]
            if not filled:
                return ()
            own = max(filled, key=lambda frame: frame.area)
        others = tuple(frame for frame in others if frame.area <= own.area and _fills(size, frame))
    rest = [frame for frame in by_nearness(size, others) if frame != own]
    return (own, *rest[:smaller])


def _fills(size: Size, frame: Size) -> bool:
    return size.width >= frame.width and size.height >= frame.height


def place(size: Size, frame: Size) -> Placement:
    """Scale an image of this size so that it just covers the frame, and crop it about its centre."""
    if frame.width * size.height >= frame.height * size.width:
        scaled = Size(frame.width, max(frame.height, _rounded(size.height * frame.width, size.width)))
    else:
        scaled = Size(max(frame.width, _rounded(size.width * frame.height, size.height)), frame.height)
    return Placement(frame, scaled, ((scaled.width - frame.width) // 2, (scaled.height - frame.height) // 2))


def _rounded(dividend: int, divisor: int) -> int:
    return (2 * dividend + divisor) // (2 * divisor)


def notes_on_frames(settings: Settings) -> tuple[Message, ...]:
    """What the settings allow less of than they seem to."""
    frames = frames_of(settings)
    notes = []
    longest = max(settings.size)
    if settings.image_min_length > longest:
        frame = str(frames.full[0])
        notes.append(message("data.min_length_too_long", length=settings.image_min_length, side=longest, frame=frame))
    if settings.sub_image_num and not frames.smaller:
        notes.append(message("data.no_smaller_frames", count=settings.sub_image_num))
    elif settings.sub_image_num > len(frames.smaller):
        notes.append(message("data.few_smaller_frames", count=settings.sub_image_num, frames=len(frames.smaller)))
    return tuple(notes)
