"""A file's bytes as tensors on the file's own pages, mapped in pieces that are released one by one.

One mapping of a whole checkpoint stays, with every page that has been read, until its last tensor is gone: while it is
copied to a wider type, the file and the copy are both in memory. In pieces, what has been copied is released.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from ...paths import open_file
from .header import cut_short
from .shared_files import may_be_cut_short

_SMALLEST_PIECE = 64 << 20
"""Bytes; every piece holds a file descriptor, and a program has about a thousand of those."""
_MOST_PIECES = 64


class Stretch(NamedTuple):
    """Bytes of a file, from ``start`` up to ``end``."""

    start: int
    end: int


def map_stretches(path: Path, stretches: Iterable[Stretch]) -> dict[Stretch, Tensor]:
    """Flat uint8 tensors on the pages of a file; a page is read when it is first used.

    Writing to them does not change the file. A piece of the file leaves the memory as soon as none of its tensors is
    used any more.

    A file that others may cut short meanwhile is read into memory instead; see :mod:`.shared_files`.

    Args:
        path: the file.
        stretches: within the file.

    Raises:
        ModelError: such a file has been cut short already.
    """
    is_copied = may_be_cut_short(path)
    found: dict[Stretch, Tensor] = {}
    with open_file(path) as file:
        for piece in _pieces(sorted(stretches)):
            first, last = piece[0].start, max(stretch.end for stretch in piece)
            if first == last:  # nothing in it, which cannot be mapped
                found.update((stretch, torch.empty(0, dtype=torch.uint8)) for stretch in piece)
                continue
            base = first - first % mmap.ALLOCATIONGRANULARITY
            pages: mmap.mmap | bytearray
            if is_copied:
                pages = _read(file, base, last, path.name)
            else:
                pages = mmap.mmap(file.fileno(), last - base, access=mmap.ACCESS_COPY, offset=base)
            for stretch in piece:
                found[stretch] = _view(pages, stretch.start - base, stretch.end - base)
    return found


def _read(file: BinaryIO, start: int, end: int, name: str) -> bytearray:
    content = bytearray(end - start)
    file.seek(start)
    if file.readinto(content) < len(content):  # type: ignore[attr-defined]
        raise cut_short(name, end, file.seek(0, 2))
    return content


def _pieces(stretches: list[Stretch]) -> Iterator[list[Stretch]]:
    """Neighbours together, until a piece is large enough."""
    enough = max(_SMALLEST_PIECE, sum(stretch.end - stretch.start for stretch in stretches) // _MOST_PIECES)
    piece: list[Stretch] = []
    for stretch in stretches:
        if piece and stretch.end - piece[0].start > enough:
            yield piece
            piece = []
        piece.append(stretch)
    if piece:
        yield piece


def _view(pages: mmap.mmap | bytearray, start: int, end: int) -> Tensor:
    if start == end:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(pages, dtype=torch.uint8, count=end - start, offset=start)
