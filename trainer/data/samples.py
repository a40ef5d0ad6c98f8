"""The result of a scan: samples that hold no pixels, counts, and what the user should know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config.size import Size
from ..errors import DataError
from ..text.messages import Message, label, message
from .buckets import Placement
from .images import ImageInfo, Mask, Pixels, load_placed
from .memory import DecodingMemory
from .problems import FileProblem

_MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to learn from: a part of an image, at one size, one way round, with its caption.

    Attributes:
        path: the image's file.
        caption: with the trigger word.
        frame: the size it is trained at.
        scaled: the size of the whole image at that scale.
        crop: what is cut off at the left and at the top, in pixels of the scaled image.
        mirrored: left to right, after cropping.
        has_alpha: whether some of the image is transparent, so that there is a mask.
        size: of the image in its file, upright.
        target: of a pair, what this image, the original, is to become; of the same frame, mirrored alike.
    """

    path: Path
    caption: str
    frame: Size
    scaled: Size
    crop: tuple[int, int]
    mirrored: bool
    has_alpha: bool
    size: Size
    target: Sample | None = None

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """SDXL's size conditioning, in pixels: the image's height and width, what is cut off at the top and at the left
        once it is scaled (and, if it is mirrored, mirrored as a whole), the height and width it is trained at."""
        left, top = self.crop
        if self.mirrored:
            left = self.scaled.width - self.frame.width - left
        return self.size.height, self.size.width, top, left, self.frame.height, self.frame.width

    def sides(self) -> tuple[Sample, ...]:
        """The sample itself, and its target if it has one."""
        return (self,) if self.target is None else (self, self.target)


@dataclass(frozen=True)
class CaptionCounts:
    """Where the captions of the images that are trained came from."""

    files: int = 0
    names: int = 0
    """Taken from file names."""
    empty: int = 0
    """Files and names that say nothing."""
    missing: int = 0
    encodings: tuple[tuple[str, int], ...] = ()
    """Of the files, the most frequent first."""


@dataclass(frozen=True)
class Scan:
    """What will be trained.

    Attributes:
        folder: where the images are.
        distinct: every sample once, in the order of the files.
        samples: an epoch in that order: as ``distinct``, ``image_num_multiply`` times over.
        buckets: frames with the number of samples in ``samples``, sorted.
        images, left_out: how many images are trained, and how many are not.
        captions: where the captions came from.
        problems: what to know about single files, in the order of the files.
        notes: what to know about the settings.
        others: endings of files that are neither image nor caption, empty for none, with how many there are.
    """

    folder: Path
    distinct: tuple[Sample, ...]
    samples: tuple[Sample, ...]
    buckets: tuple[tuple[Size, int], ...]
    images: int
    left_out: int
    captions: CaptionCounts
    problems: tuple[FileProblem, ...]
    notes: tuple[Message, ...]
    others: tuple[tuple[str, int], ...]

    @property
    def pairs(self) -> int:
        """How many pairs are trained."""
        return len({sample.path for sample in self.distinct if sample.target is not None})

    @property
    def usable(self) -> bool:
        """Whether there is anything to train."""
        return bool(self.samples)

    def all_captions(self) -> list[str]:
        """Of every distinct sample, and of its target if it has one."""
        return [side.caption for sample in self.distinct for side in sample.sides()]

    def require_usable(self) -> None:
        """Raises:
        DataError: there is nothing to train, with the first reasons.
        """
        if self.usable:
            return
        reasons = [
            message("data.named_problem", name=problem.name, what=problem.what)
            for problem in self.problems
            if problem.left_out
        ]
        more = len(reasons) - _MOST_REASONS
        raise DataError(
            "data.nothing_usable_more" if more > 0 else "data.nothing_usable",
            where=label("lora_data_directory"),
            folder=self.folder,
            problems=reasons[:_MOST_REASONS],
            **({"more": more} if more > 0 else {}),
        )


def sample_of(image: ImageInfo, placement: Placement, caption: str, *, mirrored: bool = False) -> Sample:
    """What is trained of an image in one place."""
    where = placement.frame, placement.scaled, placement.crop
    return Sample(image.path, caption, *where, mirrored, image.has_alpha, image.size)


def pixels_of(sample: Sample, memory: DecodingMemory | None = None) -> tuple[Pixels, Mask | None]:
    """The sample's image exactly as it is trained: scaled, cropped, mirrored.

    Returns:
        sRGB, uint8 of shape (h, w, 3) for the frame (w, h); and how much each pixel counts, float32 of shape (h, w)
        from 0 to 1, or None if all count alike.

    Raises:
        DataError: the file cannot be read any more, or its image has another size than when it was scanned.
    """
    placement = Placement(sample.frame, sample.scaled, sample.crop)
    return load_placed(sample.path, placement, mirrored=sample.mirrored, size=sample.size, memory=memory)
