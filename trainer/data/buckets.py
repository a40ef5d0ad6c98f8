"""Which frame a picture is trained in, and which part of it that is. Numbers only: no picture is opened here.

A frame is a size to train at. Pictures of one frame make up a bucket, and every batch comes from one bucket.
All sizes are (width, height) in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from ..config.settings import Settings

Size = tuple[int, int]
UNIT = 8
"""A latent stands for this many pixels a side, so a frame's sides are multiples of it."""


@dataclass(frozen=True)
class Frames:
    """The sizes that pictures are trained at.

    Attributes:
        full: frames as large as ``image_size`` allows, sorted.
        smaller: what is allowed besides, sorted; only ``sub_image_num`` and ``image_disable_upscale`` use these.
    """

    full: tuple[Size, ...]
    smaller: tuple[Size, ...]


@dataclass(frozen=True)
class Placement:
    """What of a picture is trained: scale it, then cut the frame out of it.

    Attributes:
        frame: the size to train at.
        scaled: the size of the whole picture before it is cropped; it covers the frame.
        crop: how much is cut off at the left and at the top, in pixels of the scaled picture.
    """

    frame: Size
    scaled: Size
    crop: tuple[int, int]

    def kept(self) -> float:
        """How much of the picture's area is left after cropping, 0 to 1."""
        return self.frame[0] * self.frame[1] / (self.scaled[0] * self.scaled[1])


def frames_of(settings: Settings) -> Frames:
    """The frames that the settings allow; there is always at least the square."""
    longest, shorter = max(settings.image_size), min(settings.image_size)
    area = longest * shorter
    step, ratio = settings.image_buckets_step, settings.image_max_ratio
    square = shorter - shorter % UNIT
    lengths = [length for length in range(settings.image_min_length, longest + 1, step) if not length % UNIT]
    full = {(square, square)}
    for width in lengths:
        tallest = min(area // width, longest)
        height = tallest - tallest % step
        if _allowed(width, height, ratio):
            full |= {(width, height), (height, width)}
    pairs = {(width, height) for width in lengths for height in lengths}
    smaller = {pair for pair in pairs - full if pair[0] * pair[1] <= area and _allowed(*pair, ratio)}
    return Frames(tuple(sorted(full)), tuple(sorted(smaller)))


def _allowed(width: int, height: int, ratio: float) -> bool:
    return height >= UNIT and not height % UNIT and max(width, height) <= ratio * min(width, height)


def by_nearness(size: Size, frames: Iterable[Size]) -> list[Size]:
    """The frames, the nearest in aspect ratio to a picture of this size first; the larger, then the wider wins."""
    # Exact, as 0.8 - 0.6 and 1.0 - 0.8 differ in floating point.
    aspect = Fraction(*size)
    return sorted(frames, key=lambda frame: (abs(Fraction(*frame) - aspect), -frame[0] * frame[1], -frame[0]))


def choose_frames(size: Size, frames: Frames, smaller: int = 0, *, upscale: bool = True) -> tuple[Size, ...]:
    """The frames that a picture goes to.

    Args:
        size: of the picture.
        frames: what there is to choose from.
        smaller: how many smaller frames it goes to as well (``sub_image_num``).
        upscale: whether it may be enlarged. If not, a picture that is smaller than its frame goes to the largest
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
            own = max(filled, key=lambda frame: frame[0] * frame[1])
        area = own[0] * own[1]
        others = tuple(frame for frame in others if frame[0] * frame[1] <= area and _fills(size, frame))
    rest = [frame for frame in by_nearness(size, others) if frame != own]
    return (own, *rest[:smaller])


def _fills(size: Size, frame: Size) -> bool:
    return size[0] >= frame[0] and size[1] >= frame[1]


def place(size: Size, frame: Size) -> Placement:
    """Scale a picture of this size so that it just covers the frame, and crop it about its centre."""
    width, height = size
    if frame[0] * height >= frame[1] * width:
        scaled = (frame[0], max(frame[1], _rounded(height * frame[0], width)))
    else:
        scaled = (max(frame[0], _rounded(width * frame[1], height)), frame[1])
    return Placement(frame, scaled, ((scaled[0] - frame[0]) // 2, (scaled[1] - frame[1]) // 2))


def _rounded(dividend: int, divisor: int) -> int:
    return (2 * dividend + divisor) // (2 * divisor)


def notes_on_frames(settings: Settings) -> tuple[str, ...]:
    """What the settings allow less of than they seem to, a sentence each."""
    frames = frames_of(settings)
    notes = []
    width, height = frames.full[0]
    if settings.image_min_length > max(settings.image_size):
        notes.append(
            f"image min length {settings.image_min_length} is more than the longest side of image size, "
            f"{max(settings.image_size)}: every image is trained as {width} x {height}. "
            "Choose a smaller image min length."
        )
    if settings.sub_image_num and not frames.smaller:
        notes.append(
            f"sub image num is {settings.sub_image_num}, but these sizes leave room for no smaller frame: "
            "no smaller copies are trained. Choose a smaller image min length or image buckets step."
        )
    elif settings.sub_image_num > len(frames.smaller):
        notes.append(
            f"sub image num is {settings.sub_image_num}, but there are only {len(frames.smaller)} smaller frames: "
            "each image goes to all of them."
        )
    return tuple(notes)
