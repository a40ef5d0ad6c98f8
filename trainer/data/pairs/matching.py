"""Which images of a folder make pairs, by file name: ``a.png`` and ``a_closed.webp`` for the suffix _closed."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...text.messages import Message, label, message
from ..files import IMAGE_ENDINGS, Found, ImageFile


@dataclass(frozen=True)
class PairFiles:
    """Two files of one folder: what is there before the change, and after it."""

    original: ImageFile
    target: ImageFile


@dataclass(frozen=True)
class Matched:
    """The images of a folder as pairs.

    Attributes:
        pairs: in the order of the originals.
        alone: images that belong to no pair, in their order, each with the reason.
    """

    pairs: tuple[PairFiles, ...]
    alone: tuple[tuple[ImageFile, Message], ...]


def match_pairs(found: Found, suffix: str) -> Matched:
    """Pair every image with the one in the same folder that has the same name with ``suffix`` appended.

    Endings and letter case do not matter, but what is equal in them wins where there are several.

    Raises:
        DataError: the suffix is empty, or makes no pair.
    """
    where = label("diff_target_name")
    if not suffix.strip():
        raise DataError("data.no_suffix", where=where, advice=message("data.advice_suffix"))
    matching = _Matching(found.images, suffix)
    if not matching.pairs:
        raise DataError("data.no_pair", where=where, folder=found.folder, suffix=suffix, advice=_advice(suffix))
    return Matched(tuple(matching.pairs), tuple(matching.alone()))


def _advice(suffix: str) -> Message:
    stem, ending = os.path.splitext(suffix)
    if stem and ending[1:].lower() in IMAGE_ENDINGS:
        return message("data.advice_suffix_without_ending", ending=ending, suffix=stem)
    return message("data.advice_suffix")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class _Matching:
    """One way through the images of a folder."""

    def __init__(self, images: tuple[ImageFile, ...], suffix: str) -> None:
        self._images = images
        self._suffix = suffix
        self._by_name: dict[tuple[Path, str], list[ImageFile]] = {}
        for image in images:
            self._by_name.setdefault((image.path.parent, _folded(image.path.stem)), []).append(image)
        self.pairs = [PairFiles(each, target) for each in images if (target := self._target_of(each)) is not None]

    def _target_of(self, original: ImageFile) -> ImageFile | None:
        path = original.path
        candidates = self._by_name.get((path.parent, _folded(path.stem + self._suffix)), [])

        def unlikeness(candidate: ImageFile) -> tuple[bool, bool]:
            return candidate.path.stem != path.stem + self._suffix, candidate.path.suffix != path.suffix

        return min(candidates, key=unlikeness, default=None)

    def alone(self) -> Iterator[tuple[ImageFile, Message]]:
        taken = {image for pair in self.pairs for image in (pair.original, pair.target)}
        for image in self._images:
            if image not in taken:
                yield image, self._reason(image)

    def _reason(self, image: ImageFile) -> Message:
        stem = image.path.stem
        if not _folded(stem).endswith(_folded(self._suffix)):
            return message("data.no_target", name=f"{stem}{self._suffix}")
        bare = stem[: len(stem) - len(self._suffix)]
        first = next(iter(self._by_name.get((image.path.parent, _folded(bare)), [])), None)
        if first is not None:
            return message("data.extra_target", other=first.path.name)
        return message("data.no_original", name=bare)
