"""A checkpoint's hashes, computed beside the training: a file of some gigabytes takes seconds."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from ...paths import open_file, reason_of
from ...text.messages import Message, message

_PIECE = 4 * 2**20
_LEGACY_START, _LEGACY_LENGTH = 0x100000, 0x10000


@dataclass(frozen=True)
class Hashes:
    """What tools know a checkpoint by.

    Attributes:
        sha256: of the whole file, in hex; its first ten digits are what hosts show.
        legacy: the eight digits older tools use, of the 64 KiB that lie 1 MiB into the file.
    """

    sha256: str
    legacy: str


def sha256_of(path: Path, cancelled: threading.Event | None = None) -> str | None:
    """The hash of a file's content in hex; None if ``cancelled`` was set meanwhile.

    Raises:
        OSError: it cannot be read.
    """
    whole = hashlib.sha256()
    with open_file(path) as file:
        while piece := file.read(_PIECE):
            if cancelled is not None and cancelled.is_set():
                return None
            whole.update(piece)
    return whole.hexdigest()


class Hashing:
    """Reads a file in its own thread from now on. Without a file, or with one that cannot be read: no hashes.

    The thread holds nothing but the file: hashing and reading both let the training thread run.
    """

    def __init__(self, path: Path | None) -> None:
        self.problem: Message | None = None
        """Why there are no hashes of a file that should have some; None until :meth:`result`."""
        self._hashes: Hashes | None = None
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        if path is not None and path.is_file():
            self._thread = threading.Thread(target=self._work, args=(path,), name="trainyard-hash", daemon=True)
            self._thread.start()

    def result(self) -> Hashes | None:
        """The hashes; waits for them."""
        if self._thread is not None:
            self._thread.join()
        return self._hashes

    @property
    def so_far(self) -> Hashes | None:
        """The hashes if they are there; does not wait."""
        return self._hashes

    def cancel(self) -> None:
        """Stop reading; the result is no longer wanted."""
        self._cancelled.set()

    def _work(self, path: Path) -> None:
        try:
            self._hashes = self._read(path)
        except OSError as error:
            self.problem = message("models.no_hash", file=path.name, reason=reason_of(error))

    def _read(self, path: Path) -> Hashes | None:
        with open_file(path) as file:
            file.seek(_LEGACY_START)
            legacy = hashlib.sha256(file.read(_LEGACY_LENGTH)).hexdigest()[:8]
        whole = sha256_of(path, self._cancelled)
        return None if whole is None else Hashes(whole, legacy)
