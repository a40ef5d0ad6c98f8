"""A SQLite file: opened, migrated, and its failures reported as errors a user can act on.

Several processes may have it open. A :class:`Lease` shows whether the process that claimed something is still alive: a
lock that the system releases when its process ends, however it ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..claims import locked
from ..errors import OutputError, UserError
from ..paths import free_path
from ..text.messages import Message, message
from .recovery import Found, read_pages

Migrations = Sequence[Sequence[str]]
"""The statements that lead from each version to the next; a file's version is how many of these it has been through."""

Look = Callable[[sqlite3.Connection], None]
"""Raises ``ValueError`` for content that cannot be right, though it is whole for SQLite."""
Restore = Callable[[sqlite3.Connection, Found], tuple[int, Sequence[str]]]
"""Puts what was read of a damaged file into a new one; returns how much it was, and the names of what is lost."""

_BESIDE = ("", "-wal", "-shm")


class BusyError(UserError):
    """Another program kept the file locked for as long as we waited."""


class DamagedError(UserError):
    """The file is not a database, or a damaged one."""


class Database:
    """One connection, for all threads of the process.

    Attributes:
        notice: what the user should know of how it was opened; mostly None.
    """

    def __init__(
        self, path: Path, migrations: Migrations, look: Look, restore: Restore, *, timeout: float = 5.0
    ) -> None:
        """Open the file, or create it. A damaged one is kept under another name, and a new one is created with all
        that can still be read.

        Args:
            look: decides whether the content is damaged.
            restore: fills the new one.
            timeout: how many seconds to wait for another program's lock.

        Raises:
            UserError: it was written by a newer version, is locked, or its folder cannot be written to.
        """
        self.path = path
        self.notice: Message | None = None
        self._migrations = migrations
        self._look = look
        self._timeout = timeout
        self._lock = threading.RLock()
        try:
            self._connection = self._open()
        except DamagedError:
            self._connection = self._replaced(restore)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self, *, wait: bool = True) -> Iterator[sqlite3.Connection]:
        """Either everything done in the block is written, or nothing; nobody else writes meanwhile.

        Args:
            wait: for others to finish and for the disk; without it a lock raises :class:`BusyError` at once, and
                the last change may be lost in a power failure.
        """
        with self._lock, self._explained():
            connection = self._connection
            connection.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000) if wait else 0}")
            connection.execute(f"PRAGMA synchronous = {'FULL' if wait else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explanation(error) from error

    def _explanation(self, error: sqlite3.Error) -> Exception:
        text, where = str(error), str(self.path)
        if "locked" in text:
            return BusyError("jobs.database_in_use", where=where)
        if "malformed" in text or "not a database" in text:
            return DamagedError("jobs.database_damaged", where=where, reason=text)
        if not isinstance(error, sqlite3.OperationalError):
            return error  # a bug of ours
        return OutputError("jobs.database_unusable", where=where, reason=text)

    # ---- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            where = str(self.path.parent)
            raise OutputError("jobs.folder_not_created", where=where, reason=error.strerror) from error
        with self._explained():
            connection = sqlite3.connect(
                self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        if self._version(connection) > len(self._migrations):
            raise UserError("jobs.database_is_newer", where=str(self.path))
        if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("database disk image is malformed")
        self._write_ahead(connection)
        if self._version(connection) < len(self._migrations):
            self._migrate(connection)
        try:
            self._look(connection)
        except (ValueError, TypeError) as error:
            raise sqlite3.DatabaseError("database disk image is malformed") from error

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        assert isinstance(version, int)
        return version

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Let readers and a writer work side by side; on a drive that cannot do that, they take turns."""
        deadline = time.monotonic() + self._timeout
        while True:  # SQLite's own timeout does not cover this statement
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statements in self._migrations[self._version(connection) :]:  # another process may have been faster
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _replaced(self, restore: Restore) -> sqlite3.Connection:
        """A new file in place of the damaged one, unless another process has been faster."""
        deadline = time.monotonic() + self._timeout
        while True:
            with locked(self.path) as is_ours:
                if is_ours or time.monotonic() > deadline:
                    try:
                        return self._open()
                    except DamagedError:
                        return self._restored(self._set_aside(), restore)
            time.sleep(0.02)

    def _restored(self, kept: Path, restore: Restore) -> sqlite3.Connection:
        connection = self._open()
        try:
            with self._explained():
                connection.execute("BEGIN IMMEDIATE")
                count, lost = restore(connection, read_pages(kept))
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        told = {"path": self.path, "kept": kept, "count": count}
        if not count:
            self.notice = message("jobs.database_replaced", **told)
        elif lost:
            self.notice = message("jobs.database_restored_in_part", **told, lost=lost)
        else:
            self.notice = message("jobs.database_restored", **told)
        return connection

    def _set_aside(self) -> Path:
        kept = free_path(self.path.with_name(f"{self.path.stem}-damaged{self.path.suffix}"))
        try:
            for ending in reversed(_BESIDE):  # the write-ahead log first: left behind, it would be played into the new
                there = Path(f"{self.path}{ending}")
                if there.exists():
                    os.replace(there, f"{kept}{ending}")
        except OSError as error:
            raise OutputError("jobs.database_not_renamed", where=str(self.path), reason=error.strerror) from error
        return kept


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


class Lease:
    """A sign of life: a locked file."""

    def __init__(self, folder: Path) -> None:
        self.token = uuid.uuid4().hex
        self._path = _lease_path(folder, self.token)
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise OutputError("jobs.lease_not_written", where=str(self._path), reason=error) from error

    def end(self) -> None:
        self._connection.close()
        _remove(self._path)


def is_leased(folder: Path, token: str) -> bool:
    """Whether the process that took out the lease is still alive; what a dead one left behind is removed."""
    path = _lease_path(folder, token)
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    _remove(path)
    return False


def _lease_path(folder: Path, token: str) -> Path:
    return folder / f"{token}.lock"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows: another process is reading it; an empty file does no harm
        return
