"""A SQLite file: opened, brought up to date, and whatever goes wrong with it told in a sentence.

Several processes may have it open. Whether one that has claimed something still lives is told by a :class:`Lease`: a
lock that the system takes back when its process ends, however it ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import OutputError, UserError
from ..paths import free_path

Migrations = Sequence[Sequence[str]]
"""The statements that lead from each version to the next; a file's version is how many of them it has seen."""

_BESIDE = ("", "-wal", "-shm")


class BusyError(UserError):
    """Another program kept the file locked all the time we waited."""


class DamagedError(UserError):
    """The file is no database, or a broken one."""


class Database:
    """One connection, for all threads of the process.

    Attributes:
        notice: what the user should know of how it was opened; mostly empty.
    """

    def __init__(self, path: Path, migrations: Migrations, *, timeout: float = 5.0) -> None:
        """Open the file, or begin it. One that is damaged is kept under another name, and a new one is begun.

        Args:
            timeout: for how many seconds a lock of another program is waited for.

        Raises:
            UserError: it is of a newer version, locked, or its folder cannot be written to.
        """
        self.path = path
        self.notice = ""
        self._migrations = migrations
        self._timeout = timeout
        self._turn = threading.RLock()
        try:
            self._connection = self._open()
        except DamagedError:
            kept = self._set_aside()
            self.notice = f"{path}: is damaged, so a new one was begun. What is left of the old one is in {kept}."
            self._connection = self._open()

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def read(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._turn, self._explained():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self, *, wait: bool = True) -> Iterator[sqlite3.Connection]:
        """All that is done in the block, or nothing of it; nobody else writes meanwhile.

        Args:
            wait: for others to finish and for the disk; without it a lock raises :class:`BusyError` at once, and
                what was written last may be lost when the power fails.
        """
        with self._turn, self._explained():
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
            raise self._sentence(error) from error

    def _sentence(self, error: sqlite3.Error) -> Exception:
        text, where = str(error), str(self.path)
        if "locked" in text:
            return BusyError("is in use by another program", where=where, do="Try again in a moment")
        if "malformed" in text or "not a database" in text:
            return DamagedError(f"is damaged ({text})", where=where, do="Start again: it is kept, and a new one begun")
        if not isinstance(error, sqlite3.OperationalError):
            return error  # a mistake of ours
        do = "Make room on the disk, or choose a data folder you may write to"
        return OutputError(f"could not be read or written ({text})", where=where, do=do)

    # ---- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"could not be made ({error.strerror})", where=str(self.path.parent), do="Choose another data folder"
            ) from error
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
        if self._version(connection) > len(self._migrations):
            raise UserError(
                "was written by a newer Trainyard", where=str(self.path), do="Update Trainyard; nothing was changed"
            )
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("database disk image is malformed")
        self._write_ahead(connection)
        if self._version(connection) < len(self._migrations):
            self._migrate(connection)

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        assert isinstance(version, int)
        return version

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Readers and a writer side by side; a drive that cannot do that does without."""
        deadline = time.monotonic() + self._timeout
        while True:  # SQLite does not wait for this one by itself
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

    def _set_aside(self) -> Path:
        kept = free_path(self.path.with_name(f"{self.path.stem}-damaged{self.path.suffix}"))
        try:
            for ending in reversed(_BESIDE):  # the write-ahead log first: left behind, it would be played into the new
                there = Path(f"{self.path}{ending}")
                if there.exists():
                    os.replace(there, f"{kept}{ending}")
        except OSError as error:
            raise OutputError(
                f"is damaged, and cannot be put aside ({error.strerror})", where=str(self.path), do="Move it yourself"
            ) from error
        return kept


class Lease:
    """A sign of life: a locked file of its own."""

    def __init__(self, folder: Path) -> None:
        self.token = uuid.uuid4().hex
        self._path = _lease_path(folder, self.token)
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise OutputError(
                f"could not be written ({error})", where=str(self._path), do="Choose another data folder"
            ) from error

    def end(self) -> None:
        self._connection.close()
        _remove(self._path)


def is_leased(folder: Path, token: str) -> bool:
    """Whether the process that took out the lease still lives; what a dead one has left is tidied up."""
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
    except OSError:  # Windows: somebody is just looking at it; an empty file does no harm
        return
