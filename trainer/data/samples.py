"""What a scan comes to: samples that hold no pixels, counts, and what the user should know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config.labels import label_of
from ..config.size import Size
from ..errors import DataError
from .buckets import Placement
from .images import Mask, Picture, Pixels, load_placed


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to learn from: a part of a picture, at one size, one way round, with its caption.

    Attributes:
        path: the picture's file.
        caption: with the trigger word.
        frame: the size it is trained at.
        scaled: the size of the whole picture at that scale.
        crop: what is cut off at the left and at the top, in pixels of the scaled picture.
        mirrored: left to right, after cropping.
        has_alpha: whether some of the picture is transparent, so that there is a mask.
        size: of the picture in its file, upright.
        target: of a pair, what this picture, the original, is to become; of the same frame, mirrored alike.
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
        """What SDXL is told of a picture, in pixels: its height and width, what is cut off at the top and at the left
        once it is scaled (and, if it is mirrored, mirrored as a whole), the height and width it is trained at."""
        left, top = self.crop
        if self.mirrored:
            left = self.scaled.width - self.frame.width - left
        return self.size.height, self.size.width, top, left, self.frame.height, self.frame.width

    def sides(self) -> tuple[Sample, ...]:
        """The sample itself, and its target if it has one."""
        return (self,) if self.target is None else (self, self.target)


@dataclass(frozen=True)
class FileProblem:
    """Something about one file that its owner should know."""

    name: str
    """Its path inside the folder."""
    what: str
    done: str
    """What is done about it: "left out", or how it is used all the same."""

    def __str__(self) -> str:
        return f"{self.name} {self.what}: {self.done}"


@dataclass(frozen=True)
class CaptionCounts:
    """Where the captions of the pictures that are trained came from."""

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
        folder: where the pictures are.
        distinct: every sample once, in the order of the files.
        samples: an epoch in that order: as ``distinct``, ``image_num_multiply`` times over.
        buckets: frames with the number of samples in ``samples``, sorted.
        pictures, left_out: how many pictures are trained, and how many are not.
        captions: where the captions came from.
        problems: what to know about single files, in the order of the files.
        notes: what to know about the settings, a sentence each.
        others: endings of files that are neither picture nor caption, with how many there are.
    """

    folder: Path
    distinct: tuple[Sample, ...]
    samples: tuple[Sample, ...]
    buckets: tuple[tuple[Size, int], ...]
    pictures: int
    left_out: int
    captions: CaptionCounts
    problems: tuple[FileProblem, ...]
    notes: tuple[str, ...]
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
        told = [f"{problem.name} {problem.what}" for problem in self.problems if problem.done.startswith("left out")]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        raise DataError(
            f'no image in "{self.folder}" can be trained: {"; ".join(told[:3])}{more}',
            where=label_of("lora_data_directory"),
            do="Mend or replace them",
        )


def sample_of(picture: Picture, placement: Placement, caption: str, *, mirrored: bool = False) -> Sample:
    """What is trained of a picture in one place."""
    where = placement.frame, placement.scaled, placement.crop
    return Sample(picture.path, caption, *where, mirrored, picture.has_alpha, picture.size)


def pixels_of(sample: Sample) -> tuple[Pixels, Mask | None]:
    """The sample's picture exactly as it is trained: scaled, cropped, mirrored.

    Returns:
        sRGB, uint8 of shape (h, w, 3) for the frame (w, h); and how much each pixel counts, float32 of shape (h, w)
        from 0 to 1, or None if all count alike.

    Raises:
        DataError: the file cannot be read any more, or its picture has another size than when it was scanned.
    """
    placement = Placement(sample.frame, sample.scaled, sample.crop)
    return load_placed(sample.path, placement, mirrored=sample.mirrored, size=sample.size)
