"""What will be trained, found out before any model is loaded: every picture is decoded once, and none is kept.

The pixels come later, a sample at a time, from :func:`~trainer.data.samples.pixels_of`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from ..config.settings import Settings
from ..config.size import Size
from ..errors import DataError
from . import buckets
from .buckets import Frames, Placement
from .captions import Caption, read_caption
from .files import Found, PictureFile, caption_from_name, find_pictures, with_trigger
from .images import Picture, open_picture, whole_files_only
from .samples import CaptionCounts, FileProblem, Sample, Scan, sample_of

_WORKERS = 4
_LARGE_FILE = 8_000_000
"""Bytes; files above are decoded one at a time, so that a few huge pictures do not fill the memory together."""
_SMALL, _MOSTLY_CUT = 2.0, 0.5
"""Enlarged more than this, or less than this left after cropping: told."""


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
    index = Index(settings)
    for done, (file, read) in enumerate(read_all(found.pictures, settings), start=1):
        index.add(file, read)
        if check is not None:
            check()
        if progress is not None:
            progress(done, len(found.pictures))
    return index.finished(found)


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """What reading a picture and its caption came to."""

    picture: Picture | DataError
    caption: Caption | DataError | None


def read_all(files: Iterable[PictureFile], settings: Settings) -> Iterator[tuple[PictureFile, Read]]:
    """In the order of the files, a few at a time."""
    one_at_a_time = Lock()

    def read(file: PictureFile) -> tuple[PictureFile, Read]:
        return file, Read(_picture(file.path, one_at_a_time), _caption(file, settings))

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
class Index:
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

    def add(self, file: PictureFile, read: Read) -> None:
        if isinstance(read.picture, DataError):
            self.leave_out(file, read.picture.what)
            return
        placements = self._placements(file, read.picture)
        if not placements:
            return
        self.pictures += 1
        for what, done in read.picture.notes:
            self.tell(file, what, done)
        caption = with_trigger(self.settings.lora_trigger_word, self.caption(file, read.caption))
        for placement in placements:
            for mirrored in self.sides():
                self.samples.append(sample_of(read.picture, placement, caption, mirrored=mirrored))

    def sides(self) -> tuple[bool, ...]:
        """Whether each way round of a picture is mirrored."""
        return (False, True) if self.settings.image_mirroring else (False,)

    def frames_for(self, size: Size) -> tuple[Size, ...]:
        """The frames a picture of this size goes to; see :func:`buckets.choose_frames`."""
        upscale = not self.settings.image_disable_upscale
        return buckets.choose_frames(size, self.frames, self.settings.sub_image_num, upscale=upscale)

    def _placements(self, file: PictureFile, picture: Picture) -> list[Placement]:
        """Where the picture goes; empty if nowhere, which is then told."""
        if picture.visible is not None and picture.visible[2:] == (0, 0):
            self.leave_out(file, "is fully transparent")
            return []
        frames = self.frames_for(picture.size)
        if not frames:
            self.leave_out(
                file, f"is smaller ({picture.size}) than every size to train at, and image disable upscale is set"
            )
            return []
        placements = [buckets.place(picture.size, frame) for frame in frames]
        visible = [placement for placement in placements if shows_something(picture, placement)]
        if not visible:
            self.leave_out(file, "is fully transparent in its middle, which is what would be trained")
            return []
        self.tell_of_size(file, picture, placements[0])
        return visible

    def tell_of_size(self, file: PictureFile, picture: Picture, placement: Placement) -> None:
        enlarged = placement.scaled.width / picture.size.width
        if enlarged > _SMALL:
            self.tell(file, f"is small ({picture.size})", f"used, {enlarged:.3g} times enlarged")
        if placement.kept() < _MOSTLY_CUT:
            kept = max(1, round(100 * placement.kept()))
            fitting = f"used, but only {kept} % of it fit {placement.frame}"
            self.tell(file, f"has an extreme shape ({picture.size})", fitting)

    def caption(self, file: PictureFile, read: Caption | DataError | None) -> str:
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
            self.tell(file, f"has a caption file, {name}, that {read.what}", f"used {alone}")
            return ""
        self.owners.setdefault(file.caption, []).append(file.name)
        self.encodings[read.encoding] += 1
        if not read.text:
            self.empty += 1
            self.tell(file, f"has an empty caption file, {name}", f"used {alone}")
        elif not read.certain:
            self.tell(file, f"has a caption, {name}, in an unclear encoding", f"read as {read.encoding}; check it")
        return read.text

    def leave_out(self, file: PictureFile, what: str) -> None:
        self.left_out += 1
        self.tell(file, what, "left out")

    def tell(self, file: PictureFile, what: str, done: str) -> None:
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


def shows_something(picture: Picture, placement: Placement) -> bool:
    """Whether what is cropped meets what is not transparent; with a mask of zeros there is nothing to learn."""
    if picture.visible is None:
        return True
    left, top, right, bottom = picture.visible
    across = placement.scaled.width / picture.size.width
    down = placement.scaled.height / picture.size.height
    crop_left, crop_top = placement.crop
    width, height = placement.frame
    return (
        left * across < crop_left + width
        and right * across > crop_left
        and top * down < crop_top + height
        and bottom * down > crop_top
    )
