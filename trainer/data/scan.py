"""What will be trained, found out before any model is loaded: every image is decoded once, and none is kept.

The pixels come later, a sample at a time, from :func:`~trainer.data.samples.pixels_of`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from ..config.settings import Settings
from ..config.size import Size
from ..errors import DataError
from ..text.messages import Message, label, message
from . import buckets
from .buckets import Frames, Placement
from .cache import DataCache
from .captions.syntax import setting_of_syntax, syntax_in
from .captions.text_files import Caption, read_caption, read_list
from .captions.variants import CaptionRules
from .companions import sort_out
from .files import Found, ImageFile, caption_from_name
from .images.decoding import ImageInfo, inspect_image, inspect_mask, whole_files_only, with_mask
from .images.fingerprint import Fingerprint
from .images.memory import DecodingMemory
from .known import kept_info
from .parallel import in_order
from .problems import FileError, FileProblem
from .samples import CaptionOrigin, Sample, Scan, SubsetCounts, most_frequent, sample_of
from .subsets import Layout, Part, Subset, balanced, find_subsets

_WORKERS = min(4, os.cpu_count() or 1)
MOST_SAMPLES = 5_000_000
"""Repeats included: more than any run takes, and each takes memory."""
_SMALL, _MOSTLY_CUT = 2.0, 0.5
"""Enlarged more than this, or less than this left after cropping: reported."""


def scan(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: DataCache | None = None,
) -> Scan:
    """Find, decode and place every image of ``lora_data_directory``.

    Args:
        settings: the data directory, the trigger word and all ``image_*``.
        check: called between images and while one is waited for; may raise to stop.
        progress: called with how many images are done, and how many there are.
        cache: what is known of images from earlier; those are not decoded.

    Raises:
        DataError: there is no folder, or no image in it. Images that cannot be trained are problems of the
            result; :meth:`Scan.require_usable` raises if there are no others.
    """
    layout = sorted_out(find_subsets(settings, check=check), check)
    done, total = 0, sum(len(part.found.images) for part in layout.parts)
    indexes = []
    for part in layout.parts:
        index = Index(part)
        indexes.append(index)
        for file, read in read_all(part.found.images, part.subset.settings, check, cache):
            index.add(file, read)
            done += 1
            if check is not None:
                check()
            if progress is not None:
                progress(done, total)
    return finished(layout, indexes)


def sorted_out(layout: Layout, check: Callable[[], None] | None = None) -> Layout:
    """Without the files among the images that are none to learn from."""
    parts = (replace(part, found=sort_out(part.found, part.subset.settings, check=check)) for part in layout.parts)
    return replace(layout, parts=tuple(parts))


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """The result of reading an image and its caption."""

    image: ImageInfo | FileError
    caption: Caption | FileError | None


def read_all(
    files: Iterable[ImageFile],
    settings: Settings,
    check: Callable[[], None] | None = None,
    cache: DataCache | None = None,
) -> Iterator[tuple[ImageFile, Read]]:
    """In the order of the files, a few at a time.

    Args:
        check: called while an image is waited for; may raise to stop.
        cache: what is known of images from earlier.
    """
    memory = DecodingMemory()
    files = list(files)
    lists = {} if settings.image_use_filename_as_tag else _lists(files)

    def read(file: ImageFile) -> Read:
        return Read(_image(file, memory, cache), _caption(file, lists, settings))

    with whole_files_only():
        yield from in_order(files, read, _WORKERS, check)


def _image(file: ImageFile, memory: DecodingMemory, cache: DataCache | None) -> ImageInfo | FileError:
    def known(path: Path, kind: str, look: Callable[..., ImageInfo]) -> ImageInfo:
        if cache is None:
            return look(path, memory=memory)
        return kept_info(path, cache, lambda: look(path, memory=memory), kind)

    try:
        image = known(file.path, "image", inspect_image)
        return image if file.mask is None else with_mask(image, known(file.mask, "mask", inspect_mask))
    except FileError as error:
        return error


_Lists = dict[Path, dict[str, Caption] | FileError]


def _lists(files: Iterable[ImageFile]) -> _Lists:
    """Every list of captions, read once."""
    found: _Lists = {}
    for path in dict.fromkeys(file.listed for file in files if file.listed is not None):
        try:
            found[path] = read_list(path)
        except FileError as error:
            found[path] = error
    return found


def _caption(file: ImageFile, lists: _Lists, settings: Settings) -> Caption | FileError | None:
    """From the file beside the image, else from the list."""
    if settings.image_use_filename_as_tag or file.written is not None:
        return None
    try:
        found = None if file.caption is None else read_caption(file.caption)
    except FileError as error:
        return error
    if found is not None or file.listed is None:
        return found
    of_list = lists[file.listed]
    return (
        of_list if isinstance(of_list, FileError) else of_list.get(file.path.relative_to(file.listed.parent).as_posix())
    )


# ---- the index ------------------------------------------------------------------------------------------------------


@dataclass
class Index:
    """The samples of one subset, an image at a time; :func:`finished` makes a :class:`Scan` of all of them."""

    part: Part
    frames: Frames = field(init=False)
    rules: CaptionRules = field(init=False)
    samples: list[Sample] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    origins: dict[Path, CaptionOrigin] = field(default_factory=dict)
    """Where the caption of each image comes from."""
    owners: dict[Path, list[str]] = field(default_factory=dict)
    fingerprints: list[tuple[Path, Fingerprint]] = field(default_factory=list)
    equal: int = 0
    unmasked: list[ImageFile] = field(default_factory=list)
    images: int = 0
    masks: int = 0
    left_out: int = 0
    without_caption: int = 0
    """JSON files beside images that hold none."""
    several_lines: int = 0
    """Captions of which only the first line is used."""
    syntax: Counter[str] = field(default_factory=Counter)
    """What stands in captions that other programs would read as more than text."""
    broken_lists: dict[Path, Message] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frames = buckets.frames_of(self.settings)
        self.rules = CaptionRules.of(self.settings)

    @property
    def subset(self) -> Subset:
        return self.part.subset

    @property
    def settings(self) -> Settings:
        """Those of the subset."""
        return self.part.subset.settings

    def add(self, file: ImageFile, read: Read) -> None:
        if isinstance(read.image, FileError):
            self.leave_out(file, read.image.problem)
            return
        placements = self._placements(file, read.image)
        if not placements:
            return
        self.count(file, read.image)
        self.remember(read.image)
        for what, done in read.image.notes:
            self.report(file, what, done)
        caption, written = self.made(self.caption(file, read.caption))
        for placement in placements:
            for mirrored in self.sides():
                number = self.subset.number
                self.samples.append(
                    sample_of(read.image, placement, caption, mirrored=mirrored, subset=number, written=written)
                )

    def made(self, written: str) -> tuple[str, str | None]:
        """The caption where nothing is drawn, and if it changes from step to step what it is made from."""
        return self.rules.plain(written), written if self.rules.varies(written) else None

    def count(self, file: ImageFile, image: ImageInfo) -> None:
        """Count an image that is trained."""
        self.images += 1
        if image.mask is None:
            self.unmasked.append(file)
        else:
            self.masks += 1

    def sides(self) -> tuple[bool, ...]:
        """Whether each way round of an image is mirrored."""
        return (False, True) if self.settings.image_mirroring else (False,)

    def placed(self, size: Size) -> tuple[Placement, ...]:
        """Where an image of this size goes; see :func:`buckets.placements`."""
        return buckets.placements(size, self.settings, self.frames)

    def _placements(self, file: ImageFile, image: ImageInfo) -> list[Placement]:
        """Where the image goes; empty if nowhere, which is then reported."""
        if image.is_invisible:
            self.leave_out(file, message("data.transparent"))
            return []
        if image.size.area <= self.subset.skipped_area:
            self.leave_out(file, message("data.skipped_size", size=str(image.size)), image.size.area)
            return []
        placements = self.placed(image.size)
        if not placements:
            self.leave_out(file, too_small(image.size), image.size.area)
            return []
        visible = [placement for placement in placements if shows_something(image, placement)]
        if not visible:
            hidden = message("data.transparent_middle")
            if image.mask is not None:
                hidden = message("data.mask_empty_middle", file=image.mask.name)
            self.leave_out(file, hidden)
            return []
        self.report_size(file, image, placements[0])
        return visible

    def report_size(self, file: ImageFile, image: ImageInfo, placement: Placement) -> None:
        enlarged = placement.scaled.width / image.size.width
        if enlarged > _SMALL:
            done = message("data.used_enlarged", factor=_rounded(enlarged))
            self.report(file, message("data.small", size=str(image.size)), done, image.size.area)
        if placement.kept() < _MOSTLY_CUT:
            kept = max(1, round(100 * placement.kept()))
            done = message("data.partly_used", percent=kept, frame=str(placement.frame))
            self.report(file, message("data.extreme_shape", size=str(image.size)), done, image.size.area)

    def caption(self, file: ImageFile, read: Caption | FileError | None) -> str:
        """What the caption file says, a line of it a line, without the trigger word; what is odd is reported."""
        has_trigger = bool(self.settings.lora_trigger_word.strip())
        alone = message("data.used_with_trigger" if has_trigger else "data.used_without_caption")
        if file.written is not None:
            self.origins[file.path] = CaptionOrigin("written", is_empty=not file.written)
            self._look_at(file.written)
            return file.written
        if self.settings.image_use_filename_as_tag:
            text = caption_from_name(file.path)
            self.origins[file.path] = CaptionOrigin("names", is_empty=not text)
            return text
        source = file.caption or file.listed
        if read is None or source is None:
            self.without_caption += file.caption is not None
            return self._class_words(file)
        name = os.path.relpath(source, file.path.parent).replace(os.sep, "/")
        if isinstance(read, FileError):
            if source is file.listed:
                self.broken_lists[source] = read.problem
                return self._class_words(file)
            if self.subset.class_words:
                alone = message("data.used_with_class_words", words=self.subset.class_words)
            self.report(file, message("data.caption_unusable", file=name, problem=read.problem), alone)
            return self._class_words(file)
        if source is file.caption:
            self.owners.setdefault(source, []).append(file.name)
        self.origins[file.path] = CaptionOrigin("files", read.encoding, is_empty=not read.text)
        self._look_at(read.text)
        if not read.text:
            self.report(file, message("data.caption_empty", file=name), alone)
        elif not read.certain:
            done = message("data.read_as", encoding=read.encoding)
            self.report(file, message("data.caption_unclear", file=name), done)
        return read.text

    def _look_at(self, caption: str) -> None:
        """Note what of a caption is not used, or not as other programs use it."""
        self.several_lines += self.settings.caption_lines == "first" and "\n" in caption
        self.syntax.update(syntax_in(caption, self.settings))

    def _class_words(self, file: ImageFile) -> str:
        """The caption of an image that has none."""
        self.origins[file.path] = CaptionOrigin("class_words" if self.subset.class_words else "missing")
        return self.subset.class_words

    def remember(self, image: ImageInfo) -> None:
        """So that a copy of it is found."""
        if image.fingerprint is not None:
            self.fingerprints.append((image.path, image.fingerprint))

    def leave_out(self, file: ImageFile, what: Message, amount: float = 0) -> None:
        self.left_out += 1
        self.problems.append(_left_out(file.name, what, amount))

    def report(self, file: ImageFile, what: Message, done: Message, amount: float = 0) -> None:
        self.problems.append(FileProblem(file.name, what, done, amount=amount))

    def caption_notes(self) -> Iterator[Message]:
        """What to know about the captions as a whole."""
        if self.several_lines:
            setting = label("caption_lines")
            yield message("data.first_lines", count=self.several_lines, setting=setting)
        if self.without_caption:
            yield message("data.json_without_caption", count=self.without_caption)
        for name, count in sorted(self.syntax.items()):
            yield message(f"data.syntax_{name}", count=count, **setting_of_syntax(name))

    def shared(self) -> Iterator[FileProblem]:
        """Caption files of several images, and lists of captions that cannot be read."""
        for path, what in self.broken_lists.items():
            yield _left_out(path.relative_to(self.part.found.folder).as_posix(), what)
        for caption, names in self.owners.items():
            if len(names) > 1:
                name = PurePosixPath(names[0]).with_name(caption.name).as_posix()
                what = message("data.caption_shared", images=names)
                yield FileProblem(name, what, message("data.used_for_each"))

    def without_mask(self) -> Iterator[FileProblem]:
        """The images that have none where others have one."""
        if self.masks and self.unmasked:
            first, *others = self.unmasked
            what = message("data.no_mask")
            what = message("data.and_others", what=what, count=len(others)) if others else what
            yield FileProblem(first.name, what, message("data.used_whole"))


def finished(layout: Layout, indexes: Sequence[Index]) -> Scan:
    """What will be trained of all subsets."""
    taken = _taken(indexes)
    distinct = tuple(sample for images in taken for image, repeats in images if repeats for sample in image)
    epoch = tuple(_epoch(taken))
    frames = Counter(distinct[number].frame for number in epoch)
    others = sum((Counter(dict(index.part.found.others)) for index in indexes), Counter[str]())
    counts = [_counts(index, images) for index, images in zip(indexes, taken, strict=True)]
    unused = sum(count.unused for count in counts)
    notes = [*layout.notes, *(note for index in indexes for note in buckets.notes_on_frames(index.settings))]
    notes += [note for index in indexes for note in index.caption_notes()]
    if unused:
        used = sum(count.images for index, count in zip(indexes, counts, strict=True) if index.subset.is_reg)
        notes.append(message("data.reg_unused", used=used, total=used + unused))
    return Scan(
        folder=layout.folder,
        subsets=tuple(index.subset for index in indexes),
        counts=tuple(counts),
        distinct=distinct,
        epoch=epoch,
        buckets=tuple(sorted(frames.items())),
        images=sum(count.images for count in counts),
        left_out=sum(index.left_out for index in indexes),
        origins={(index.subset.number, path): origin for index in indexes for path, origin in index.origins.items()},
        problems=(
            *layout.problems,
            *(
                problem
                for index in indexes
                for problem in (*index.problems, *index.shared(), *index.without_mask(), *_of_folder(index.part.found))
            ),
        ),
        notes=tuple(dict.fromkeys(notes)),
        others=most_frequent(others),
        equal_pairs=sum(index.equal for index in indexes),
        fingerprints=tuple(known for index in indexes for known in index.fingerprints),
        file=layout.file,
    )


_Taken = list[tuple[list[Sample], int]]
"""The samples of each image of a subset, and how often an epoch has them."""


def _taken(indexes: Sequence[Index]) -> list[_Taken]:
    """Of each subset; regularisation images are balanced with the other images of their dataset.

    Raises:
        DataError: there would be too many samples.
    """
    images = [[list(samples) for _, samples in groupby(index.samples, lambda each: each.path)] for index in indexes]
    repeats = [[index.subset.repeats] * len(own) for index, own in zip(indexes, images, strict=True)]
    for dataset in {index.subset.dataset for index in indexes if index.subset.is_reg}:
        places = [number for number, index in enumerate(indexes) if index.subset.dataset == dataset]
        of_reg = [number for number in places if indexes[number].subset.is_reg]
        wanted = sum(sum(repeats[number]) for number in places if number not in of_reg)
        shared = iter(balanced([own for number in of_reg for own in repeats[number]], wanted))
        for number in of_reg:
            repeats[number] = [next(shared) for _ in images[number]]
    taken = [list(zip(*each, strict=True)) for each in zip(images, repeats, strict=True)]
    if sum(len(samples) * times for own in taken for samples, times in own) > MOST_SAMPLES:
        most = max(indexes, key=lambda index: len(index.samples) * index.subset.repeats)
        raise DataError(
            "data.too_many_samples",
            where=label("image_num_multiply"),
            repeats=most.subset.repeats,
            count=len(most.samples),
            most=MOST_SAMPLES,
        )
    return taken


def _epoch(taken: Iterable[_Taken]) -> Iterator[int]:
    first = 0
    for images in taken:
        numbers = []
        for samples, repeats in images:
            if repeats:
                numbers.append((range(first, first + len(samples)), repeats))
                first += len(samples)
        for turn in range(max((repeats for _, repeats in numbers), default=0)):
            for of_image, repeats in numbers:
                if turn < repeats:
                    yield from of_image


def _counts(index: Index, images: _Taken) -> SubsetCounts:
    used = [(len(samples), repeats) for samples, repeats in images if repeats]
    unused = len(images) - len(used)
    return SubsetCounts(index.images - unused, unused, sum(count * repeats for count, repeats in used))


def _of_folder(found: Found) -> Iterator[FileProblem]:
    for name in found.lone_captions:
        yield _left_out(name, message("data.caption_alone"))
    for name, what in (*found.companions, *found.unreadable):
        yield _left_out(name, what)


def _left_out(name: str, what: Message, amount: float = 0) -> FileProblem:
    return FileProblem(name, what, message("data.is_left_out"), left_out=True, amount=amount)


def _rounded(factor: float) -> int | float:
    """To three digits, as a whole number where it is one."""
    rounded = float(f"{factor:.3g}")
    return int(rounded) if rounded.is_integer() else rounded


def too_small(size: Size) -> Message:
    """What is wrong with an image of this size that fills no frame and may not be enlarged."""
    return message("data.smaller_than_frames", size=str(size), setting=label("image_disable_upscale"))


def shows_something(image: ImageInfo, placement: Placement) -> bool:
    """Whether what is cropped meets what is not transparent; with a mask of zeros there is nothing to learn."""
    if image.visible is None:
        return True
    left, top, right, bottom = image.visible
    across = placement.scaled.width / image.size.width
    down = placement.scaled.height / image.size.height
    crop_left, crop_top = placement.crop
    width, height = placement.frame
    return (
        left * across < crop_left + width
        and right * across > crop_left
        and top * down < crop_top + height
        and bottom * down > crop_top
    )
