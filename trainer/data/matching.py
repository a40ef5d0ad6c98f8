"""Which pictures of a folder make pairs, by file name: ``a.png`` and ``a_closed.webp`` for the suffix _closed."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config.labels import label_of
from ..errors import DataError
from .files import PICTURE_ENDINGS, Found, PictureFile

_EXAMPLE = "Write what the targets' file names end in, such as _closed for a.png and a_closed.png"


@dataclass(frozen=True)
class PairFiles:
    """Two files of one folder: what is there before the change, and after it."""

    original: PictureFile
    target: PictureFile


@dataclass(frozen=True)
class Matched:
    """The pictures of a folder as pairs.

    Attributes:
        pairs: in the order of the originals.
        alone: pictures that belong to no pair, in their order, each with the reason.
    """

    pairs: tuple[PairFiles, ...]
    alone: tuple[tuple[PictureFile, str], ...]


def match_pairs(found: Found, suffix: str) -> Matched:
    """Pair every picture with the one in the same folder that is called the same with ``suffix`` behind it.

    Endings and letter case do not matter, but what is equal in them wins where there are several.

    Raises:
        DataError: the suffix is empty, or makes no pair.
    """
    label = label_of("diff_target_name")
    if not suffix.strip():
        raise DataError("is empty, so each image would be paired with itself", where=label, do=_EXAMPLE)
    matching = _Matching(found.pictures, suffix)
    if not matching.pairs:
        raise DataError(_no_pair(found, suffix), where=label, do=_advice(suffix))
    return Matched(tuple(matching.pairs), tuple(matching.alone()))


def _no_pair(found: Found, suffix: str) -> str:
    return f'no two images in "{found.folder}" are called the same but for "{suffix}" at the end of one of them'


def _advice(suffix: str) -> str:
    stem, ending = os.path.splitext(suffix)
    if ending[1:].lower() in PICTURE_ENDINGS:
        return f"Write it without {ending}: {stem}" if stem else _EXAMPLE
    return _EXAMPLE


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class _Matching:
    """One way through the pictures of a folder."""

    def __init__(self, pictures: tuple[PictureFile, ...], suffix: str) -> None:
        self._pictures = pictures
        self._suffix = suffix
        self._by_name: dict[tuple[Path, str], list[PictureFile]] = {}
        for picture in pictures:
            self._by_name.setdefault((picture.path.parent, _folded(picture.path.stem)), []).append(picture)
        self.pairs = [PairFiles(each, target) for each in pictures if (target := self._target_of(each)) is not None]

    def _target_of(self, original: PictureFile) -> PictureFile | None:
        path = original.path
        candidates = self._by_name.get((path.parent, _folded(path.stem + self._suffix)), [])

        def unlikeness(candidate: PictureFile) -> tuple[bool, bool]:
            return candidate.path.stem != path.stem + self._suffix, candidate.path.suffix != path.suffix

        return min(candidates, key=unlikeness, default=None)

    def alone(self) -> Iterator[tuple[PictureFile, str]]:
        taken = {picture for pair in self.pairs for picture in (pair.original, pair.target)}
        for picture in self._pictures:
            if picture not in taken:
                yield picture, self._reason(picture)

    def _reason(self, picture: PictureFile) -> str:
        stem = picture.path.stem
        if not _folded(stem).endswith(_folded(self._suffix)):
            return f'has no target: there is no image "{stem}{self._suffix}" beside it'
        bare = stem[: len(stem) - len(self._suffix)]
        first = next(iter(self._by_name.get((picture.path.parent, _folded(bare)), [])), None)
        if first is not None:
            return f"is one target too many for {first.path.name}"
        return f'is a target without an original: there is no image "{bare}" beside it'
