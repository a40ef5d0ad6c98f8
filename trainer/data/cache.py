"""What runs leave on the disk for later ones, by its content: latents, prompts and what is known of image files.

One SQLite file. Whoever ends at any moment leaves it whole; several processes may use it at once. It is only ever a
shortcut: whatever goes wrong with it, a run goes on without.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from ..paths import Folders, open_file, reason_of
from ..text.messages import Message

_Result = TypeVar("_Result")

GB: Final = 1_000_000_000
_VERSION = 1
"""Of the tables: a file with another one is begun anew."""
_PAGE = 16384
_TABLES = (
    """CREATE TABLE files (path BLOB PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL,
    changed INTEGER NOT NULL, content TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT UNIQUE, used INTEGER NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE INDEX by_use ON entries (used)",
    "CREATE TABLE contents (id INTEGER PRIMARY KEY, content BLOB NOT NULL)",  # apart: a use rewrites no content
)
_MOST_HASHED = 512 * 2**20
"""Bytes of a file; one that is larger is looked at anew each time."""
_UNSETTLED = 2.0
"""Seconds after which a file that changes gets another time, on any file system."""
_TOGETHER, _BYTES_TOGETHER = 512, 32 * 2**20
"""Entries, and bytes of them, that are written at once."""
_HOUR, _LONG = 3600, 90 * 24 * 3600
"""Seconds after which another use is noted, and those after which a file that is not used is forgotten."""
_PATIENCE = 15.0
"""Seconds to wait for another process that writes."""
_PIECE = 2**20


class Mark(NamedTuple):
    """What tells a file from an earlier one at its place: its bytes, when they were written and when it was changed at
    all, in nanoseconds. Where there is no such time, it stays the same."""

    size: int
    time: int
    changed: int

    @staticmethod
    def of(path: Path) -> Mark:
        """Raises:
        OSError: it is not there.
        """
        found = path.stat()
        return Mark(found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @staticmethod
    def now(path: Path) -> Mark | None:
        """The same; None where there is none."""
        try:
            return Mark.of(path)
        except OSError:
            return None


def cache_path(folders: Folders) -> Path:
    return folders.data / "cache" / "data.sqlite"


@contextmanager
def open_cache(folders: Folders, gigabytes: float) -> Iterator[DataCache | None]:
    """The cache of an installation while the block lasts, as large as ``gigabytes`` at most; None for none."""
    if gigabytes <= 0:
        yield None
        return
    cache = DataCache(cache_path(folders), int(gigabytes * GB))
    try:
        yield cache
    finally:
        cache.close()


def key_of(*parts: object) -> str:
    """The key of what is made of ``parts``, which are told apart by their ``repr``."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


class DataCache:
    """Bytes by key, and the contents of files by their marks; all threads of a process may use one.

    Nothing raises: what cannot be read is not there, and what cannot be written is not kept.

    Attributes:
        path: the database.
        problem: why it can be used no longer; None while it can.
        hits, misses: how many entries were asked for and found, or not.
    """

    def __init__(self, path: Path, most: int) -> None:
        """Open the file, or begin it.

        Args:
            most: bytes it may have on the disk; and never more than half of what would be free without it.
        """
        self.path = path
        self.problem: Message | str | None = None
        self.hits = self.misses = 0
        self._most = most
        self._opened = int(time.time())
        self._lock = threading.RLock()
        self._files: dict[Path, tuple[Mark, str]] = {}
        self._new_files: dict[Path, tuple[Mark, str]] = {}
        self._pending: dict[str, bytes] = {}
        self._pending_bytes = 0
        self._used: set[int] = set()
        self._used_files: set[Path] = set()
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    # ---- entries ----------------------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """The entry, if there is one and it is whole."""
        found = self._tried(lambda: self._read(key), None)
        with self._lock:
            self.hits += found is not None
            self.misses += found is None
        return found

    def put(self, key: str, content: bytes) -> None:
        """Keep an entry; it is on the disk after :meth:`flush` at the latest."""
        with self._lock:
            if self._connection is None or key in self._pending:
                return
            self._pending[key] = content
            self._pending_bytes += len(content)
            if len(self._pending) >= _TOGETHER or self._pending_bytes >= _BYTES_TOGETHER:
                self.flush()

    def _read(self, key: str) -> bytes | None:
        if key in self._pending:
            return self._pending[key]
        assert self._connection is not None
        row = self._connection.execute(
            "SELECT id, used, checksum, content FROM entries LEFT JOIN contents USING (id) WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        number, used, checksum, content = row
        if not isinstance(content, bytes) or zlib.crc32(content) != checksum:
            with self._transaction() as connection:
                _remove(connection, number)
            return None
        if used < self._opened - _HOUR:
            self._used.add(number)
        return content

    # ---- files ------------------------------------------------------------------------------------------------------

    def known_content(self, path: Path) -> str | None:
        """The hash of a file as it is now, if it was read before and has not changed since."""

        def look() -> str | None:
            mark = Mark.of(path)
            if path not in self._files:
                assert self._connection is not None
                row = self._connection.execute(
                    "SELECT size, time, changed, content, used FROM files WHERE path = ?", (_name(path),)
                ).fetchone()
                if row is None:
                    return None
                self._files[path] = Mark(*row[:3]), row[3]
                if row[4] < self._opened - _HOUR:
                    self._used_files.add(path)
            known, content = self._files[path]
            return content if known == mark else None

        return self._tried(look, None)

    def content(self, path: Path) -> str | None:
        """The hash of a file as it is now, read if need be.

        None where it cannot be read, or where a change might go unnoticed: it is being written, or has just been.
        """
        known = self.known_content(path)
        if known is not None or self._connection is None:
            return known
        try:
            before = Mark.of(path)
            if before.size > _MOST_HASHED or time.time() - before.time / 1e9 < _UNSETTLED:
                return None
            whole = hashlib.sha256()
            with open_file(path) as file:
                while piece := file.read(_PIECE):
                    whole.update(piece)
            if Mark.of(path) != before:
                return None
        except OSError:
            return None
        with self._lock:
            self._files[path] = self._new_files[path] = before, whole.hexdigest()
        return whole.hexdigest()

    # ---- writing ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Put on the disk what has been kept so far. What does not fit there is dropped."""
        with self._lock:
            entries, self._pending, self._pending_bytes = self._pending, {}, 0
            files, self._new_files = self._new_files, {}
            used, self._used = self._used, set()
            used_files, self._used_files = self._used_files, set()
            if entries or files or used or used_files:
                self._tried(lambda: self._write(entries, files, used, used_files), None)

    def _write(
        self, entries: dict[str, bytes], files: dict[Path, tuple[Mark, str]], used: set[int], used_files: set[Path]
    ) -> None:
        now = int(time.time())
        with self._transaction() as connection:
            connection.executemany("UPDATE entries SET used = ? WHERE id = ?", [(now, number) for number in used])
            connection.executemany(
                "UPDATE files SET used = ? WHERE path = ?", [(now, _name(each)) for each in used_files]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
                [(_name(path), *mark, content, now) for path, (mark, content) in files.items()],
            )
            if not self._make_room(connection, sum(map(len, entries.values()))):
                return
            for key, content in entries.items():
                number = connection.execute(
                    "INSERT OR IGNORE INTO entries (key, used, checksum) VALUES (?, ?, ?)",
                    (key, now, zlib.crc32(content)),
                )
                if number.rowcount > 0:  # else another process was first
                    connection.execute("INSERT OR REPLACE INTO contents VALUES (?, ?)", (number.lastrowid, content))

    def _make_room(self, connection: sqlite3.Connection, size: int) -> bool:
        """Remove what has been unused for longest, but nothing of this run; whether there is room then."""
        most = min(self._most, (_bytes(connection) + shutil.disk_usage(self.path.parent).free) // 2)
        while _bytes(connection) + size > most:
            oldest = connection.execute(
                "SELECT id FROM entries WHERE used < ? ORDER BY used, id LIMIT 1", (self._opened - _HOUR,)
            ).fetchone()
            if oldest is None:
                return False
            _remove(connection, oldest[0])
        return True

    def close(self) -> None:
        """Write what is left; a file that has become smaller gives its room back."""
        self.flush()
        self._tried(self._tidy, None)
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _tidy(self) -> None:
        assert self._connection is not None
        with self._transaction() as connection:
            connection.execute("DELETE FROM files WHERE used < ?", (self._opened - _LONG,))
            self._make_room(connection, 0)
        self._connection.executescript("PRAGMA incremental_vacuum")  # execute would free one page

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._pending, self._new_files, self._files, self._pending_bytes = {}, {}, {}, 0
            self._used, self._used_files = set(), set()

            def empty() -> None:
                with self._transaction() as connection:
                    for table in ("files", "entries", "contents"):
                        connection.execute(f"DELETE FROM {table}")
                assert self._connection is not None
                self._connection.executescript("PRAGMA incremental_vacuum")  # execute would free one page

            self._tried(empty, None)

    def size(self) -> tuple[int, int]:
        """How many entries there are, and how many bytes they take on the disk."""

        def look() -> tuple[int, int]:
            assert self._connection is not None
            (count,) = self._connection.execute("SELECT count(*) FROM entries").fetchone()
            return count, _bytes(self._connection)

        return self._tried(look, (0, 0))

    # ---- the database -----------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # it is locked, or the disk is full
                raise
            for ending in ("", "-journal"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            if _pragma(connection, "user_version") != _VERSION:
                # Before there is a table, or they have no effect.
                connection.execute(f"PRAGMA page_size = {_PAGE}")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                with _transaction(connection):
                    if _pragma(connection, "user_version") != _VERSION:  # else another process was first
                        for kind, name in connection.execute("SELECT type, name FROM sqlite_master").fetchall():
                            if kind == "table":
                                connection.execute(f'DROP TABLE "{name}"')
                        for table in _TABLES:
                            connection.execute(table)
                        connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("SELECT id, key, used, checksum FROM entries LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._connection is not None
        with _transaction(self._connection):
            yield self._connection

    def _tried(self, work: Callable[[], _Result], otherwise: _Result) -> _Result:
        """What ``work`` gives, or ``otherwise``. A database that cannot be used now is not tried again."""
        with self._lock:
            if self._connection is None:
                return otherwise
            try:
                return work()
            except sqlite3.Error as error:
                self._give_up(error)
            except OSError:  # of the file that is asked for
                pass
            return otherwise

    def _give_up(self, error: OSError | sqlite3.Error) -> None:
        self.problem = reason_of(error) if isinstance(error, OSError) else str(error)
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with contextlib.suppress(OSError):  # it is damaged: the next run begins it anew
                os.remove(self.path)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _remove(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM contents WHERE id = ?", (number,))
    connection.execute("DELETE FROM entries WHERE id = ?", (number,))


def _name(path: Path) -> bytes:
    """As bytes: names on the disk need not be text."""
    return os.fsencode(os.path.abspath(path))


def _bytes(connection: sqlite3.Connection) -> int:
    """Of the pages that hold something."""
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
