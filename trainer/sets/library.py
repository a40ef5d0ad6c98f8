"""Which sets there are: the folders in ``data/images``, and other folders that were opened before."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from ..data.files import existing_folder, folders_in, has_image, natural_key
from ..errors import DataError, UserError
from ..paths import Folders, path_of, replace_whole
from ..text.messages import message
from .image_set import ImageSet
from .names import safe_name

MOST_RECENT: Final = 12
_ELSEWHERE: Final = "@"
"""What begins the id of a folder elsewhere; no set of ours can be called so."""
MOST_LISTED: Final = 500
"""Folders inside one that are listed."""


@dataclass(frozen=True)
class Known:
    """A set by the id that the page calls it by.

    Attributes:
        own: whether it is in ``data/images``.
        opened: when it was opened last, in the order of all; 0 for never.
    """

    id: str
    name: str
    folder: Path
    own: bool
    opened: int = 0


class Library:
    """The sets of one installation."""

    def __init__(self, folders: Folders) -> None:
        self._images = folders.images
        self._journals = folders.data / "sets"
        self._recent = self._journals / "recent.json"

    def known(self) -> list[Known]:
        """All sets: those opened last first, then the others by their names. What is gone is left out."""
        recent = self._opened()
        place = {folder: len(recent) - number for number, folder in enumerate(recent)}
        own = [Known(folder.name, folder.name, folder, True, place.get(str(folder), 0)) for folder in self._own()]
        known = {str(each.folder) for each in own}
        others = [Known(_id_of(path), Path(path).name or path, Path(path), False, place[path])
                  for path in recent if path not in known and os.path.isdir(path)]  # fmt: skip
        return sorted([*own, *others], key=lambda each: (-each.opened, natural_key(each.name)))

    def offered(self) -> list[Known]:
        """Those to choose from: but for folders elsewhere that were looked into once and hold nothing."""
        known = self.known()
        return [each for each in known if each.own or each == known[0] or _has_images(each.folder)]

    def _own(self) -> list[Path]:
        try:
            return folders_in(self._images)
        except OSError:  # none was made yet
            return []

    def find(self, number: str) -> ImageSet:
        """A set by its id.

        Raises:
            DataError: there is none.
        """
        return self.of(self.known_by(number).folder)

    def known_by(self, number: str) -> Known:
        """Raises:
        DataError: there is no such set.
        """
        found = next((each for each in self.known() if each.id == number), None)
        if found is None:
            raise DataError("sets.no_such_set", where=number[:100])
        return found

    def of(self, folder: Path) -> ImageSet:
        """A folder as a set."""
        return ImageSet(folder, self._journals)

    def make(self, name: str) -> Known:
        """A new set; a name that is taken gets a number.

        Raises:
            UserError: nothing of the name can be one of a folder's.
            OutputError: it cannot be made.
        """
        plain = safe_name(name.replace("/", " ").replace("\\", " ")).lstrip(_ELSEWHERE).strip()
        if not plain:
            raise UserError("sets.no_set_name")
        number = 1
        while True:
            folder = self._images / (plain if number == 1 else f"{plain}_{number}")
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
            except OSError as error:
                raise UserError("paths.not_written", where=str(folder), reason=error.strerror or error) from error
        return self._noted(folder)

    def open(self, written: str) -> Known:
        """A folder anywhere, as it was typed or chosen; from now on it is among the recent ones.

        Raises:
            UserError: there is no such folder.
        """
        try:
            folder = existing_folder(written.strip().strip("\"'"))
        except UserError as error:
            raise error.at(message("sets.folder")) from error
        return self._noted(Path(os.path.abspath(folder)))

    def _noted(self, folder: Path) -> Known:
        recent = [str(folder), *(each for each in self._opened() if each != str(folder))][:MOST_RECENT]
        replace_whole(self._recent, [json.dumps(recent, ensure_ascii=False).encode("utf-8", "surrogatepass")])
        return next(each for each in self.known() if each.folder == folder)

    def _opened(self) -> list[str]:
        try:
            found = json.loads(self._recent.read_bytes())
        except (OSError, ValueError):  # none was opened yet
            return []
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []

    # ---- looking for a folder ---------------------------------------------------------------------------------------

    def roots(self) -> list[Path]:
        """The folders below which one can look for a set: our own, the home folder, and those beside recent ones."""
        found = [self._images, Path.home(), *(Path(each).parent for each in self._opened())]
        return [path for path in dict.fromkeys(found) if path.is_dir() and path != Path(path.anchor)]

    def inside(self, written: str) -> tuple[Path | None, list[tuple[Path, bool]]]:
        """The folders inside one, each with whether there are images in it, and the folder above it; for an empty
        text the roots.

        Raises:
            UserError: it is no path, is not below one of the roots, or cannot be read.
        """
        roots = self.roots()
        if not written:
            return None, [(path, has_image(path)) for path in roots]
        path = Path(os.path.realpath(path_of(written)))
        real = [Path(os.path.realpath(root)) for root in roots]
        if not any(path == root or root in path.parents for root in real):
            raise DataError("sets.not_below", where=written[:200])
        try:
            inner = folders_in(path)[:MOST_LISTED]
        except OSError as error:
            raise DataError("sets.unreadable", where=written[:200], reason=error.strerror or error) from error
        above = None if path in real else path.parent
        return above, list(_with_images(inner))


def _has_images(folder: Path) -> bool:
    """Whether there is an image in it or in one of its sub-folders, of which not too many are looked into."""
    return any(has_image(Path(parent)) for parent, _, _ in islice(os.walk(folder), MOST_LISTED))


def _with_images(folders: list[Path]) -> Iterator[tuple[Path, bool]]:
    for folder in folders:
        yield folder, has_image(folder)


def _id_of(path: str) -> str:
    return _ELSEWHERE + hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
