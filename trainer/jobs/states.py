"""Which runs that were broken off can be continued: their states on the disk, by the jobs they are of."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..engine import state
from ..engine.state import Summary
from ..errors import StateError
from ..paths import Folders

Key = tuple[str, datetime]
"""A job, by its name and the moment it was made."""


@dataclass(frozen=True)
class Kept:
    """A state that is on the disk.

    Attributes:
        summary: where its run would continue; None for one that cannot be read.
    """

    path: Path
    summary: Summary | None


class States:
    """The states below a data folder. A file is read once; what it says does not change while the file does not."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._read: dict[Path, tuple[tuple[int, int], Summary | None]] = {}
        self._lock = threading.Lock()

    def all(self) -> dict[Key, Kept]:
        """Every state that says whose it is; of several of one job the latest."""
        found = sorted(self._files(), key=lambda file: file[1])
        with self._lock:
            self._read = {path: self._known(path, stamp) for path, stamp in found}
            kept = [(self._read[path][1], path) for path, _ in found]
        return {(summary.name, summary.created): Kept(path, summary) for summary, path in kept if summary is not None}

    def of(self, name: str, created: datetime, among: dict[Key, Kept] | None = None) -> Kept | None:
        """The state of a job, or None. One that is damaged is found by its place.

        Args:
            among: what :meth:`all` has given, for many jobs in turn.
        """
        kept = (self.all() if among is None else among).get((name, created))
        if kept is not None:
            return kept
        path = self._folders.state(name, created)
        with self._lock:
            is_damaged = path in self._read and self._read[path][1] is None
        return Kept(path, None) if is_damaged else None

    def latest_named(self, name: str) -> tuple[Path, Summary] | None:
        """The state of the latest run of that name that was broken off, and where it would continue."""
        named = [(kept.path, kept.summary) for (own, _), kept in self.all().items() if own == name and kept.summary]
        return named[-1] if named else None

    def remove(self, name: str, created: datetime) -> None:
        """Delete the state of a job, if there is one. Nobody is told of what cannot be deleted: it does no harm."""
        kept = self.of(name, created)
        while kept is not None and _remove(kept.path):
            kept = self.of(name, created)

    def tidy(self, is_over: Callable[[Summary], bool]) -> int:
        """Delete the states of jobs that are over. Returns how many there were."""
        over = [kept.path for kept in self.all().values() if kept.summary is not None and is_over(kept.summary)]
        return sum(_remove(path) for path in over)

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for folder, _, names in os.walk(self._folders.state("", datetime.min).parents[1]):
            for name in names:
                if name.endswith(".state") and not name.startswith("."):
                    path = Path(folder, name)
                    try:
                        told = path.stat()
                    except OSError:  # deleted meanwhile
                        continue
                    yield path, (told.st_mtime_ns, told.st_size)

    def _known(self, path: Path, stamp: tuple[int, int]) -> tuple[tuple[int, int], Summary | None]:
        known = self._read.get(path)
        if known is not None and known[0] == stamp:
            return known
        try:
            return stamp, state.summary(path)
        except StateError:
            return stamp, None


def _remove(path: Path) -> bool:
    try:
        state.remove(path)
    except OSError:
        return False
    return True
