"""Whose turn it is with the host's model: the lock that its generations and our runs take, one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_HANDED_OVER_WITHIN = 1.0
_LOOK_EVERY = 0.001
_CHECK_EVERY = 0.1


def never() -> None:
    """Waits as long as it takes."""


class Turn:
    """The host's first-in-first-out lock, held by a run until others wait for it.

    The lock is not re-entrant: :meth:`take` does nothing for the thread that has it already.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether the thread that asks has the turn."""
        return self._holder == threading.get_ident()

    @property
    def others_wait(self) -> bool:
        """Whether somebody stands in line. Costs nothing, and needs no lock."""
        return bool(getattr(self._lock, "_pending_threads", ()))

    def take(self, check: Callable[[], None] = never) -> None:
        """Wait for the turn, unless this thread has it.

        Args:
            check: called again and again while it waits; what it raises ends that.
        """
        if self.is_mine:
            return
        if not self._lock.acquire(blocking=False):
            _wait(_Place(self._lock), check)
        self._holder = threading.get_ident()

    def leave(self) -> None:
        """Let the next one in line go on; nothing if this thread has not got the turn."""
        if self.is_mine:
            self._holder = None
            self._lock.release()

    def let_others(self, check: Callable[[], None] = never) -> None:
        """Leave, see to it that the one who waited longest has the lock, and stand in line again behind the rest.

        Args:
            check: see :meth:`take`.
        """
        expected = self.others_wait
        self.leave()
        # One who waits is woken by the release and has to be faster than whoever asks anew: give him the time.
        ends = time.monotonic() + (_HANDED_OVER_WITHIN if expected else 0.0)
        while time.monotonic() < ends and not self._is_taken():
            time.sleep(_LOOK_EVERY)
        self.take(check)

    def _is_taken(self) -> bool:
        inner = getattr(self._lock, "_lock", None)
        return inner is None or inner.locked()


class _Place:
    """A place in the line for a lock. The lock knows no way out of it, so a thread of its own stands there."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._deciding = threading.Lock()
        self._is_left = False
        self.reached = threading.Event()
        threading.Thread(target=self._stand, name="trainyard-line", daemon=True).start()

    def leave(self) -> None:
        """Whoever stands behind moves up."""
        with self._deciding:
            self._is_left = True
            if self.reached.is_set():
                self._lock.release()

    def _stand(self) -> None:
        self._lock.acquire()
        with self._deciding:
            if self._is_left:
                self._lock.release()
            else:
                self.reached.set()


def _wait(place: _Place, check: Callable[[], None]) -> None:
    try:
        while not place.reached.wait(_CHECK_EVERY):
            check()
    except BaseException:
        place.leave()
        raise
