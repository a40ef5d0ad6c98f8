"""A set: a folder of images with their captions and masks, looked at and changed without a model.

What belongs to which image is found as a run finds it. Every change is noted in the set's journal first and can be
undone; images are set aside, never deleted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from ..config.settings import Settings
from ..data.captions.text_files import Caption, decode, read_caption, read_list
from ..data.companions import sort_out
from ..data.files import CAPTION_ENDINGS, JSON_ENDING, Found, ImageFile, caption_endings, look_into
from ..data.problems import FileError
from ..errors import DataError, OutputError, UserError
from ..paths import open_file, reason_of, replace_whole
from ..text.messages import Message, message
from .journal import Journal, Moved, Written
from .tags import Change

ASIDE: Final = ".aside"
"""The folder inside a set that images are set aside into; training looks into no folder whose name begins so."""
_FEW: Final = 32
"""Files up to which each is on the disk for certain before the next is written; of more, the journal is."""


@dataclass(frozen=True)
class Item:
    """An image of a set.

    Attributes:
        name: its path inside the set, with / on every system.
        path: its file.
        caption: what its caption file says; empty if there is none.
        caption_file: where that stands; None if there is none.
        mask: the image that says how much each part of it counts, if there is one.
        size: bytes of the image's file.
        changed: when it was written, in nanoseconds.
        problem: why its caption cannot be read; it is not written over, then.
        is_aside: whether it is set aside.
    """

    name: str
    path: Path
    caption: str = ""
    caption_file: Path | None = None
    mask: Path | None = None
    size: int = 0
    changed: int = 0
    problem: Message | None = None
    is_aside: bool = False


@dataclass(frozen=True)
class Done:
    """What came of a change.

    Attributes:
        count: how many images it changed.
        left: names of those that were left alone, as their files had been changed by somebody else.
        what: what was done, or undone.
    """

    count: int
    left: tuple[str, ...] = ()
    what: Message | None = None


class ImageSet:
    """A folder of images.

    Args:
        folder: where they are.
        journals: the folder for journals, which is not the set's.
        extension: what the names of caption files end with, as in ``caption_extension``; empty: as usual.
    """

    def __init__(self, folder: Path, journals: Path, extension: str = "") -> None:
        self.folder = folder
        self.extension = extension
        self.journal = Journal(folder, journals)

    # ---- looking ----------------------------------------------------------------------------------------------------

    def items(self, *, aside: bool = False, check: Callable[[], None] | None = None) -> list[Item]:
        """The images in natural order, with their captions as they are now.

        Args:
            aside: those that are set aside, in place of the others.
            check: called again and again; may raise to stop.

        Raises:
            DataError: the folder is not there, or cannot be read.
        """
        lists: dict[Path, dict[str, Caption] | FileError] = {}
        return [self._item(each, lists, is_aside=aside) for each in self._found(aside, check).images]

    def _found(self, aside: bool = False, check: Callable[[], None] | None = None) -> Found:
        folder = self.folder / ASIDE if aside else self.folder
        if aside and not folder.is_dir():
            return Found(folder, ())
        try:
            found = look_into(folder, extension=self.extension, check=check)
        except OSError as error:
            raise DataError("sets.unreadable", where=str(folder), reason=reason_of(error)) from error
        return sort_out(found, Settings())

    def _item(self, file: ImageFile, lists: dict[Path, dict[str, Caption] | FileError], *, is_aside: bool) -> Item:
        try:
            stat = file.path.stat()
            size, changed = stat.st_size, stat.st_mtime_ns
        except OSError:  # gone since, or a link to nothing
            size = changed = 0
        item = Item(file.name, file.path, "", file.caption, file.mask, size, changed, None, is_aside)
        try:
            found = None if file.caption is None else read_caption(file.caption)
        except FileError as error:
            return replace(item, problem=error.problem)
        if found is None and file.listed is not None:
            found = _of_list(file, lists)
        return item if found is None else replace(item, caption=found.text)

    def item(self, name: str, *, aside: bool = False) -> Item:
        """One image by its name.

        Raises:
            DataError: there is none of that name.
        """
        found = next((each for each in self.items(aside=aside) if each.name == name), None)
        if found is None:
            raise DataError("sets.no_such_image", where=name)
        return found

    def path_of(self, name: str, *, aside: bool = False) -> Path:
        """The file of a name, which lies inside the set whatever the name is.

        Raises:
            DataError: it does not, or is not there.
        """
        parts = PurePosixPath(name).parts
        root = self.folder / ASIDE if aside else self.folder
        is_inside = parts and not any(part in ("..", "/") or part.startswith(".") or "\\" in part for part in parts)
        path = root.joinpath(*parts) if is_inside and "\0" not in name else root
        if path.drive != root.drive or root not in path.parents or not os.path.isfile(path):
            raise DataError("sets.no_such_image", where=name[:200])
        return path

    # ---- captions ---------------------------------------------------------------------------------------------------

    def write(
        self,
        captions: Mapping[str, str],
        what: Message,
        *,
        known: Mapping[str, str] | None = None,
        apart: bool = True,
        part: str = "",
    ) -> Done:
        """Write captions, as UTF-8, where a run reads them from: into the file beside each image, or a new one.

        A caption from a JSON file or from a list of many images gets a file of its own, which goes before those.

        Args:
            captions: by the names of their images; a file stays empty, or away, for an empty one.
            what: what is done, in words, for the journal.
            known: what the captions are thought to be; those that are not are left alone.
            apart: it is undone by itself; False for somebody who types.
            part: names a longer work that this is a part of, whose parts are undone together.

        Raises:
            DataError: an image is not there, or its caption's file is no text.
            OutputError: a file cannot be written.
        """
        with self.journal.held():
            items = {each.name: each for each in self.items()}
            missing = next((name for name in captions if name not in items), None)
            if missing is not None:
                raise DataError("sets.no_such_image", where=missing)
            return self._written(items, captions, what, known, apart=apart and not part, part=part)

    def change(self, change: Change, names: Collection[str] | None = None) -> Done:
        """Change the tags of all captions, or of those of some images.

        Raises:
            OutputError: a file cannot be written.
        """
        with self.journal.held():
            items = {each.name: each for each in self.items()}
            chosen = items if names is None else {name: items[name] for name in names if name in items}
            captions = {name: change.of(each.caption) for name, each in chosen.items() if each.problem is None}
            return self._written(items, captions, _told(change), None, apart=True)

    def _written(
        self,
        items: Mapping[str, Item],
        captions: Mapping[str, str],
        what: Message,
        known: Mapping[str, str] | None,
        *,
        apart: bool,
        part: str = "",
    ) -> Done:
        ending = self._usual_ending(items.values())
        writes: dict[Path, Written] = {}
        changed, left = 0, []
        for name, caption in captions.items():
            item, text = items[name], plain(caption)
            if item.problem is not None:
                raise DataError("sets.caption_unreadable", where=name, problem=item.problem)
            if known is not None and plain(known.get(name, "")) != item.caption:
                left.append(name)
                continue
            if text == item.caption:
                continue
            path = self._caption_path(item, ending)
            before = _content(path)
            if path in writes or (before is None and not text):
                continue  # two images of one name share a caption, and the first of them has it
            writes[path] = Written(path.relative_to(self.folder).as_posix(), before, text.encode())
            changed += 1
        if writes:
            self.journal.add(what, changed, list(writes.values()), apart=apart, part=part)
            self._put({path: each.after for path, each in writes.items()})
        return Done(changed, tuple(left), what)

    def _caption_path(self, item: Item, ending: str) -> Path:
        own = item.caption_file
        if own is not None and own.suffix.lower() != JSON_ENDING:
            return own
        return item.path.with_name(f"{item.path.stem}{ending}")

    def _usual_ending(self, items: Iterable[Item]) -> str:
        """What the names of most caption files end with; the first of the usual ones if there is none yet."""
        endings = [each for each in caption_endings(self.extension) if each != JSON_ENDING] or [CAPTION_ENDINGS[0]]
        names = [each.caption_file.name.lower() for each in items if each.caption_file is not None]
        counts = Counter(ending for name in names for ending in endings if name.endswith(ending))
        return counts.most_common(1)[0][0] if counts else endings[0]

    def _put(self, contents: Mapping[Path, bytes | None]) -> None:
        for path, content in contents.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                replace_whole(path, [content], flushed=len(contents) <= _FEW)

    # ---- aside and back ---------------------------------------------------------------------------------------------

    def set_aside(self, names: Sequence[str]) -> Done:
        """Move images with their captions and masks into a folder inside the set that training does not look into.

        Raises:
            OutputError: a file cannot be moved.
        """
        what = message("sets.did_aside", names=few_of(names))
        with self.journal.held():
            return self._moved(self._found(), names, self.folder, self.folder / ASIDE, what)

    def bring_back(self, names: Sequence[str]) -> Done:
        """The other way round.

        Raises:
            OutputError: a file cannot be moved.
        """
        what = message("sets.did_back", names=few_of(names))
        with self.journal.held():
            return self._moved(self._found(aside=True), names, self.folder / ASIDE, self.folder, what)

    def _moved(self, found: Found, names: Sequence[str], start: Path, end: Path, what: Message) -> Done:
        wanted = set(names)
        chosen = [each for each in found.images if each.name in wanted]
        kept = {path for each in found.images if each.name not in wanted for path in companions_of(each)}
        moves: list[tuple[Path, Path]] = []
        taken = Taken()
        for image in chosen:
            files = [image.path, *(path for path in companions_of(image) if path not in kept)]
            files = [path for path in dict.fromkeys(files) if path not in {one for one, _ in moves}]
            stem = taken.free_stem(image.path.stem, [end / path.relative_to(start) for path in files])
            for path in files:
                target = end / path.relative_to(start)
                moves.append((path, target.with_name(renamed(path.name, image.path.stem, stem))))
        if moves:
            noted = [Moved(one.relative_to(self.folder).as_posix(), two.relative_to(self.folder).as_posix())
                     for one, two in moves]  # fmt: skip
            self.journal.add(what, len(chosen), moves=noted, apart=True)
            for one, two in moves:
                move(one, two)
        return Done(len(chosen), (), what)

    # ---- undo -------------------------------------------------------------------------------------------------------

    def history(self) -> tuple[Message | None, Message | None]:
        """What would be undone next, and what would be done again."""
        done, undone = self.journal.entries()
        return (done[-1].what if done else None, undone[-1].what if undone else None)

    def undo(self) -> Done:
        """Put everything back as it was before the last change; a file that somebody else has changed since stays.

        Raises:
            UserError: there is nothing to undo.
            OutputError: a file cannot be written.
        """
        with self.journal.held():
            done, _ = self.journal.entries()
            if not done:
                raise UserError("sets.nothing_to_undo")
            entry = done[-1]
            left = self._turned([(each.name, each.after, each.before) for each in entry.writes])
            left += self._moved_back([(each.after, each.before) for each in reversed(entry.moves)])
            self.journal.undo()
            return Done(entry.count, tuple(left), entry.what)

    def again(self) -> Done:
        """Do once more what was undone last.

        Raises:
            UserError: there is nothing of that kind.
            OutputError: a file cannot be written.
        """
        with self.journal.held():
            _, undone = self.journal.entries()
            if not undone:
                raise UserError("sets.nothing_to_redo")
            entry = undone[-1]
            left = self._turned([(each.name, each.before, each.after) for each in entry.writes])
            left += self._moved_back([(each.before, each.after) for each in entry.moves])
            self.journal.again()
            return Done(entry.count, tuple(left), entry.what)

    def _turned(self, writes: Sequence[tuple[str, bytes | None, bytes | None]]) -> list[str]:
        contents, left = {}, []
        for name, now, then in writes:
            path = self.folder / name
            there = _content(path)
            if there == now:
                contents[path] = then
            elif there != then:
                left.append(name)
        self._put(contents)
        return left

    def _moved_back(self, moves: Sequence[tuple[str, str]]) -> list[str]:
        left = []
        for one, two in moves:
            start, end = self.folder / one, self.folder / two
            if os.path.lexists(start) and not os.path.lexists(end):
                move(start, end)
            elif not os.path.lexists(end):
                left.append(one)
        return left


# ---- files ----------------------------------------------------------------------------------------------------------


def plain(caption: str) -> str:
    """A caption as a run reads it: its lines without spaces around them and without empty ones."""
    found = decode(caption.encode("utf-8", "replace"))
    if found is None:
        raise DataError("sets.caption_no_text")
    return found.text


def companions_of(image: ImageFile) -> list[Path]:
    """The files that go where an image goes; its caption may be another image's as well."""
    return [path for path in (image.caption, image.mask) if path is not None]


def renamed(name: str, old: str, new: str) -> str:
    """The name of a file that begins as its image's does, with another beginning."""
    return new + name[len(old) :] if name.startswith(old) else name


class Taken:
    """Which names are free in folders, each of which is read once; what is handed out is taken from then on."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}

    def free_stem(self, stem: str, files: Iterable[Path]) -> str:
        """What files can begin with in place of ``stem``: the same, or ``_2``, ``_3`` … appended, so that none of their
        folders has a file called so, or as one of them would be, whatever its ending."""
        files = list(files)
        ends = {(path.parent, "") for path in files}
        ends |= {(path.parent, path.stem[len(stem) :]) for path in files if path.name.startswith(stem)}
        number = 1
        while True:
            candidate = stem if number == 1 else f"{stem}_{number}"
            if not any(self.has(folder, candidate + end) for folder, end in ends):
                for folder, end in ends:
                    self._in(folder).setdefault((candidate + end).casefold(), [])
                return candidate
            number += 1

    def has(self, folder: Path, stem: str) -> bool:
        """Whether a file in a folder is called so, whatever its ending."""
        return stem.casefold() in self._in(folder)

    def called(self, folder: Path, stem: str) -> list[str]:
        """The files in a folder that were called so when it was read, with their endings."""
        return self._in(folder).get(stem.casefold(), [])

    def _in(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._names:
            try:
                names = os.listdir(folder)
            except OSError:  # it is not there yet, or what is written there says what is wrong with it
                names = []
            found: dict[str, list[str]] = {}
            for name in names:
                found.setdefault(os.path.splitext(name)[0].casefold(), []).append(name)
            self._names[folder] = found
        return self._names[folder]


def move(one: Path, two: Path) -> None:
    """Rename a file to a name that is free, on the same disk.

    Raises:
        OutputError: it is not there any more, the name is taken, or the folder cannot be written to.
    """
    try:
        two.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(two):
            raise OutputError("sets.name_taken", where=str(two))
        os.rename(one, two)
    except OSError as error:
        raise OutputError("sets.not_moved", where=str(one), reason=error.strerror or error) from error


def _content(path: Path) -> bytes | None:
    """A caption file byte for byte; None if there is none.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open_file(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError("sets.unreadable", where=str(path), reason=reason_of(error)) from error


def _of_list(file: ImageFile, lists: dict[Path, dict[str, Caption] | FileError]) -> Caption | None:
    """The caption in a list of those of many images, which is read once; a list that cannot be read has none."""
    assert file.listed is not None
    if file.listed not in lists:
        try:
            lists[file.listed] = read_list(file.listed)
        except FileError as error:
            lists[file.listed] = error
    found = lists[file.listed]
    if isinstance(found, FileError):
        return None
    return found.get(file.path.relative_to(file.listed.parent).as_posix())


def _told(change: Change) -> Message:
    """What a change does, in words."""
    tags = [each[:60] for each in change.tags[:3]]
    if change.kind in ("replace", "replace_text"):
        return message("sets.did_replace", tags=tags, by=change.by[:60])
    if change.kind in ("sort", "tidy"):
        return message("sets.did_sort" if change.kind == "sort" else "sets.did_tidy")
    return message(f"sets.did_{change.kind}", tags=tags)


def few_of(names: Sequence[str]) -> list[str | Message]:
    """The first of some names, and how many more there are, for a sentence."""
    more = len(names) - 3
    return [*names[:3], *([message("data.and_more", count=more)] if more > 0 else [])]
