"""One image, or a pair of images, at one common size: what ADDifT and Difference train on.

The images are looked at before the model is loaded; the size they get may be the model family's own, so it is found
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...config.settings import Settings
from ...config.size import Size
from ...errors import DataError
from ...paths import path_of
from ...text.messages import Message, label, message
from .. import buckets
from ..captions.variants import with_trigger
from ..images.decoding import ImageInfo, Pixels, inspect_image, whole_files_only
from ..problems import FileError, FileProblem
from ..samples import Sample, Scan, SubsetCounts, pixels_of, sample_of
from ..subsets import Subset

_BOTH: Final = message("data.both", one=label("original_image"), other=label("target_image"))
FRAME_STEP = 64
"""The sides of a pair's frame are multiples of this many pixels."""
LEAST_DIFFERENCE = 10
"""Pixels count as different where the levels of red, green and blue together differ by more than this, of 765."""


@dataclass(frozen=True)
class Pair:
    """The images of a job, which are whole and of one shape.

    Attributes:
        original: the image before the change; None if the user gave none.
        target: the image after it; None likewise.
    """

    original: ImageInfo | None
    target: ImageInfo | None

    @property
    def images(self) -> tuple[ImageInfo, ...]:
        return tuple(image for image in (self.original, self.target) if image is not None)

    def placed(self, settings: Settings, own_size: Size) -> Scan:
        """The pair as a sample: of the original, with the target as its :attr:`Sample.target`; or of the only one.

        Args:
            settings: image size, prompts, trigger word, and whether the difference is to be the mask.
            own_size: what the model's family is made for.

        Raises:
            DataError: with ``diff_use_diff_mask``, if the images differ nowhere.
        """
        frame = self.frame(settings, own_size)
        samples = [
            sample_of(image, buckets.place(image.size, frame), caption) for image, caption in self._captioned(settings)
        ]
        sample = replace(samples[0], target=samples[1] if len(samples) > 1 else None)
        if settings.diff_use_diff_mask and sample.target is not None and not differs(sample):
            raise DataError("data.pair_alike", where=_BOTH, setting=label("diff_use_diff_mask"))
        return Scan(
            folder=(folder := sample.path.parent),
            subsets=(Subset(0, folder.name, folder, settings),),
            counts=(SubsetCounts(images=len(samples), unused=0, taken=1),),
            distinct=(sample,),
            epoch=(0,),
            buckets=((frame, 1),),
            images=len(samples),
            left_out=0,
            problems=tuple(_problems(self.images)),
            notes=tuple(_notes(self.images, frame)),
            others=(),
        )

    def frame(self, settings: Settings, own_size: Size) -> Size:
        """The common size, found from the smaller image.

        It is fitted to the area of ``image_size``, also enlarged; where none is chosen it is scaled down to the area of
        ``own_size`` if it is larger.
        """
        smaller = min((image.size for image in self.images), key=lambda size: size.area)
        if settings.image_size is not None:
            return buckets.fitted(smaller, settings.image_size.area, FRAME_STEP)
        return buckets.fitted(smaller, min(own_size.area, smaller.area), FRAME_STEP)

    def _captioned(self, settings: Settings) -> Iterator[tuple[ImageInfo, str]]:
        trigger = settings.lora_trigger_word
        if self.original is not None:
            yield self.original, with_trigger(trigger, settings.original_prompt.strip())
        if self.target is not None:
            yield self.target, with_trigger(trigger, settings.target_prompt.strip())


def open_pair(settings: Settings) -> Pair:
    """Look at ``original_image`` and ``target_image``; one that is not set is left out.

    Raises:
        DataError: one cannot be read or shows nothing, both are the same file, or their shapes differ.
    """
    with whole_files_only():
        original = _image(settings.original_image, "original_image")
        target = _image(settings.target_image, "target_image")
    if original is None or target is None:
        return Pair(original, target)
    if os.path.samefile(original.path, target.path):
        raise DataError("data.same_as_original", where=label("target_image"))
    if buckets.shapes_differ(original.size, target.size):
        raise DataError("data.shapes_differ", where=_BOTH, original=str(original.size), target=str(target.size))
    return Pair(original, target)


def difference(original: Pixels, target: Pixels) -> NDArray[np.bool_]:
    """Where two images ``(H, W, 3)`` uint8 differ: ``(H, W)``, |difference| summed over RGB above 10."""
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


def _image(written: str, setting: str) -> ImageInfo | None:
    if not written:
        return None
    where = label(setting)
    try:
        path = path_of(written, where)
        if os.path.isdir(path):
            raise DataError("data.given_folder", where=where, path=written)
        if not os.path.exists(path):
            raise DataError("data.given_missing", where=where, path=written)
        image = inspect_image(path)
    except FileError as error:
        raise DataError("data.given_unusable", where=where, path=written, problem=error.problem) from error
    if image.is_invisible:
        raise DataError("data.given_unusable", where=where, path=written, problem=message("data.transparent"))
    return image


def _problems(images: tuple[ImageInfo, ...]) -> Iterator[FileProblem]:
    for image in images:
        for what, done in image.notes:
            yield FileProblem(image.path.name, what, done)


def _notes(images: tuple[ImageInfo, ...], frame: Size) -> Iterator[Message]:
    if {image.size for image in images} == {frame}:
        return
    named = {"name": images[0].path.name, "size": str(images[0].size), "frame": str(frame)}
    if len(images) == 1:
        yield message("data.image_resized", **named)
    else:
        yield message("data.pair_resized", **named, other=images[1].path.name, other_size=str(images[1].size))
