"""Files that come into a set: dropped one by one, out of a folder, or out of a zip archive.

They are gathered in a hidden folder inside the set, and put in their places once all are there: captions and masks go
with their images, and what has a name that is taken gets a free one, together with what belongs to it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from ..config.settings import Settings
from ..data.captions.json_files import LIST
from ..data.captions.text_files import decode, read_caption
from ..data.companions import sort_out
from ..data.files import CAPTION_ENDINGS, ImageFile, folders_in, is_image, look_into, natural_key
from ..data.images.memory import DecodingMemory
from ..data.problems import FileError, FileProblem
from ..data.subsets import repeats_in
from ..errors import DataError, OutputError, UserError
from ..paths import open_file, path_of, reason_of
from ..text.messages import Message, message
from .image_set import ASIDE, ImageSet, Taken, companions_of, few_of, move, renamed
from .journal import Moved
from .names import is_junk, safe_parts

INCOMING: Final = ".incoming"
MOST_FILES: Final = 100_000
MOST_BYTES: Final = 60_000_000_000
"""Of all files of an archive, unpacked."""
MOST_OF_ONE: Final = 2_000_000_000
_MOST_RATIO: Final = 250
_FROM: Final = 20_000_000
"""How many times smaller than a file its part of an archive may be, for files of more than so many bytes. An image does
not get that much smaller, unless it is one colour."""
_SPARE: Final = 500_000_000
"""Bytes of the disk that stay free."""
_PIECE: Final = 2**20
_ABANDONED: Final = 24 * 3600.0
_GLANCE: Final = 64
"""Longest side, in pixels, of what an image is decoded to when it comes in: for most files that takes a moment."""
_NO_IMAGE: Final = ("data.broken", "data.unknown_format", "data.only_zeros", "data.empty_file", "data.web_page")
_UTF8_NAME: Final = 0x800
_ENCRYPTED: Final = 0x1

Check = Callable[[], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Imported:
    """What came of it.

    Attributes:
        images, captions, masks: how many came in.
        there: images that the set had already, byte for byte, under the same name.
        renamed: names that were taken, with those that they got.
        problems: files that did not come in, with the reason, and captions that belong to no image of the set.
    """

    images: int = 0
    captions: int = 0
    masks: int = 0
    there: int = 0
    renamed: tuple[tuple[str, str], ...] = ()
    problems: tuple[FileProblem, ...] = ()


@dataclass
class Incoming:
    """Files on their way into a set, in one batch.

    Attributes:
        target: the set.
        token: names the batch; nobody can guess it.
    """

    target: ImageSet
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    problems: list[FileProblem] = field(default_factory=list)
    _count: int = 0
    _memory: DecodingMemory = field(default_factory=DecodingMemory)

    @property
    def folder(self) -> Path:
        return self.target.folder / INCOMING / self.token

    # ---- taking ------------------------------------------------------------------------------------------------------

    def take(self, name: str, pieces: Iterable[bytes]) -> None:
        """Take one file.

        Args:
            name: its path inside what was dropped; one that is no image, caption or archive is noted and left out, by
                its name or its content.
            pieces: its content.

        Raises:
            OutputError: it cannot be written.
        """
        parts = self._parts(name)
        if parts is not None:
            self._look_at(name, self._write(self.folder.joinpath(*parts), pieces))

    def take_folder(self, folder: Path, check: Check | None = None, progress: Progress | None = None) -> None:
        """Copy what is in a folder and its sub-folders.

        Raises:
            DataError: it cannot be read.
        """
        try:
            files = list(files_in(folder))
        except OSError as error:
            raise DataError("sets.unreadable", where=str(folder), reason=reason_of(error)) from error
        for done, path in enumerate(files):
            _tell(check, progress, done, len(files))
            name = path.relative_to(folder).as_posix()
            try:
                with open_file(path) as file:
                    self.take(name, iter(lambda file=file: file.read(_PIECE), b""))  # type: ignore[misc]
            except OSError as error:
                self._leave(name, message("data.cannot_open", reason=reason_of(error)))

    def take_file(self, path: Path, name: str = "", check: Check | None = None) -> None:
        """Copy one file, or unpack it if it is a zip archive.

        Raises:
            DataError: it cannot be read, or is an archive that is refused.
        """
        if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
            self.unpack(path, check=check)
            return
        try:
            with open_file(path) as file:
                self.take(name or path.name, iter(lambda: file.read(_PIECE), b""))
        except OSError as error:
            raise DataError("sets.unreadable", where=str(path), reason=reason_of(error)) from error

    def unpack(self, path: Path, *, check: Check | None = None, progress: Progress | None = None) -> None:
        """Unpack a zip archive: no path leads out of it, no link is followed, and it may not become too large.

        Raises:
            DataError: it is none, is encrypted, or unpacked too large.
        """
        try:
            with open_file(path) as file:
                self.unpack_open(file, path.name, check=check, progress=progress)
        except OSError as error:
            raise DataError("sets.unreadable", where=path.name, reason=reason_of(error)) from error

    def unpack_open(
        self, file: IO[bytes], name: str, *, check: Check | None = None, progress: Progress | None = None
    ) -> None:
        """The same with one that is open.

        Args:
            name: what it is called in errors.
        """
        try:
            with zipfile.ZipFile(file) as archive:
                entries = [each for each in archive.infolist() if not each.is_dir()]
                self._refuse_bomb(name, entries)
                for done, entry in enumerate(entries):
                    _tell(check, progress, done, len(entries))
                    self._unpack_one(archive, entry)
        except (zipfile.BadZipFile, ValueError) as error:
            raise DataError("sets.no_zip", where=name, reason=str(error).strip(" .")) from error

    def _refuse_bomb(self, where: str, entries: list[zipfile.ZipInfo]) -> None:
        size = sum(each.file_size for each in entries)
        self.target.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.target.folder).free - _SPARE
        if len(entries) > MOST_FILES:
            raise DataError("sets.zip_too_many", where=where, most=MOST_FILES)
        if size > MOST_BYTES:
            raise DataError("sets.zip_too_large", where=where, size=size // 10**9, most=MOST_BYTES // 10**9)
        if size > free:
            raise DataError("sets.zip_no_room", where=where, size=size // 10**6, free=max(0, free) // 10**6)
        if any(each.file_size > max(_FROM, _MOST_RATIO * each.compress_size) for each in entries):
            raise DataError("sets.zip_bomb", where=where)
        if any(each.flag_bits & _ENCRYPTED for each in entries):
            raise DataError("sets.zip_encrypted", where=where)

    def _unpack_one(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        name = _name_in(entry)
        if stat.S_ISLNK(entry.external_attr >> 16):
            self._leave(name, message("sets.is_link"))
            return
        parts = self._parts(name)
        if parts is None:
            return
        if entry.file_size > MOST_OF_ONE:
            self._leave(name, message("sets.file_too_large", most=MOST_OF_ONE // 10**9))
            return
        try:
            with archive.open(entry) as file:
                written = self._write(self.folder.joinpath(*parts), _bounded(file, entry.file_size))
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
            self._leave(name, message("sets.broken_in_zip", reason=str(error).strip(" .") or type(error).__name__))
            return
        self._look_at(name, written)

    def _parts(self, name: str) -> tuple[str, ...] | None:
        """The safe names of a path; None for what is not taken, which is noted unless it is some system's."""
        if is_junk(name):
            return None
        parts = safe_parts(name)
        if parts is None:
            self._leave(name, message("sets.leads_out"))
            return None
        last = parts[-1].lower()
        if not (is_image(last) or last.endswith(CAPTION_ENDINGS) or last == LIST):
            is_archive = last.endswith((".zip", ".rar", ".7z", ".tar", ".gz"))
            self._leave(name, message("sets.archive_inside" if is_archive else "sets.no_image_or_caption"))
            return None
        return parts

    def _look_at(self, name: str, path: Path) -> None:
        """Leave out what is called an image and is none by its content, or only a part of one."""
        from ..data.images.decoding import load_small, whole_files_only

        if not is_image(path.name):
            return
        try:
            with whole_files_only():
                load_small(path, _GLANCE, memory=self._memory)
        except FileError as error:
            path.unlink()
            self._leave(name, message("sets.no_image") if error.problem.key in _NO_IMAGE else error.problem)

    def _write(self, path: Path, pieces: Iterable[bytes]) -> Path:
        """Where it is: two names may have become one.

        Raises:
            OutputError: it cannot be written.
        """
        self._count += 1
        if self._count > MOST_FILES:
            raise UserError("sets.too_many_files", most=MOST_FILES)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            while os.path.lexists(path):
                path = path.with_name(f"{path.stem}_2{path.suffix}")
            with path.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OutputError("paths.not_written", where=str(path), reason=error.strerror or error) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _leave(self, name: str, what: Message) -> None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in name[-200:])
        self.problems.append(FileProblem(shown, what, message("data.is_left_out"), left_out=True))

    # ---- putting in place -------------------------------------------------------------------------------------------

    def finish(self) -> Imported:
        """Put everything in its place. Nothing that the set has is written over.

        Raises:
            OutputError: a file cannot be moved.
        """
        try:
            found = self._placed() if self.folder.is_dir() else Imported()
        finally:
            self.drop()
        return Imported(found.images, found.captions, found.masks, found.there, found.renamed, tuple(self.problems))

    def drop(self) -> None:
        """Forget what has come in so far."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.parent.rmdir()
        except OSError:  # other files are on their way
            return

    def _placed(self) -> Imported:
        root = _inmost(self.folder)
        found = look_into(root)
        images = sort_out(found, Settings()).images
        placing = _Placing(self.target, root)
        with self.target.journal.held():
            try:
                for image in images:
                    placing.place(image)
                placing.place_rest()
            finally:
                placing.note()
        if placing.captions_only:
            self.target.write(placing.captions_only, message("sets.did_import"))
        for name in placing.alone():
            what, done = message("sets.caption_alone"), message("sets.caption_waits")
            self.problems.append(FileProblem(name, what, done, left_out=True))
        return Imported(placing.images, placing.captions, placing.masks, placing.there, tuple(placing.renamed))


class _Placing:
    """Files of one batch on their way from its folder to the set's."""

    def __init__(self, target: ImageSet, root: Path) -> None:
        self.target = target
        self.images = self.captions = self.masks = self.there = 0
        self.renamed: list[tuple[str, str]] = []
        self.captions_only: dict[str, str] = {}
        """Captions of images that are in the set already, by the names of these."""
        self._root = root
        self._rest: set[str] = set()
        """What came with no image, by its name in the set."""
        self._taken, self._taken_aside = Taken(), Taken()
        self._stems: dict[tuple[Path, str], tuple[str, str]] = {}
        self._names: list[str] = []
        self._moves: list[Moved] = []
        """As if it came from where it goes when it is undone: among what is set aside."""
        self._items = {each.name: each for each in target.items()} if target.folder.is_dir() else {}
        self._owners: dict[tuple[Path, str], str] = {}
        """The images of the set by their folders and what their captions are called, without endings."""
        for name in self._items:
            for called in (Path(name).stem, Path(name).name):
                self._owners.setdefault((Path(name).parent, called.casefold()), name)

    def place(self, image: ImageFile) -> None:
        """An image with what belongs to it."""
        target = self._at(image.path)
        files = [path for path in (image.path, *companions_of(image)) if path.exists()]
        if _same(image.path, target):
            self.there += 1
            image.path.unlink()
            return  # its caption, if it is another one, comes with the rest
        key, stem = (target.parent, image.path.stem.casefold()), image.path.stem
        if key not in self._stems or os.path.lexists(target.with_name(self._stems[key][0] + image.path.suffix)):
            ends = [self._at(path) for path in files]
            free = stem if self._is_awaited(image, ends) else self._taken.free_stem(stem, ends)
            self._stems[key] = free, self._free_aside(stem, ends)
        stem, aside = self._stems[key]
        for path in files:
            self._put(path, *(renamed(path.name, image.path.stem, each) for each in (stem, aside)))
        self._names.append(self._moves[-len(files)].after)
        self.images += 1
        self.captions += image.caption in files
        self.masks += image.mask in files
        if stem != image.path.stem:
            self.renamed.append((image.name, stem + image.path.suffix))

    def _is_awaited(self, image: ImageFile, ends: Sequence[Path]) -> bool:
        """Whether all that the set has of an image's name is a caption that came before it, and it brings none."""
        there = [name for end in ends for name in self._taken.called(end.parent, end.stem)]
        return image.caption is None and bool(there) and all(name.lower().endswith(CAPTION_ENDINGS) for name in there)

    def place_rest(self) -> None:
        """Captions and masks of images that the set has, lists of captions, and what belongs to nothing."""
        for path in sorted(files_in(self._root), key=lambda each: natural_key(each.as_posix())):
            end = self._at(path)
            owner = self._owner(path)
            if owner is not None and end.suffix.lower() != ".json":
                self._caption_of(owner, path)
                continue
            if not os.path.lexists(end):
                self._put(path, path.name, self._free_aside(path.stem, [end]) + path.suffix)
            elif not _same(path, end):
                end = end.with_name(self._taken.free_stem(path.stem, [end]) + path.suffix)
                self._put(path, end.name, self._free_aside(path.stem, [end]) + path.suffix)
                self.renamed.append((path.relative_to(self._root).as_posix(), end.name))
            self._rest.add(end.relative_to(self.target.folder).as_posix())

    def alone(self) -> list[str]:
        """Captions that came with no image, and that none of the set has either; in natural order."""
        if not self._rest:
            return []
        found = look_into(self.target.folder, extension=self.target.extension)
        return [name for name in found.lone_captions if name in self._rest]

    def note(self) -> None:
        """Have what has come in undone like other changes: it is set aside then.

        Raises:
            OutputError: the journal cannot be written.
        """
        if self._moves:
            names = self._names or [each.after for each in self._moves]
            what = message("sets.did_come_in", names=few_of(names))
            self.target.journal.add(what, len(names), moves=self._moves, apart=True)

    def _free_aside(self, stem: str, ends: Sequence[Path]) -> str:
        """What nothing begins with that was set aside from where these files of the set go."""
        aside = [self.target.folder / ASIDE / each.relative_to(self.target.folder) for each in ends]
        return self._taken_aside.free_stem(stem, aside)

    def _put(self, path: Path, name: str, name_aside: str) -> None:
        end = self._at(path).with_name(name)
        move(path, end)
        inside = end.relative_to(self.target.folder)
        self._moves.append(Moved((ASIDE / inside.with_name(name_aside)).as_posix(), inside.as_posix()))

    def _owner(self, path: Path) -> str | None:
        """The image of the set that a caption file belongs to."""
        name = path.name.lower()
        ending = next((each for each in CAPTION_ENDINGS if name.endswith(each)), None)
        if ending is None:
            return None
        inside = self._at(path).parent.relative_to(self.target.folder)
        return self._owners.get((inside, path.name[: -len(ending)].casefold()))

    def _caption_of(self, owner: str, path: Path) -> None:
        try:
            read = read_caption(path)
        except FileError:
            return
        if read is not None and read.text:
            self.captions_only[owner] = read.text
            self.captions += read.text != self._items[owner].caption

    def _at(self, path: Path) -> Path:
        return self.target.folder / path.relative_to(self._root)


def tidy(folder: Path) -> None:
    """Remove what never got out of its batch: of windows that were closed, and programs that ended meanwhile."""
    try:
        batches = list(os.scandir(folder / INCOMING))
    except OSError:
        return
    for batch in batches:
        if time.time() - batch.stat().st_mtime > _ABANDONED:
            shutil.rmtree(batch.path, ignore_errors=True)


def import_into(
    target: ImageSet, source: Path, *, check: Check | None = None, progress: Progress | None = None
) -> Imported:
    """Bring in an image, a folder of them, or a zip archive of them.

    Raises:
        UserError: it is not there, cannot be read, or is refused.
    """
    batch = Incoming(target)
    try:
        if source.is_dir():
            batch.take_folder(source, check, progress)
        elif source.suffix.lower() == ".zip":
            batch.unpack(source, check=check, progress=progress)
        else:
            batch.take_file(path_of(str(source)), check=check)
        return batch.finish()
    except BaseException:
        batch.drop()
        raise


# ---- parts ----------------------------------------------------------------------------------------------------------


def files_in(folder: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones; links are not followed."""
    for parent, inner, names in os.walk(folder):
        inner[:] = sorted((name for name in inner if not is_junk(name)), key=natural_key)
        yield from (Path(parent, name) for name in sorted(names, key=natural_key) if not is_junk(name))


def _inmost(folder: Path) -> Path:
    """The folder that everything is in, if that is one inside another; not one whose name says how often its images are
    used."""
    while True:
        inner = folders_in(folder)
        is_alone = len(inner) == 1 and len(os.listdir(folder)) == 1
        if not is_alone or repeats_in(inner[0].name) is not None:
            return folder
        folder = inner[0]


def _name_in(entry: zipfile.ZipInfo) -> str:
    """The name of a file in an archive; older programs wrote it in the encoding of their system."""
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        read = decode(entry.filename.encode("cp437"))
    except UnicodeEncodeError:  # Python has read it as something else already
        return entry.filename
    return entry.filename if read is None or "\n" in read.text else read.text


def _bounded(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The content of a file that says how large it is."""
    got = 0
    while piece := file.read(_PIECE):
        got += len(piece)
        if got > size:
            raise zipfile.BadZipFile("larger than it says")
        yield piece


def _same(one: Path, two: Path) -> bool:
    """Whether both files are there and hold the same bytes."""
    try:
        if one.stat().st_size != two.stat().st_size:
            return False
        with open_file(one) as first, open_file(two) as second:
            while piece := first.read(_PIECE):
                if piece != second.read(_PIECE):
                    return False
        return True
    except OSError:
        return False


def _tell(check: Check | None, progress: Progress | None, done: int, total: int) -> None:
    if check is not None:
        check()
    if progress is not None:
        progress(done, total)
