"""The result of a scan: samples that hold no pixels, counts, and what the user should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from ..config.size import Size
from ..errors import DataError
from ..text.messages import Message, label, message
from .buckets import Placement
from .images.decoding import ImageInfo, Mask, Pixels, load_placed
from .images.fingerprint import Fingerprint
from .images.memory import DecodingMemory
from .problems import FileProblem
from .subsets import Subset

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
        has_alpha: whether some of the image counts less than the rest: it is transparent, or there is a mask.
        size: of the image in its file, upright.
        target: of a pair, what this image, the original, is to become; of the same frame, mirrored alike.
        subset: the number of its subset in :attr:`Scan.subsets`.
        mask: the image that says how much each part of this one counts.
        written: of a caption that changes from step to step what its file says, without the trigger word; ``caption``
            is then what it is where nothing is drawn. None: it stays as it is.
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
    subset: int = 0
    mask: Path | None = None
    written: str | None = None

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """SDXL's size conditioning, in pixels: the image's height and width, what is cut off at the top and at the left
        once it is scaled (and, if it is mirrored, mirrored as a whole), the height and width it is trained at."""
        left, top = self.crop
        if self.mirrored:
            left = self.scaled.width - self.frame.width - left
        return self.size.height, self.size.width, top, left, self.frame.height, self.frame.width

    @property
    def cut_off(self) -> float:
        """How much of the image's area is cropped away, 0 to 1."""
        return 1 - self.frame.area / self.scaled.area

    def sides(self) -> tuple[Sample, ...]:
        """The sample itself, and its target if it has one."""
        return (self,) if self.target is None else (self, self.target)


class CaptionOrigin(NamedTuple):
    """Where the caption of an image comes from: the counter of :class:`CaptionCounts` it is counted in, and of a file
    its encoding."""

    counted: Literal["files", "names", "class_words", "written", "missing"]
    encoding: str = ""
    is_empty: bool = False


@dataclass(frozen=True)
class CaptionCounts:
    """Where the captions of the images that are trained came from."""

    files: int = 0
    names: int = 0
    """Taken from file names."""
    class_words: int = 0
    """Taken from the names of folders, where an image has none of its own."""
    written: int = 0
    """From files with the captions of many images."""
    empty: int = 0
    """Files and names that say nothing."""
    missing: int = 0
    encodings: tuple[tuple[str, int], ...] = ()
    """Of the files, the most frequent first."""


@dataclass(frozen=True)
class SubsetCounts:
    """What is trained of a subset.

    Attributes:
        images: how many of its images are; of pairs, both.
        unused: regularisation images beyond those that the others need; they are not trained.
        taken: its samples in an epoch, repeats included.
    """

    images: int
    unused: int
    taken: int


class Bucket(NamedTuple):
    """Samples that can be in one batch: those of a dataset that are trained at one size."""

    dataset: int
    frame: Size


@dataclass(frozen=True)
class Scan:
    """What will be trained.

    Attributes:
        folder: the one that was given, or that of the dataset file.
        subsets: the folders it is made up of; a sample names its own by number.
        counts: what is trained of each subset, in the same order.
        distinct: every sample once, in the order of the subsets, and in each in the order of the files.
        epoch: the numbers of the samples of an epoch in ``distinct``, repeats included: of each subset in turn all of
            its samples, over and over; of regularisation images those that are to come once more.
        buckets: frames with the number of samples in ``samples``, sorted.
        images, left_out: how many images are trained, and how many are not.
        origins: of each image where its caption comes from, by the number of its subset and its file; also of images
            that are not trained.
        problems: what to know about single files, in the order of the files.
        notes: what to know about the settings.
        others: endings of files that are neither image nor caption, empty for none, with how many there are.
        equal_pairs: pairs whose images have the same pixels.
        fingerprints: files of images that are trained, in their order, with what they are known again by; of pairs,
            those of the originals.
        file: the dataset file that describes the subsets, if there is one.
    """

    folder: Path
    subsets: tuple[Subset, ...]
    counts: tuple[SubsetCounts, ...]
    distinct: tuple[Sample, ...]
    epoch: tuple[int, ...]
    buckets: tuple[tuple[Size, int], ...]
    images: int
    left_out: int
    problems: tuple[FileProblem, ...]
    notes: tuple[Message, ...]
    others: tuple[tuple[str, int], ...]
    equal_pairs: int = 0
    fingerprints: tuple[tuple[Path, Fingerprint], ...] = ()
    origins: Mapping[tuple[int, Path], CaptionOrigin] = field(default_factory=dict)
    file: Path | None = None

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """Those of an epoch, in the order of ``epoch``."""
        return tuple(self.distinct[number] for number in self.epoch)

    @property
    def place(self) -> str:
        """Where the images are, in words: the folder; of a dataset file its one folder, or its own name, as it may be
        anywhere itself."""
        if self.file is None:
            return str(self.folder)
        folders = {subset.folder for subset in self.subsets}
        return str(folders.pop()) if len(folders) == 1 else self.file.name

    @cached_property
    def trained(self) -> tuple[Sample, ...]:
        """Of each image of each subset that is trained one sample; of a pair both sides."""
        found = {(side.subset, side.path): side for sample in reversed(self.distinct) for side in sample.sides()}
        return tuple(reversed(found.values()))

    @cached_property
    def captions(self) -> CaptionCounts:
        """Where the captions of the images that are trained come from."""
        origins = [self.origins.get((side.subset, side.path)) for side in self.trained]
        known = [origin for origin in origins if origin is not None]
        counts: dict[str, int] = Counter(origin.counted for origin in known)
        encodings = Counter(origin.encoding for origin in known if origin.counted == "files")
        empty = sum(origin.is_empty for origin in known)
        return CaptionCounts(**counts, empty=empty, encodings=most_frequent(encodings))

    @property
    def masks(self) -> int:
        """How many of the images that are trained have a mask."""
        return sum(side.mask is not None for side in self.trained)

    def bucket_of(self, sample: Sample) -> Bucket:
        return Bucket(self.subsets[sample.subset].dataset, sample.frame)

    @property
    def batch_sizes(self) -> dict[Bucket, int]:
        """How many samples a batch of each bucket has at most."""
        return {
            self.bucket_of(sample): self.subsets[sample.subset].settings.train_batch_size for sample in self.distinct
        }

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, of ``train_gradient_accumulation`` of its batches each; the last takes the rest."""
        return -(-self.batches_per_epoch // self.subsets[0].settings.train_gradient_accumulation)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch: the last of a bucket may have fewer samples than the others."""
        sizes, counts = self.batch_sizes, Counter(map(self.bucket_of, self.samples))
        return sum(-(-count // sizes[bucket]) for bucket, count in counts.items())

    @property
    def pairs(self) -> int:
        """How many pairs are trained."""
        return len({sample.path for sample in self.distinct if sample.target is not None})

    @property
    def usable(self) -> bool:
        """Whether there is anything to train."""
        return bool(self.epoch)

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
            folder=self.place,
            problems=reasons[:_MOST_REASONS],
            **({"more": more} if more > 0 else {}),
        )


def most_frequent(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def sample_of(
    image: ImageInfo,
    placement: Placement,
    caption: str,
    *,
    mirrored: bool = False,
    subset: int = 0,
    written: str | None = None,
) -> Sample:
    """What is trained of an image in one place."""
    where = placement.frame, placement.scaled, placement.crop
    return Sample(
        image.path,
        caption,
        *where,
        mirrored,
        image.has_alpha,
        image.size,
        subset=subset,
        mask=image.mask,
        written=written,
    )


def pixels_of(sample: Sample, memory: DecodingMemory | None = None) -> tuple[Pixels, Mask | None]:
    """The sample's image exactly as it is trained: scaled, cropped, mirrored.

    Returns:
        sRGB, uint8 of shape (h, w, 3) for the frame (w, h); and how much each pixel counts, float32 of shape (h, w)
        from 0 to 1, or None if all count alike.

    Raises:
        DataError: the file cannot be read any more, or its image has another size than when it was scanned.
    """
    placement = Placement(sample.frame, sample.scaled, sample.crop)
    return load_placed(
        sample.path, placement, mirrored=sample.mirrored, size=sample.size, mask=sample.mask, memory=memory
    )
