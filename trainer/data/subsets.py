"""What a run's images are made up of: one or several folders, each with settings of its own.

Folders are read as sd-scripts reads them: ``10_zorp cat`` holds images of which each is taken ten times, with ``zorp
cat`` as the caption of those that have none; such folders are looked for in the folder that is given, and in the one
below it where that is a project of kohya_ss's (``img``, ``reg``, ``log``, ``model``).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from ..config.choices import MODES
from ..config.settings import Settings
from ..errors import DataError, UserError
from ..paths import reason_of
from ..text.messages import Message, label, message
from .captions.metadata_file import images_in
from .companions import IMAGE_FOLDERS, MASK_FOLDERS, image_stems
from .dataset_file import DatasetFile, Described, dataset_file, read_dataset_file
from .files import Found, ImageFile, existing_folder, folders_in, has_image, look_into, nothing_in
from .problems import FileProblem

MOST_REPEATS: Final = 999
"""In the name of a folder; larger numbers are years, dates and counts."""
_NUMBERED = re.compile(r"(\d+)_(.*)", re.DOTALL)
_MOST_NAMES = 5
_PROJECT, _BESIDE_PROJECT = "img", frozenset(("reg", "log", "model"))
"""The folders kohya_ss makes for a project."""
_REG_FOLDERS = frozenset(("reg", "regularization", "regularisation"))


@dataclass(frozen=True)
class Subset:
    """A folder with settings.

    Attributes:
        number: its place in :attr:`Scan.subsets`.
        name: the folder's name as the user knows it.
        folder: where it is.
        settings: the run's, with what holds for this subset alone put in.
        repeats: how often an epoch has each of its images; of regularisation images, before they are balanced.
        class_words: the caption of an image that has none.
        is_reg: whether its images regularise: they show the class, and are not what is to be learned.
        dataset: a batch is of one dataset, and the subsets of one agree about image size, buckets and batch size.
        skipped_area: pixels; images that are not larger are left out.
        metadata: the file with the captions of its images, where they are all in one.
    """

    number: int
    name: str
    folder: Path
    settings: Settings
    repeats: int = 1
    class_words: str = ""
    is_reg: bool = False
    dataset: int = 0
    skipped_area: int = 0
    metadata: Path | None = None


@dataclass(frozen=True)
class Part:
    """A subset with the images that were found for it."""

    subset: Subset
    found: Found


@dataclass(frozen=True)
class Layout:
    """What a run's images are made up of.

    Attributes:
        folder: the one that was given.
        parts: the subsets; those with regularisation images come last.
        problems: what to know about single folders.
        notes: what to know about several.
        file: the dataset file that describes them, if there is one.
    """

    folder: Path
    parts: tuple[Part, ...]
    problems: tuple[FileProblem, ...] = ()
    notes: tuple[Message, ...] = ()
    file: Path | None = None


class NamedRepeats(NamedTuple):
    """What the name of a folder says."""

    repeats: int
    words: str


def repeats_in(name: str) -> NamedRepeats | None:
    """The repeats and the words of a folder's name, ``10_zorp cat``; None where it begins with no number.

    0 repeats stand for a folder that is not to be used, as in sd-scripts. Numbers that begin with 0, and those above
    :data:`MOST_REPEATS`, are not repeats: ``01_front``, ``2024_holiday``; such a folder is used once.
    """
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return None
    digits, words = match.groups()
    if not _is_plausible(digits):
        return NamedRepeats(1, "")
    return NamedRepeats(int(digits), words.strip())


def _is_plausible(digits: str) -> bool:
    return digits == "0" or (len(digits) <= len(str(MOST_REPEATS)) and int(digits[0]) > 0)


def _has_repeats(name: str) -> bool:
    """Whether a folder's name is meant for sd-scripts."""
    match = _NUMBERED.fullmatch(name)
    return match is not None and _is_plausible(match[1]) and int(match[1]) > 0


def find_subsets(settings: Settings, *, check: Callable[[], None] | None = None) -> Layout:
    """The subsets of a run with their images: those of a dataset file, or those of ``lora_data_directory`` and
    ``reg_data_directory``, of which an ordinary folder is one.

    Args:
        check: called again and again; may raise to stop.

    Raises:
        UserError: there is no folder, or no image in it; or the dataset file cannot be used.
    """
    path = dataset_file(settings)
    if path is not None:
        return _described(read_dataset_file(path, settings), check)
    root = existing_folder(settings.lora_data_directory)
    return _Finder(settings, root, check).layout()


def balanced(repeats: Sequence[int], wanted: int) -> list[int]:
    """How often each regularisation image is taken, so that they are as many as the images to learn from.

    As sd-scripts does it: one after the other with its own repeats until there are enough, the others not at all; if
    they do not suffice, each once more in turn.

    Args:
        repeats: of each image.
        wanted: the images to learn from, repeats included.
    """
    taken = 0
    found = [0] * len(repeats)
    for number, own in enumerate(repeats):
        if taken >= wanted:
            return found
        found[number] = own
        taken += own
    if taken < wanted and found:
        more, rest = divmod(wanted - taken, len(found))
        found = [own + more + (number < rest) for number, own in enumerate(found)]
    return found


# ---- those of a dataset file ----------------------------------------------------------------------------------------


def _described(file: DatasetFile, check: Callable[[], None] | None) -> Layout:
    """The subsets that a file describes, without those that have no image or are there twice.

    Raises:
        UserError: a folder or a file with captions cannot be read, or nothing is left to learn from.
    """
    parts: list[Part] = []
    notes = list(file.notes)
    known: set[tuple[int, str]] = set()
    for each in file.subsets:
        source = each.metadata or each.folder
        assert source is not None
        key = each.dataset, os.path.realpath(source)
        if each.repeats < 1:
            notes.append(message("data.subset_without_repeats", place=each.place))
        elif key in known:
            notes.append(message("data.subset_twice", place=each.place, name=source.name))
        else:
            known.add(key)
            found, inner = _images_of(each, check)
            if inner:
                told = "data.subset_inner" if found.images else "data.subset_inner_only"
                notes.append(message(told, place=each.place, folder=source, count=inner))
            elif not found.images:
                notes.append(message("data.subset_empty", place=each.place, name=source.name))
            parts.append(Part(_subset_of(each, len(parts), source), found))
    if not any(part.found.images for part in parts if not part.subset.is_reg):
        raise DataError("data.no_image_described", where=str(file.path), problems=notes)
    return Layout(file.path.parent, tuple(parts), notes=tuple(notes), file=file.path)


def _images_of(described: Described, check: Callable[[], None] | None) -> tuple[Found, int]:
    """Its images, and how many more there are in sub-folders, which sd-scripts does not look into either."""
    if described.metadata is not None:
        separator = described.settings.caption_separator
        return images_in(described.metadata, described.folder, separator, described.place, check), 0
    folder, extension = described.folder, described.settings.caption_extension
    assert folder is not None
    try:
        found = look_into(folder, named_from=folder.parent, deep=False, extension=extension, check=check)
        inner = sum(len(look_into(each, extension=extension, check=check).images) for each in folders_in(folder))
    except OSError as error:
        raise DataError(
            "data.folder_unreadable", where=described.place, folder=folder, reason=reason_of(error)
        ) from error
    return found, inner


def _subset_of(described: Described, number: int, source: Path) -> Subset:
    settings = described.settings
    return Subset(
        number,
        source.name or str(source),
        described.folder or source.parent,
        replace(settings, lora_trigger_word="") if described.is_reg else settings,
        repeats=described.repeats,
        class_words=described.class_words,
        is_reg=described.is_reg,
        dataset=described.dataset,
        skipped_area=described.skipped_area,
        metadata=described.metadata,
    )


def _with_masks(part: Part, folder: Path) -> Part:
    settings = replace(part.subset.settings, image_mask_directory=str(folder))
    return replace(part, subset=replace(part.subset, settings=settings))


def _stem(image: ImageFile) -> str:
    return next(image_stems(image))


# ---- finding them ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """A folder that makes a subset.

    Attributes:
        deep: whether its sub-folders belong to it.
        without: sub-folders that do not.
    """

    folder: Path
    repeats: int = 1
    words: str = ""
    deep: bool = True
    without: tuple[Path, ...] = ()


@dataclass
class _Finder:
    """One way through the folders of a run.

    Args:
        root: ``lora_data_directory``.
    """

    settings: Settings
    root: Path
    check: Callable[[], None] | None
    problems: list[FileProblem] = field(default_factory=list)
    numbered: list[str] = field(default_factory=list)
    """Folders whose names begin with a number that is not taken for repeats."""
    masks: list[tuple[Path, Path, str | None]] = field(default_factory=list)
    """Folders beside those of the images that are called as one of masks, with where their names begin and why they
    are left out if they are none; None where they are outside the folder that was given, so that nobody asks."""

    def layout(self) -> Layout:
        given = beside = None
        if "subsets" in MODES[self.settings.mode].groups:  # other modes know no regularisation images
            given, beside = self._given_reg(), self._reg_beside()
        apart = tuple(each for each in (given, beside) if each is not None)
        found = [(place, self._look_into(place, self.root)) for place in self._places(self.root, apart, self.root)]
        self._find_masks_beside()
        parts = self._masked(self._parts(found, is_reg=False))
        if not parts:
            raise self._nothing_in(self.root, found, apart).at(label("lora_data_directory"))
        reg = given or beside
        if reg is not None:
            base = self.root if self.root in reg.parents else reg.parent
            found = [(place, self._look_into(place, base)) for place in self._places(reg, (), base)]
            of_reg = self._masked(self._parts(found, is_reg=True, first=len(parts)))
            if not of_reg and reg is given:
                raise self._nothing_in(reg, found, ()).at(label("reg_data_directory"))
            parts += of_reg
        if beside is not None and given is not None and not os.path.samefile(beside, given):
            self._leave_out(beside, self.root, "data.other_reg")
        return Layout(self.root, tuple(parts), tuple(self.problems), tuple(self._notes()))

    def _notes(self) -> Iterator[Message]:
        if self.numbered:
            names = self.numbered[:_MOST_NAMES]
            more = len(self.numbered) - len(names)
            yield message(
                "data.numbers_not_repeats_more" if more else "data.numbers_not_repeats",
                names=names,
                most=MOST_REPEATS,
                **({"more": more} if more else {}),
            )

    def _nothing_in(self, folder: Path, found: Sequence[tuple[_Place, Found]], apart: Sequence[Path]) -> UserError:
        for each in apart:
            if self._look_into(_Place(each), each).images:
                return DataError("data.only_reg", folder=folder, name=_name(each, folder))
        others = sum((Counter(dict(each.others)) for _, each in found), Counter[str]())
        return nothing_in(
            Found(
                folder,
                images=(),
                lone_captions=tuple(name for _, each in found for name in each.lone_captions),
                others=tuple(others.most_common()),
                left_out=tuple(name for _, each in found for name in each.left_out),
            )
        )

    def _given_reg(self) -> Path | None:
        """``reg_data_directory``.

        Raises:
            DataError: it is no folder, or the one that is learned from.
        """
        if not self.settings.reg_data_directory:
            return None
        setting = "reg_data_directory"
        folder = existing_folder(self.settings.reg_data_directory, setting=setting)
        if os.path.samefile(folder, self.root):
            raise DataError("data.reg_is_data", where=label(setting), setting=label("lora_data_directory"))
        return folder

    def _reg_beside(self) -> Path | None:
        """A folder with regularisation images by its name: in the one that is given, or beside it where that is the
        ``img`` of a project."""
        near = [self.root]
        if self.root.name.casefold() == _PROJECT:
            near.append(self.root.absolute().parent)
        for folder in near:
            for inner in self._folders_in(folder):
                if inner.name.casefold() in _REG_FOLDERS:
                    return inner
        return None

    def _find_masks_beside(self) -> None:
        """Note the folders of masks beside the one that is given, where that is called as one for images."""
        wanted = self.settings.image_use_masks and not self.settings.image_mask_directory
        if not wanted or self.root.name.casefold() not in IMAGE_FOLDERS:
            return
        above = self.root.absolute().parent
        for each in self._folders_in(above):
            if each.name.casefold() in MASK_FOLDERS:
                self.masks.append((each, above, None))

    def _places(self, root: Path, without: Collection[Path], base: Path) -> list[_Place]:
        """The folders that make the subsets of ``root``, in natural order.

        Args:
            without: folders in it that do not belong to it.
            base: where the names that the user is shown begin.
        """
        apart = {os.path.realpath(each) for each in without}
        inner = [each for each in self._folders_in(root) if os.path.realpath(each) not in apart]
        if any(_has_repeats(each.name) for each in inner):
            return list(self._numbered(root, inner, base))
        own = repeats_in(root.name) if _has_repeats(root.name) else None
        if own is not None:
            return [_Place(root, *own, without=tuple(without))]
        if not has_image(root):
            above = [each for each in inner if any(_has_repeats(name.name) for name in self._folders_in(each))]
            above = [each for each in above if each.name.casefold() not in MASK_FOLDERS] or above
            names = {each.name.casefold() for each in inner} | {each.name.casefold() for each in without}
            if not above and _PROJECT in names and names & _BESIDE_PROJECT:
                above = [each for each in inner if each.name.casefold() == _PROJECT]
            if above:
                for each in inner:
                    if each not in above:
                        self._leave_out_or_mask(each, base, "data.folder_beside_images")
                return [place for each in above for place in self._places(each, (), base)]
        self.numbered += [_name(each, base) for each in inner if repeats_in(each.name) is not None]
        return [_Place(root, without=tuple(without))]

    def _numbered(self, root: Path, inner: Sequence[Path], base: Path) -> Iterator[_Place]:
        """Of a folder with folders that say repeats; what is loose in it is used once, as it would be without them."""
        if has_image(root):
            yield _Place(root, deep=False)
        for each in inner:
            named = repeats_in(each.name)
            if named is None:
                self._leave_out_or_mask(each, base, "data.folder_without_repeats")
            elif named.repeats == 0:
                self._leave_out(each, base, "data.folder_zero_repeats")
            else:
                if not _has_repeats(each.name):
                    self.numbered.append(_name(each, base))
                yield _Place(each, *named)

    def _parts(self, found: Sequence[tuple[_Place, Found]], *, is_reg: bool, first: int = 0) -> list[Part]:
        parts: list[Part] = []
        settings = replace(self.settings, lora_trigger_word="") if is_reg else self.settings
        for place, each in found:
            if not each.images:
                continue
            repeats = place.repeats * settings.image_num_multiply
            name = place.folder.name or str(place.folder)
            subset = Subset(first + len(parts), name, place.folder, settings, repeats, place.words, is_reg)
            parts.append(Part(subset, each))
        return parts

    def _masked(self, parts: list[Part]) -> list[Part]:
        """With the masks of a folder beside those of the images, unless it is unclear whose they are."""
        for folder, base, reason in self.masks:
            masks = self._look_into(_Place(folder), folder).images
            stems = {stem for mask in masks for stem in image_stems(mask)}
            owners = Counter(stem for part in parts for stem in {*map(_stem, part.found.images)} & stems)
            flat = {stem for mask in masks if mask.path.parent == folder for stem in image_stems(mask)}
            if not owners or any(mask.caption for mask in masks):
                if reason is not None:
                    self._leave_out(folder, base, reason)
            elif any(owners[stem] > 1 for stem in flat):
                self._leave_out(folder, base, "data.masks_of_several_folders")
            else:
                parts = [_with_masks(part, folder) for part in parts]
        self.masks.clear()
        return parts

    def _leave_out_or_mask(self, folder: Path, base: Path, reason: str) -> None:
        """Say that a folder with images is not used, unless it may be one of masks."""
        wanted = self.settings.image_use_masks and not self.settings.image_mask_directory
        if wanted and folder.name.casefold() in MASK_FOLDERS:
            self.masks.append((folder, base, reason))
        else:
            self._leave_out(folder, base, reason)

    def _look_into(self, place: _Place, base: Path) -> Found:
        try:
            return look_into(
                place.folder,
                named_from=base,
                without=place.without,
                deep=place.deep,
                extension=self.settings.caption_extension,
                check=self.check,
            )
        except OSError as error:
            raise _unreadable(place.folder, error) from error

    def _folders_in(self, folder: Path) -> list[Path]:
        try:
            return folders_in(folder)
        except OSError as error:
            if folder == self.root:
                raise _unreadable(folder, error) from error
            return []

    def _leave_out(self, folder: Path, base: Path, reason: str) -> None:
        """Say that a folder with images is not used."""
        count = len(self._look_into(_Place(folder), folder).images)
        if count:
            name = _name(folder, base)
            what, done = message(reason, count=count), message("data.is_left_out")
            self.problems.append(FileProblem(name, what, done, left_out=True))


def _unreadable(folder: Path, error: OSError) -> UserError:
    return DataError(
        "data.folder_unreadable", where=label("lora_data_directory"), folder=folder, reason=reason_of(error)
    )


def _name(folder: Path, base: Path) -> str:
    """What the user is shown."""
    return folder.relative_to(base).as_posix() if base in folder.parents else folder.name
