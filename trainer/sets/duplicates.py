"""Which images of a set are there more than once: the same bytes, the same pixels, or nearly the same to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..data.cache import DataCache
from ..data.images.decoding import ImageInfo, inspect_image, whole_files_only
from ..data.images.fingerprint import Fingerprint, copies_among
from ..data.images.memory import DecodingMemory
from ..data.known import kept_info
from ..data.problems import FileError
from ..paths import open_file
from .image_set import Item

Kind = Literal["bytes", "pixels", "alike"]
_PIECE = 2**20


@dataclass(frozen=True)
class Group:
    """Images that are the same: of the most pixels, then of the most bytes, the first one.

    Attributes:
        kind: whether their bytes are, their pixels, or only what one sees.
    """

    kind: Kind
    names: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """What was found in the images of a set.

    Attributes:
        groups: of those that are there more than once.
        broken: names of those that cannot be read, each with the error.
    """

    groups: tuple[Group, ...]
    broken: tuple[tuple[str, FileError], ...]


def look_for_duplicates(
    items: Sequence[Item],
    *,
    cache: DataCache | None = None,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Looked:
    """Decode every image, unless it is known from earlier, and compare them.

    Args:
        check: called between images; may raise to stop.
    """
    memory, broken = DecodingMemory(), []
    known: list[tuple[Item, Fingerprint, int]] = []
    with whole_files_only():
        for done, item in enumerate(items):
            if check is not None:
                check()
            if progress is not None:
                progress(done, len(items))
            try:
                info = _info(item.path, cache, memory)
            except FileError as error:
                broken.append((item.name, error))
                continue
            if info.fingerprint is not None:
                known.append((item, info.fingerprint, info.size.area))
    copies = copies_among([each for _, each, _ in known], check)
    groups = _groups(known, copies.same, copies.alike)
    return Looked(tuple(groups), tuple(broken))


def _info(path: Path, cache: DataCache | None, memory: DecodingMemory) -> ImageInfo:
    if cache is None:
        return inspect_image(path, memory=memory)
    return kept_info(path, cache, lambda: inspect_image(path, memory=memory))


def _groups(
    known: Sequence[tuple[Item, Fingerprint, int]],
    same: Sequence[tuple[int, int]],
    alike: Sequence[tuple[int, int]],
) -> list[Group]:
    """Together what is the same as the same one; a group is called by the loosest of what holds it together."""
    first = dict(same)
    loose: set[int] = set()
    for later, earlier in alike:
        while earlier in first:
            earlier = first[earlier]
        if later != earlier:
            first[later] = earlier
            loose.add(earlier)
    members: dict[int, list[int]] = {}
    for number in first:
        top = number
        while top in first:
            top = first[top]
        members.setdefault(top, [top]).append(number)
    groups = []
    for top, numbers in sorted(members.items()):
        best = sorted(numbers, key=lambda number: (-known[number][2], -known[number][0].size, number))
        items = [known[number][0] for number in best]
        groups.append(Group(_kind(items, is_loose=top in loose), tuple(item.name for item in items)))
    return groups


def _kind(items: Sequence[Item], *, is_loose: bool) -> Kind:
    if is_loose:
        return "alike"
    return "bytes" if len({_hash(item.path) for item in items}) == 1 else "pixels"


def _hash(path: Path) -> bytes:
    found = hashlib.sha256()
    with open_file(path) as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.digest()
