"""One picture, or a pair of pictures, at one common size: what ADDifT and Difference train on.

The pictures are looked at before the model is loaded; the size they get may be the model family's own, so it is found
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config.labels import label_of
from ..config.settings import Settings
from ..config.size import Size
from ..errors import DataError
from . import buckets
from .files import with_trigger
from .images import Picture, Pixels, open_picture, whole_files_only
from .samples import CaptionCounts, FileProblem, Sample, Scan, pixels_of, sample_of

FRAME_STEP = 64
"""The sides of a pair's frame are multiples of this many pixels."""
MOST_DIFFERENT_SHAPES = 1.01
"""How much the aspect ratios of a pair's pictures may differ."""
LEAST_DIFFERENCE = 10
"""Pixels count as different where the levels of red, green and blue together differ by more than this, of 765."""


@dataclass(frozen=True)
class Pair:
    """The pictures of a job, which are whole and of one shape.

    Attributes:
        original: the picture before the change; None if the user gave none.
        target: the picture after it; None likewise.
    """

    original: Picture | None
    target: Picture | None

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(picture for picture in (self.original, self.target) if picture is not None)

    def placed(self, settings: Settings, own_size: Size) -> Scan:
        """The pair as a sample: of the original, with the target as its :attr:`Sample.target`; or of the only one.

        Args:
            settings: image size, prompts, trigger word, and whether the difference is to be the mask.
            own_size: what the model's family is made for.

        Raises:
            DataError: with ``diff_use_diff_mask``, if the pictures differ nowhere.
        """
        frame = self.frame(settings, own_size)
        samples = [
            sample_of(picture, buckets.place(picture.size, frame), caption)
            for picture, caption in self._captioned(settings)
        ]
        sample = replace(samples[0], target=samples[1] if len(samples) > 1 else None)
        if settings.diff_use_diff_mask and sample.target is not None and not differs(sample):
            raise DataError(
                "the two images do not differ where they can be seen, so the mask would be empty",
                where=f"{label_of('original_image')} and {label_of('target_image')}",
                do=f"Choose images that differ, or unset {label_of('diff_use_diff_mask')}",
            )
        return Scan(
            folder=sample.path.parent,
            distinct=(sample,),
            samples=(sample,),
            buckets=((frame, 1),),
            pictures=len(samples),
            left_out=0,
            captions=CaptionCounts(),
            problems=tuple(_problems(self.pictures)),
            notes=tuple(_notes(self.pictures, frame)),
            others=(),
        )

    def frame(self, settings: Settings, own_size: Size) -> Size:
        """The common size, found from the smaller picture.

        It is fitted to the area of ``image_size``, also enlarged; where none is chosen it is scaled down to the area of
        ``own_size`` if it is larger.
        """
        smaller = min((picture.size for picture in self.pictures), key=lambda size: size.area)
        if settings.image_size is not None:
            return fitted(smaller, settings.image_size.area)
        return fitted(smaller, min(own_size.area, smaller.area))

    def _captioned(self, settings: Settings) -> Iterator[tuple[Picture, str]]:
        trigger = settings.lora_trigger_word
        if self.original is not None:
            yield self.original, with_trigger(trigger, settings.original_prompt.strip())
        if self.target is not None:
            yield self.target, with_trigger(trigger, settings.target_prompt.strip())


def fitted(size: Size, area: int) -> Size:
    """The sides, multiples of 64, of a frame within ``area`` pixels for a picture of ``size``.

    Of the four that are next to the exact one, the nearest in aspect ratio that fits, the larger of equals; never less
    than 64.
    """
    scale = (area / size.area) ** 0.5
    widths, heights = ({_multiple(side * scale, up) for up in (0, 1)} for side in size)
    every = [Size(width, height) for width in widths for height in heights]
    within = [each for each in every if each.area <= area]
    return buckets.by_nearness(size, within)[0] if within else Size(min(widths), min(heights))


def _multiple(side: float, up: int) -> int:
    return max(1, int(side / FRAME_STEP + 1e-6) + up) * FRAME_STEP


def open_pair(settings: Settings) -> Pair:
    """Look at ``original_image`` and ``target_image``; one that is not set is left out.

    Raises:
        DataError: one cannot be read or shows nothing, both are the same file, or their shapes differ.
    """
    with whole_files_only():
        original = _picture(settings.original_image, "original_image")
        target = _picture(settings.target_image, "target_image")
    if original is None or target is None:
        return Pair(original, target)
    if os.path.samefile(original.path, target.path):
        raise DataError(
            "is the same file as the original image, so there is nothing to learn",
            where=label_of("target_image"),
            do="Choose another",
        )
    if shapes_differ(original.size, target.size):
        raise DataError(
            f"differ in shape: the original is {original.size}, the target {target.size}",
            where=f"{label_of('original_image')} and {label_of('target_image')}",
            do="Crop one of them to the shape of the other",
        )
    return Pair(original, target)


def shapes_differ(one: Size, two: Size) -> bool:
    """Whether the aspect ratios differ by more than 1 %."""
    across, down = one.width * two.height, two.width * one.height
    return max(across, down) > MOST_DIFFERENT_SHAPES * min(across, down)


def difference(original: Pixels, target: Pixels) -> NDArray[np.bool_]:
    """Where two pictures ``(H, W, 3)`` uint8 differ: ``(H, W)``, |difference| summed over RGB above 10."""
    return np.abs(original.astype(np.int16) - target.astype(np.int16)).sum(axis=2) > LEAST_DIFFERENCE


def differs(sample: Sample) -> bool:
    """Whether a sample and its target differ anywhere that both show; reads both files."""
    assert sample.target is not None
    (original, alpha), (target, target_alpha) = pixels_of(sample), pixels_of(sample.target)
    found = difference(original, target)
    for seen in (alpha, target_alpha):
        if seen is not None:
            found = found & (seen > 0)
    return bool(found.any())


# ---- steps ----------------------------------------------------------------------------------------------------------


def _picture(written: str, setting: str) -> Picture | None:
    if not written:
        return None
    try:
        path = Path(written).expanduser()
        if path.is_dir():
            raise DataError("is a folder", where=written, do="Choose one image in it")
        if not path.exists():
            raise DataError("is not there", where=written, do="Check how it is written")
        picture = open_picture(path)
        if picture.visible is not None and picture.visible[2:] == (0, 0):
            raise DataError("is fully transparent", where=written)
    except (DataError, OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        what = error.what if isinstance(error, DataError) else f"is not a path ({reason})"
        do = error.do if isinstance(error, DataError) else ""
        raise DataError(f'"{written}" {what}', where=label_of(setting), do=do or "Choose another image") from error
    return picture


def _problems(pictures: tuple[Picture, ...]) -> Iterator[FileProblem]:
    for picture in pictures:
        for what, done in picture.notes:
            yield FileProblem(picture.path.name, what, done)


def _notes(pictures: tuple[Picture, ...], frame: Size) -> Iterator[str]:
    sizes = {picture.size for picture in pictures}
    if sizes != {frame}:
        shown = " and ".join(f"{picture.path.name} ({picture.size})" for picture in pictures)
        yield f"{shown}: trained at {frame}."
