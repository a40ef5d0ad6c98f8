"""The lock on the host's model, which its generations and our runs hold one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_HANDED_OVER_WITHIN = 1.0
_LOOK_EVERY = 0.001
_CHECK_EVERY = 0.1


def never() -> None:
    """The check of those who wait for as long as it takes: it never raises."""


class Lock:
    """The host's first-in-first-out lock. A run holds it until others wait for it.

    It is not re-entrant: :meth:`take` does nothing for the thread that holds it already.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread holds it."""
        return self._holder == threading.get_ident()

    @property
    def others_wait(self) -> bool:
        """Whether anyone waits for it. Costs next to nothing."""
        return bool(getattr(self._lock, "_pending_threads", ()))

    def take(self, check: Callable[[], None] = never) -> None:
        """Acquire it, unless this thread holds it.

        Args:
            check: called about ten times a second while this waits; an exception from it ends the wait.
        """
        if self.is_mine:
            return
        if not self._lock.acquire(blocking=False):
            _wait(_Waiter(self._lock), check)
        self._holder = threading.get_ident()

    def leave(self) -> None:
        """Release it to the next one in line; does nothing if this thread does not hold it."""
        if self.is_mine:
            self._holder = None
            self._lock.release()

    def let_others(self, check: Callable[[], None] = never) -> None:
        """Release it, make sure that the thread that waited longest gets it, and wait again behind the rest.

        Args:
            check: see :meth:`take`.
        """
        expected = self.others_wait
        self.leave()
        # The release wakes the first in line, which still has to acquire before anybody else does: give it time.
        ends = time.monotonic() + (_HANDED_OVER_WITHIN if expected else 0.0)
        while time.monotonic() < ends and not self._is_taken():
            time.sleep(_LOOK_EVERY)
        self.take(check)

    def _is_taken(self) -> bool:
        inner = getattr(self._lock, "_lock", None)
        return inner is None or inner.locked()


class _Waiter:
    """Waits for a lock in its own thread, since the lock has no way to stop waiting."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._deciding = threading.Lock()
        self._has_given_up = False
        self.acquired = threading.Event()
        threading.Thread(target=self._acquire, name="trainyard-waiter", daemon=True).start()

    def give_up(self) -> None:
        """Acquire nothing any more; the next in line moves up."""
        with self._deciding:
            self._has_given_up = True
            if self.acquired.is_set():
                self._lock.release()

    def _acquire(self) -> None:
        self._lock.acquire()
        with self._deciding:
            if self._has_given_up:
                self._lock.release()
            else:
                self.acquired.set()


def _wait(waiter: _Waiter, check: Callable[[], None]) -> None:
    try:
        while not waiter.acquired.wait(_CHECK_EVERY):
            check()
    except BaseException:
        waiter.give_up()
        raise
