"""What will be trained, found out before any model is loaded: every picture is decoded once, and none is kept.

The pixels come later, a sample at a time, from :func:`pixels_of`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from ..errors import DataError
from ..help import label_of
from ..settings import Settings
from . import buckets
from .buckets import Frames, Placement, Size
from .captions import Caption, read_caption
from .files import Found, PictureFile, caption_from_name, find_pictures, with_trigger
from .images import Mask, Picture, Pixels, load_placed, open_picture, whole_files_only

_WORKERS = 4
_LARGE_FILE = 8_000_000
"""Bytes; files above are decoded one at a time, so that a few huge pictures do not fill the memory together."""
_SMALL, _MOSTLY_CUT = 2.0, 0.5
"""Enlarged more than this, or less than this left after cropping: told."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to learn from: a part of a picture, at one size, one way round, with its caption.

    Attributes:
        path: the picture's file.
        caption: with the trigger word.
        frame: width and height it is trained at.
        scaled: width and height of the whole picture at that scale.
        crop: what is cut off at the left and at the top, in pixels of the scaled picture.
        mirrored: left to right, after cropping.
        has_alpha: whether some of the picture is transparent, so that there is a mask.
        size: width and height of the picture in its file, upright.
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
            left = self.scaled[0] - self.frame[0] - left
        return self.size[1], self.size[0], top, left, self.frame[1], self.frame[0]


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
        pictures: how many pictures are trained.
        left_out: how many are not.
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
    def usable(self) -> bool:
        """Whether there is anything to train."""
        return bool(self.samples)

    def all_captions(self) -> list[str]:
        """Of every distinct sample, and of its target if it has one."""
        halves = [half for sample in self.distinct for half in (sample, sample.target) if half is not None]
        return [half.caption for half in halves]

    def require_usable(self) -> None:
        """Raises:
        DataError: there is nothing to train, with the first reasons.
        """
        if self.usable:
            return
        told = [f"{problem.name} {problem.what}" for problem in self.problems if problem.done == "left out"]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        raise DataError(
            f'no image in "{self.folder}" can be trained: {"; ".join(told[:3])}{more}',
            where=label_of("lora_data_directory"),
            do="Mend or replace them",
        )


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


def scan(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Find, decode and place every picture of ``lora_data_directory``.

    Args:
        settings: the data directory, the trigger word and all ``image_*``.
        check: called between pictures; may raise to stop.
        progress: called with how many pictures are done, and how many there are.

    Raises:
        DataError: there is no folder, or no picture in it. Pictures that cannot be trained are problems of the
            result; :meth:`Scan.require_usable` raises if there are no others.
    """
    found = find_pictures(settings.lora_data_directory)
    index = _Index(settings)
    for done, (file, read) in enumerate(_read_all(found.pictures, settings), start=1):
        index.add(file, read)
        if check is not None:
            check()
        if progress is not None:
            progress(done, len(found.pictures))
    return index.finished(found)


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """What reading a picture and its caption came to."""

    picture: Picture | DataError
    caption: Caption | DataError | None


def _read_all(files: Iterable[PictureFile], settings: Settings) -> Iterator[tuple[PictureFile, _Read]]:
    """In the order of the files, a few at a time."""
    one_at_a_time = Lock()

    def read(file: PictureFile) -> tuple[PictureFile, _Read]:
        return file, _Read(_picture(file.path, one_at_a_time), _caption(file, settings))

    with whole_files_only(), ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1)) as pool:
        try:
            yield from pool.map(read, files)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _picture(path: Path, one_at_a_time: Lock) -> Picture | DataError:
    try:
        if path.stat().st_size > _LARGE_FILE:
            with one_at_a_time:
                return open_picture(path)
        return open_picture(path)
    except DataError as error:
        return error
    except OSError as error:
        return DataError(f"cannot be opened ({error.strerror or error})", where=str(path))


def _caption(file: PictureFile, settings: Settings) -> Caption | DataError | None:
    if settings.image_use_filename_as_tag or file.caption is None:
        return None
    try:
        return read_caption(file.caption)
    except DataError as error:
        return error


# ---- the index ------------------------------------------------------------------------------------------------------


@dataclass
class _Index:
    """Grows a picture at a time into a :class:`Scan`."""

    settings: Settings
    frames: Frames = field(init=False)
    samples: list[Sample] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    encodings: Counter[str] = field(default_factory=Counter)
    owners: dict[Path, list[str]] = field(default_factory=dict)
    pictures: int = 0
    left_out: int = 0
    names: int = 0
    empty: int = 0
    missing: int = 0

    def __post_init__(self) -> None:
        self.frames = buckets.frames_of(self.settings)

    def add(self, file: PictureFile, read: _Read) -> None:
        if isinstance(read.picture, DataError):
            self._leave_out(file, read.picture.what)
            return
        placements = self._placements(file, read.picture)
        if not placements:
            return
        self.pictures += 1
        for what, done in read.picture.notes:
            self._tell(file, what, done)
        caption = with_trigger(self.settings.lora_trigger_word, self._caption(file, read.caption))
        for placement in placements:
            for mirrored in (False, True) if self.settings.image_mirroring else (False,):
                self.samples.append(
                    Sample(
                        path=file.path,
                        caption=caption,
                        frame=placement.frame,
                        scaled=placement.scaled,
                        crop=placement.crop,
                        mirrored=mirrored,
                        has_alpha=read.picture.has_alpha,
                        size=read.picture.size,
                    )
                )

    def _placements(self, file: PictureFile, picture: Picture) -> list[Placement]:
        """Where the picture goes; empty if nowhere, which is then told."""
        if picture.visible is not None and picture.visible[2:] == (0, 0):
            self._leave_out(file, "is fully transparent")
            return []
        width, height = picture.size
        upscale = not self.settings.image_disable_upscale
        frames = buckets.choose_frames(picture.size, self.frames, self.settings.sub_image_num, upscale=upscale)
        if not frames:
            self._leave_out(
                file, f"is smaller ({width} x {height}) than every size to train at, and image disable upscale is set"
            )
            return []
        placements = [buckets.place(picture.size, frame) for frame in frames]
        visible = [placement for placement in placements if _shows_something(picture, placement)]
        if not visible:
            self._leave_out(file, "is fully transparent in its middle, which is what would be trained")
            return []
        self._tell_of_size(file, picture, placements[0])
        return visible

    def _tell_of_size(self, file: PictureFile, picture: Picture, placement: Placement) -> None:
        width, height = picture.size
        enlarged = placement.scaled[0] / width
        if enlarged > _SMALL:
            self._tell(file, f"is small ({width} x {height})", f"used, {enlarged:.3g} times enlarged")
        if placement.kept() < _MOSTLY_CUT:
            size = f"{placement.frame[0]} x {placement.frame[1]}"
            kept = max(1, round(100 * placement.kept()))
            self._tell(file, f"has an extreme shape ({width} x {height})", f"used, but only {kept} % of it fit {size}")

    def _caption(self, file: PictureFile, read: Caption | DataError | None) -> str:
        """The caption without the trigger word; what is odd about it is told."""
        alone = "with the trigger word alone" if self.settings.lora_trigger_word.strip() else "without a caption"
        if self.settings.image_use_filename_as_tag:
            text = caption_from_name(file.path)
            self.names += 1
            self.empty += not text
            return text
        if read is None or file.caption is None:
            self.missing += 1
            return ""
        name = file.caption.relative_to(file.path.parent).as_posix()
        if isinstance(read, DataError):
            self.missing += 1
            self._tell(file, f"has a caption file, {name}, that {read.what}", f"used {alone}")
            return ""
        self.owners.setdefault(file.caption, []).append(file.name)
        self.encodings[read.encoding] += 1
        if not read.text:
            self.empty += 1
            self._tell(file, f"has an empty caption file, {name}", f"used {alone}")
        elif not read.certain:
            self._tell(file, f"has a caption, {name}, in an unclear encoding", f"read as {read.encoding}; check it")
        return read.text

    def _leave_out(self, file: PictureFile, what: str) -> None:
        self.left_out += 1
        self._tell(file, what, "left out")

    def _tell(self, file: PictureFile, what: str, done: str) -> None:
        self.problems.append(FileProblem(file.name, what, done))

    def finished(self, found: Found) -> Scan:
        distinct = tuple(self.samples)
        repeats = self.settings.image_num_multiply
        frames = Counter(sample.frame for sample in distinct)
        captions = CaptionCounts(
            files=sum(self.encodings.values()),
            names=self.names,
            empty=self.empty,
            missing=self.missing,
            encodings=tuple(sorted(self.encodings.items(), key=lambda item: (-item[1], item[0]))),
        )
        return Scan(
            folder=found.folder,
            distinct=distinct,
            samples=distinct * repeats,
            buckets=tuple((frame, count * repeats) for frame, count in sorted(frames.items())),
            pictures=self.pictures,
            left_out=self.left_out,
            captions=captions,
            problems=(*self.problems, *self._shared(found), *_of_folder(found)),
            notes=buckets.notes_on_frames(self.settings),
            others=found.others,
        )

    def _shared(self, found: Found) -> Iterator[FileProblem]:
        for caption, names in self.owners.items():
            if len(names) > 1:
                name = caption.relative_to(found.folder).as_posix()
                yield FileProblem(name, f"is the caption of {' and '.join(names)}", "used for each of them")


def _of_folder(found: Found) -> Iterator[FileProblem]:
    for name in found.lone_captions:
        yield FileProblem(name, "belongs to no image", "left out")
    for name, reason in found.unreadable:
        yield FileProblem(name, f"is a folder that cannot be opened ({reason})", "left out")


def _shows_something(picture: Picture, placement: Placement) -> bool:
    """Whether what is cropped meets what is not transparent; with a mask of zeros there is nothing to learn."""
    if picture.visible is None:
        return True
    left, top, right, bottom = picture.visible
    across, down = placement.scaled[0] / picture.size[0], placement.scaled[1] / picture.size[1]
    crop_left, crop_top = placement.crop
    width, height = placement.frame
    return (
        left * across < crop_left + width
        and right * across > crop_left
        and top * down < crop_top + height
        and bottom * down > crop_top
    )
