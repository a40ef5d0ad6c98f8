"""Rows of a damaged SQLite file: whatever stands whole on any of its pages, wherever the way to it is broken.

SQLite reads a table from its root down and stops at the first broken page; this reads every page that holds rows, as
the ``.recover`` of SQLite's own shell does. The format is described at https://www.sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Value = None | int | float | str | bytes

_DEFAULT_PAGE = 4096
_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER = 0x0D, 0x0A, 0x02
_FIRST_PAGE_HEADER = 100
_MOST_ROWS = 1_000_000


class Row(NamedTuple):
    """One row: its number, and its columns as they are stored, without the number."""

    id: int
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        rows: whole rows of any table.
        entries: whole entries of any index; each ends with the number of its row.
        broken: the first columns of rows whose rest is gone.
    """

    rows: list[Row] = field(default_factory=list)
    entries: list[tuple[Value, ...]] = field(default_factory=list)
    broken: list[Row] = field(default_factory=list)


def read_pages(path: Path) -> Found:
    """Read all pages of a damaged file and of the write-ahead log beside it. The files stay as they are.

    Raises:
        OSError: it cannot be read at all.
    """
    with tempfile.TemporaryDirectory(prefix="trainyard-queue-") as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        log = Path(f"{path}-wal")
        if log.exists():
            shutil.copyfile(log, f"{copy}-wal")
            # Where the log cannot be played in, there are the pages from before it.
            with suppress(sqlite3.Error), closing(sqlite3.connect(copy)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return _Pages(copy.read_bytes()).read()


class _BrokenError(Exception):
    """A page or a row is not what it should be."""


class _Pages:
    def __init__(self, content: bytes) -> None:
        self._content = content
        size = int.from_bytes(content[16:18], "big")
        size = 65536 if size == 1 else size
        whole = content.startswith(b"SQLite format 3\0") and size in {2**power for power in range(9, 17)}
        self._size = size if whole else _DEFAULT_PAGE
        self._usable = self._size - (content[20] if whole else 0)
        self._count = -(-len(content) // self._size)
        self._free = self._free_pages() if whole else set()

    def read(self) -> Found:
        found = Found()
        for number in range(1, self._count + 1):
            if number not in self._free and len(found.rows) < _MOST_ROWS:
                self._read_page(number, found)
        return found

    def _page(self, number: int) -> bytes:
        page = self._content[(number - 1) * self._size : number * self._size]
        if number < 1 or len(page) < self._usable:
            raise _BrokenError
        return page

    def _free_pages(self) -> set[int]:
        """Pages of rows that were deleted, which would come back to life."""
        found: set[int] = set()
        trunk = int.from_bytes(self._content[32:36], "big")
        with suppress(_BrokenError):
            while trunk and trunk not in found:
                found.add(trunk)
                page = self._page(trunk)
                count = min(int.from_bytes(page[4:8], "big"), self._usable // 4 - 2)
                found |= {int.from_bytes(page[at : at + 4], "big") for at in range(8, 8 + 4 * count, 4)}
                trunk = int.from_bytes(page[:4], "big")
        return found

    def _read_page(self, number: int, found: Found) -> None:
        try:
            page = self._page(number)
        except _BrokenError:
            return
        start = _FIRST_PAGE_HEADER if number == 1 else 0
        kind = page[start]
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER):
            return
        head, child = (12, 4) if kind == _INDEX_INNER else (8, 0)
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        for at in range(start + head, min(start + head + 2 * count, self._usable - 1), 2):
            offset = int.from_bytes(page[at : at + 2], "big")
            with suppress(_BrokenError):
                if kind == _TABLE_LEAF:
                    self._read_row(page, offset, found)
                else:
                    length, begin = _number(page, offset + child)
                    found.entries.append(_record(self._payload(page, begin, length, is_index=True)))

    def _read_row(self, page: bytes, offset: int, found: Found) -> None:
        length, at = _number(page, offset)
        row_id, at = _number(page, at)
        try:
            found.rows.append(Row(row_id, _record(self._payload(page, at, length))))
        except _BrokenError:
            found.broken.append(Row(row_id, _record(page[at : self._usable], is_whole=False)))

    def _payload(self, page: bytes, at: int, length: int, *, is_index: bool = False) -> bytes:
        """The bytes of a record, which goes on on other pages if it is long."""
        usable = self._usable
        most = (usable - 12) * 64 // 255 - 23 if is_index else usable - 35
        local = length
        if length > most:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (length - least) % (usable - 4)
            local = local if local <= most else least
        content = page[at : at + local]
        following = int.from_bytes(page[at + local : at + local + 4], "big") if length > local else 0
        seen: set[int] = set()
        while len(content) < length:
            if following in seen:
                raise _BrokenError
            seen.add(following)
            next_page = self._page(following)
            content += next_page[4 : min(usable, 4 + length - len(content))]
            following = int.from_bytes(next_page[:4], "big")
        return content


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A number of up to nine bytes, and where the next begins."""
    value = 0
    for count in range(9):
        if at + count >= len(content):
            raise _BrokenError
        byte = content[at + count]
        if count == 8:
            value = value << 8 | byte
            return value - 2**64 if value >= 2**63 else value, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise AssertionError("nine bytes are enough")


def _record(content: bytes, *, is_whole: bool = True) -> tuple[Value, ...]:
    """The columns of a record; of one that is cut short those that are there, if ``is_whole`` does not matter."""
    length, at = _number(content, 0)
    kinds = []
    while at < length:
        kind, at = _number(content, at)
        kinds.append(kind)
    found = []
    for value in _values(content, kinds, length):
        if value is _MISSING:
            if is_whole:
                raise _BrokenError
            break
        found.append(value)
    return tuple(found)  # type: ignore[arg-type]


_MISSING = object()
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


def _values(content: bytes, kinds: list[int], at: int) -> Iterator[object]:
    for kind in kinds:
        size = _SIZES[kind] if kind < 10 else (kind - 12) // 2
        part = content[at : at + size]
        at += size
        if kind in (10, 11) or len(part) < size:
            yield _MISSING
            return
        try:
            yield _value(kind, part)
        except UnicodeDecodeError:
            yield _MISSING
            return


def _value(kind: int, part: bytes) -> Value:
    if kind == 0:
        return None
    if kind == 7:
        return float(struct.unpack(">d", part)[0])
    if kind in (8, 9):
        return kind - 8
    if kind < 7:
        return int.from_bytes(part, "big", signed=True)
    return part if kind % 2 == 0 else part.decode("utf-8")
