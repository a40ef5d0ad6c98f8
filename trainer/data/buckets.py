"""Which frame an image is trained in, and which part of it that is. Numbers only: no image is opened here.

A frame is a size to train at. Images of one frame make up a bucket, and every batch comes from one bucket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ..config.settings import Settings
from ..config.size import Size
from ..text.messages import Message, label, message

TRAIN_TRAIN: Final = "TrainTrain"
SD_SCRIPTS: Final = "sd-scripts"
NO_CROP: Final = "no crop"
ONE_SIZE: Final = "one size"
UNIT = 8
"""A latent stands for this many pixels a side, so a frame's sides are multiples of it."""

MOST_DIFFERENT_SHAPES = 1.01
"""How much the aspect ratios of images that belong together may differ."""


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
    """The frames that the settings allow; of TrainTrain's there is always at least the square.

    Where each image has a size of its own (``no crop``, and sd-scripts' buckets without enlarging), there are none to
    choose from.
    """
    if settings.image_bucketing == NO_CROP:
        return Frames((), ())
    if settings.image_bucketing == ONE_SIZE:
        return Frames((settings.size,), ())
    if settings.image_bucketing == SD_SCRIPTS:
        return Frames((), ()) if settings.image_disable_upscale else Frames(_frames_of_sd_scripts(settings), ())
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
    return _centred(frame, scaled)


def _rounded(dividend: int, divisor: int) -> int:
    return (2 * dividend + divisor) // (2 * divisor)


def placements(size: Size, settings: Settings, frames: Frames) -> tuple[Placement, ...]:
    """Where an image goes: to its own frame, then to the smaller ones that it goes to as well.

    Args:
        size: of the image.
        settings: ``image_*``.
        frames: those of the settings, see :func:`frames_of`.

    Returns:
        Empty if it goes to no frame because it may not be enlarged.
    """
    if settings.image_bucketing == NO_CROP:
        frame = own_frame(size, settings)
        return (place(size, frame),) if frame is not None else ()
    if settings.image_bucketing == ONE_SIZE:
        return (place(size, settings.size),)
    if settings.image_bucketing == SD_SCRIPTS:
        placement = _placed_by_sd_scripts(size, settings, frames.full)
        return (placement,) if placement is not None else ()
    upscale = not settings.image_disable_upscale
    chosen = choose_frames(size, frames, settings.sub_image_num, upscale=upscale)
    return tuple(place(size, frame) for frame in chosen)


# ---- each image at its own size -------------------------------------------------------------------------------------


def own_frame(size: Size, settings: Settings) -> Size | None:
    """The frame of an image that is to be trained whole: its own size, to ``image_bucket_reso_steps``, within the area
    of ``image_size``; None if it is too small for that and may not be enlarged."""
    area, step = min(size.area, settings.size.area), settings.image_bucket_reso_steps
    frame = fitted(size, area, step)
    if frame.area > area:  # of an image with one side below a step
        frame = Size(*(min(side, max(step, _down(area // step, step))) for side in frame))
    if not settings.image_disable_upscale or _fills(size, frame):
        return frame
    lower = Size(size.width - size.width % step, size.height - size.height % step)
    return lower if lower.area else None


def fitted(size: Size, area: int, step: int) -> Size:
    """The sides, multiples of ``step``, of a frame within ``area`` pixels for an image of ``size``.

    Of the four that are next to the exact one, the nearest in aspect ratio that fits, the larger of equals; never less
    than one step.
    """
    scale = (area / size.area) ** 0.5
    widths, heights = ({_multiple(side * scale, step, up) for up in (0, 1)} for side in size)
    every = [Size(width, height) for width in widths for height in heights]
    within = [each for each in every if each.area <= area]
    return by_nearness(size, within)[0] if within else Size(min(widths), min(heights))


def _multiple(side: float, step: int, up: int) -> int:
    return max(1, int(side / step + 1e-6) + up) * step


# ---- the buckets of sd-scripts --------------------------------------------------------------------------------------


def _frames_of_sd_scripts(settings: Settings) -> tuple[Size, ...]:
    """Each width from the least to the most with the tallest height within the area, both ways round; and the square
    of the area. Sorted, which decides between two that are equally near."""
    area, step = settings.size.area, settings.image_bucket_reso_steps
    least = settings.image_min_bucket_reso - settings.image_min_bucket_reso % step
    most = settings.image_max_bucket_reso + -settings.image_max_bucket_reso % step
    square = _down(math.isqrt(area), step)
    found = {Size(square, square)}
    for width in range(max(step, least), most + 1, step):
        height = min(most, _down(area // width, step))
        if height >= max(step, least):
            found |= {Size(width, height), Size(height, width)}
    return tuple(sorted(found))


def _placed_by_sd_scripts(size: Size, settings: Settings, frames: tuple[Size, ...]) -> Placement | None:
    """As its ``select_bucket``, whose floating-point numbers decide between frames that are equally near."""
    if settings.image_disable_upscale:
        return _placed_unenlarged(size, settings)
    aspect = size.width / size.height
    frame = size if size in frames else min(frames, key=lambda each: abs(each.width / each.height - aspect))
    wider = aspect > frame.width / frame.height
    scale = frame.height / size.height if wider else frame.width / size.width
    scaled = Size(*(max(side, int(own * scale + 0.5)) for side, own in zip(frame, size, strict=True)))
    return _centred(frame, scaled)


def _placed_unenlarged(size: Size, settings: Settings) -> Placement | None:
    """An image above the area is scaled down until one side is a multiple of the step, the one that keeps its shape
    better; then what is beyond multiples of the step is cut off."""
    area, step = settings.size.area, settings.image_bucket_reso_steps
    scaled = size
    if size.area > area:
        aspect = size.width / size.height
        exact = math.sqrt(area * aspect)
        width, height = _down(int(exact + 0.5), step), _down(int(area / exact + 0.5), step)
        by_width = Size(width, int(width / aspect + 0.5))
        by_height = Size(int(height * aspect + 0.5), height)
        errors = [
            abs(_down(each.width, step) / _down(each.height, step) - aspect) if min(each) >= step else math.inf
            for each in (by_width, by_height)
        ]
        scaled = by_width if errors[0] < errors[1] else by_height
    frame = Size(_down(scaled.width, step), _down(scaled.height, step))
    return _centred(frame, scaled) if frame.area else None


def _down(side: int, step: int) -> int:
    return side - side % step


def _centred(frame: Size, scaled: Size) -> Placement:
    return Placement(frame, scaled, ((scaled.width - frame.width) // 2, (scaled.height - frame.height) // 2))


# ---- shapes and notes ------------------------------------------------------------------------------------------------


def shapes_differ(one: Size, two: Size) -> bool:
    """Whether the aspect ratios differ by more than 1 %."""
    across, down = one.width * two.height, two.width * one.height
    return max(across, down) > MOST_DIFFERENT_SHAPES * min(across, down)


def notes_on_frames(settings: Settings) -> tuple[Message, ...]:
    """What the settings allow less of than they seem to."""
    if settings.image_bucketing != TRAIN_TRAIN:
        named = {"setting": label("sub_image_num"), "bucketing": settings.image_bucketing}
        count = settings.sub_image_num
        return (message("data.no_smaller_frames_in", count=count, **named),) if count else ()
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
