"""The images of a folder and the caption files beside them. Nothing is opened here but folders."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from ..paths import path_of, reason_of
from ..text.messages import Message, label, message
from .captions.json_files import LIST

IMAGE_ENDINGS = frozenset(
    (
        "jpg", "jpeg", "jpe", "jif", "jfif", "png", "apng", "gif", "tif", "tiff", "bmp", "webp", "pcx", "ico",
        "avif", "heic", "heif", "hif", "jxl",
    )
)  # fmt: skip
JSON_ENDING = ".json"
CAPTION_ENDINGS = (".txt", ".caption", ".cap", ".captions", ".tags", JSON_ENDING)
"""The first one found counts."""
_JUNK_FOLDERS = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information"))
_ID = "_id_"
_LONGEST_NUMBER = 1000
_QUOTES = "\"'“”‘’«»"


@dataclass(frozen=True)
class ImageFile:
    """A file that is an image by its name.

    Attributes:
        path: where it is.
        name: its path inside the folder, with / on every system: what the user is shown.
        caption: the caption file that belongs to it, if there is one.
        mask: the image that says how much each part of it counts, if there is one; see :mod:`.companions`.
        listed: the list of captions that is in its folder or in one above it, if there is one.
        written: its caption, where a file has those of many images.
    """

    path: Path
    name: str
    caption: Path | None
    mask: Path | None = None
    listed: Path | None = None
    written: str | None = None


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        folder: the folder.
        images: in natural order (2 before 10), the same on every system.
        lone_captions: names of caption files that belong to no image.
        others: endings of all other files, empty for none, with how many there are, the most frequent first.
        left_out: names of sub-folders that were not looked into, being hidden or another program's.
        unreadable: names of sub-folders and links that could not be opened, with what is wrong with them.
        companions: names of files that are no images to learn from, with what they are; see :mod:`.companions`.
    """

    folder: Path
    images: tuple[ImageFile, ...]
    lone_captions: tuple[str, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    left_out: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, Message], ...] = ()
    companions: tuple[tuple[str, Message], ...] = ()


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sorts names as people do: 2 before 10, a beside A; however the system writes its accents."""
    plain = unicodedata.normalize("NFC", name)
    pieces = re.findall(r"\d+|\D+", plain.casefold())  # digits of any script, as full-width ones in Japan
    return tuple(
        (0, int(piece), "") if piece[0].isdecimal() and len(piece) < _LONGEST_NUMBER else (1, 0, piece)
        for piece in pieces
    ), plain


def caption_from_name(path: Path) -> str:
    """The caption a file name stands for: what is before ``_id_``, with commas for underscores."""
    return path.stem.partition(_ID)[0].replace("_", ",").strip(", ")


# ---- the folder -----------------------------------------------------------------------------------------------------


def caption_endings(extension: str) -> tuple[str, ...]:
    """What the names of caption files end with: as the user says (``txt``, ``.txt``, ``_tags.txt``), or any usual."""
    written = extension.strip().lower()
    if not written:
        return CAPTION_ENDINGS
    return (written if "." in written else f".{written}",)


def find_images(
    folder: str | Path, *, setting: str = "lora_data_directory", check: Callable[[], None] | None = None
) -> Found:
    """Look through a folder and its sub-folders.

    Args:
        folder: as the user wrote it.
        setting: the setting it comes from, to name it in errors.
        check: called again and again; may raise to stop.

    Raises:
        DataError: it is no folder that can be read, or there is no image in it.
    """
    root = existing_folder(folder, setting=setting)
    try:
        found = look_into(root, check=check)
    except OSError as error:
        raise DataError("data.folder_unreadable", where=label(setting), folder=root, reason=reason_of(error)) from error
    if not found.images:
        raise nothing_in(found).at(label(setting))
    return found


def look_into(
    folder: Path,
    *,
    named_from: Path | None = None,
    without: Collection[Path] = (),
    deep: bool = True,
    extension: str = "",
    check: Callable[[], None] | None = None,
) -> Found:
    """What a folder holds, images or not.

    Args:
        named_from: a folder above it, which the names of its files begin at; its own if left out.
        without: folders inside it that are not looked into.
        deep: whether its sub-folders are.
        extension: what the names of caption files end with; empty: as usual.
        check: as for :func:`find_images`.

    Raises:
        OSError: it cannot be read.
    """
    apart = frozenset(map(os.path.realpath, without))
    walk = _Walk(named_from or folder, caption_endings(extension), check, apart, deep=deep)
    walk.look_into(folder)
    return replace(walk.found(), folder=folder)


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders that are looked into, in natural order.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as entries:
        inner = [entry.name for entry in entries if os.path.isdir(entry) and not _is_left_out(entry.name)]
    return [folder / name for name in sorted(inner, key=natural_key)]


def existing_folder(folder: str | Path, *, setting: str = "lora_data_directory") -> Path:
    """The folder, if it is one.

    Raises:
        DataError: it is not set, not there, or a file.
        UserError: it can be no path.
    """
    where = label(setting)
    written = str(folder)
    if not written.strip():  # Path("") would be the folder the program runs in
        raise DataError("data.no_folder_given", where=where)
    path = path_of(written, where)
    if os.path.isdir(path):
        return path
    if os.path.exists(path):
        raise DataError("data.folder_is_file", where=where, path=written)
    raise DataError("data.no_folder", where=where, path=written, advice=_advice_on_missing(written))


def described_files(others: Iterable[tuple[str, int]]) -> list[Message]:
    """Endings with how many files have them, as :attr:`Found.others`, in words."""
    return [
        message("data.files_of", count=count, ending=ending)
        if ending
        else message("data.files_without_ending", count=count)
        for ending, count in others
    ]


def _advice_on_missing(written: str) -> Message:
    cleaned = written.strip().strip(_QUOTES).strip()
    if cleaned != written and cleaned and Path(cleaned).is_dir():
        has_quotes = set(_QUOTES) & set(written)
        return message(f"data.advice_without_{'quotes' if has_quotes else 'spaces'}", path=cleaned)
    path = Path(os.path.abspath(os.path.expanduser(cleaned or written)))
    above = next((parent for parent in path.parents if parent.is_dir()), None)
    if above is None:
        return message("data.advice_check")
    missing = path.relative_to(above).parts[0]
    try:
        names = [entry.name for entry in os.scandir(above) if entry.is_dir()]
    except OSError:
        names = []
    by_plain = {unicodedata.normalize("NFKC", name).casefold().strip(): name for name in names}
    near = difflib.get_close_matches(unicodedata.normalize("NFKC", missing).casefold().strip(), by_plain, n=1)
    if near:
        return message("data.advice_near", path=above / by_plain[near[0]])
    return message("data.advice_check_below", folder=above)


def nothing_in(found: Found) -> DataError:
    """What to say of a folder without an image."""
    folder, advice = found.folder, _advice_on_images(found)
    counts = Counter(dict(found.others))
    counts.update(f".{name.rpartition('.')[2].lower()}" for name in found.lone_captions)
    if not counts:
        return DataError("data.empty_folder", folder=folder, advice=advice)
    return DataError("data.no_image", folder=folder, files=described_files(counts.most_common(3)), advice=advice)


def _advice_on_images(found: Found) -> Message:
    """Where they may be instead: in a folder that was left out, or one level higher."""
    for name in found.left_out:
        if has_image(found.folder / name):
            return message("data.advice_left_out", name=name)
    above = found.folder.resolve().parent
    if above != found.folder.resolve() and has_image(above):
        return message("data.advice_above", folder=above)
    return message("data.advice_put_images", endings=sorted(IMAGE_ENDINGS))


def has_image(folder: Path) -> bool:
    """Whether there is one in it, leaving out its sub-folders."""
    try:
        with os.scandir(folder) as entries:
            return any(is_image(entry.name) and entry.is_file() for entry in entries)
    except OSError:
        return False


# ---- the walk -------------------------------------------------------------------------------------------------------


def _ending(name: str) -> str:
    """Without the dot, in lower case; empty without one, as in ``.hidden`` or ``foojpg``."""
    return os.path.splitext(name)[1][1:].lower()


def _is_left_out(name: str) -> bool:
    """Whether a folder of this name is hidden or another program's."""
    return name.startswith(".") or name.casefold() in _JUNK_FOLDERS


def is_image(name: str) -> bool:
    return not name.startswith(".") and _ending(name) in IMAGE_ENDINGS


class _Walk:
    """One way through a folder and its sub-folders.

    Args:
        root: where the names of the files begin.
        endings: what the names of caption files end with.
        without: folders that are not looked into, as their real paths.
        deep: whether sub-folders are.
    """

    def __init__(
        self,
        root: Path,
        endings: Sequence[str],
        check: Callable[[], None] | None,
        without: frozenset[str],
        *,
        deep: bool,
    ) -> None:
        self._root = root
        self._endings = endings
        self._lists: dict[Path, Path] = {}
        self._check = check
        self._deep = deep
        self._seen: set[str] = set(without)
        self._images: list[ImageFile] = []
        self._lone: list[str] = []
        self._others: Counter[str] = Counter()
        self._left_out: list[str] = []
        self._unreadable: list[tuple[str, Message]] = []

    def look_into(self, top: Path) -> None:
        """Raises:
        OSError: the folder itself, not one of its sub-folders, cannot be read.
        """
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            real = os.path.realpath(folder)  # a link to a folder above would lead round and round
            if real in self._seen:
                continue
            self._seen.add(real)
            try:
                waiting.extend(self._one(folder))
            except OSError as error:
                if folder == top:
                    raise
                what = message("data.folder_inside_unreadable", reason=reason_of(error))
                self._unreadable.append((self._name(folder), what))

    def _one(self, folder: Path) -> list[Path]:
        """Takes in the files of one folder; returns its sub-folders."""
        files: list[str] = []
        inner: list[Path] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._check is not None:
                    self._check()
                try:
                    is_folder = entry.is_dir()
                except OSError as error:  # a link to itself, above all
                    what = message("data.cannot_open", reason=reason_of(error))
                    self._unreadable.append((self._name(folder / entry.name), what))
                    continue
                if not is_folder:
                    files.append(entry.name)
                elif not self._deep:
                    continue
                elif _is_left_out(entry.name):
                    self._left_out.append(self._name(folder / entry.name))
                else:
                    inner.append(folder / entry.name)
        captions = _Captions((name for name in files if not (name.startswith(".") or is_image(name))), self._endings)
        if LIST in files and (self._endings is CAPTION_ENDINGS or LIST.endswith(tuple(self._endings))):
            self._lists[folder] = folder / LIST
        listed = next((self._lists[each] for each in (folder, *folder.parents) if each in self._lists), None)
        used = set()
        for name in filter(is_image, files):
            caption = captions.of(name)
            used.add(caption)
            path = folder / name
            of_its_own = folder / caption if caption else None
            self._images.append(ImageFile(path, self._name(path), of_its_own, listed=listed))
        for name in files:
            is_other = name not in captions or (name.endswith(JSON_ENDING) and name not in used)
            if is_other and not (name.startswith(".") or is_image(name) or folder / name == listed):
                self._others[f".{_ending(name)}" if _ending(name) else ""] += 1
        self._lone += [self._name(folder / name) for name in captions.unasked()]
        return inner

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def found(self) -> Found:
        return Found(
            folder=self._root,
            images=tuple(sorted(self._images, key=lambda image: natural_key(image.name))),
            lone_captions=tuple(sorted(self._lone, key=natural_key)),
            others=tuple(sorted(self._others.items(), key=lambda item: (-item[1], item[0]))),
            left_out=tuple(sorted(self._left_out, key=natural_key)),
            unreadable=tuple(sorted(self._unreadable, key=lambda entry: natural_key(entry[0]))),
        )


class _Captions:
    """The caption files of one folder, found by the name of the image they belong to.

    Args:
        names: of the files.
        endings: what their names end with, the first found counts.
    """

    def __init__(self, names: Iterable[str], endings: Sequence[str]) -> None:
        self._endings = endings
        self._names = {name: self._split(name) for name in sorted(names)}
        # Of a.TXT and a.txt, the latter counts: capitals come first and are replaced.
        self._exact = {split: name for name, split in self._names.items() if split is not None}
        self._folded = {(stem.casefold(), ending): name for (stem, ending), name in self._exact.items()}
        self._stems: set[str] = set()

    def _split(self, name: str) -> tuple[str, str] | None:
        """What is before the ending, and the ending; None if it has none of them."""
        for ending in self._endings:
            if name.lower().endswith(ending) and len(name) > len(ending):
                return unicodedata.normalize("NFC", name[: -len(ending)]), ending
        return None

    def __contains__(self, name: str) -> bool:
        return self._names.get(name) is not None

    def of(self, image: str) -> str | None:
        """For ``a.png`` ``a.txt`` before ``a.png.txt``, of each ending in turn; if there is none, the same in other
        letter case."""
        name = unicodedata.normalize("NFC", image)
        stems = os.path.splitext(name)[0], name
        self._stems.update(stem.casefold() for stem in stems)
        for table, keys in ((self._exact, stems), (self._folded, tuple(stem.casefold() for stem in stems))):
            for ending in self._endings:
                for key in keys:
                    if (key, ending) in table:
                        return table[key, ending]
        return None

    def unasked(self) -> list[str]:
        """The names that belong to no image of the folder. A JSON file may be anything, so it is none of them."""
        return [
            name
            for name, split in self._names.items()
            if split is not None and split[1] != JSON_ENDING and split[0].casefold() not in self._stems
        ]
