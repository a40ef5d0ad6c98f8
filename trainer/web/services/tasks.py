"""A piece of work in its own thread, which can be watched and stopped."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ...errors import Stopped, UserError
from ...paths import kept_traceback
from ...text.messages import Message

Result = TypeVar("Result")
Check = Callable[[], None]
Progress = Callable[[int, int], None]

WORKING, DONE, STOPPED, FAILED = "working", "done", "stopped", "failed"
_CLOSING_TAKES = 20.0
"""Seconds at most."""


class Task(Generic[Result]):
    """Starts when it is made.

    Attributes:
        name: random, so that nobody can guess it.
        state: one of :data:`WORKING`, :data:`DONE`, :data:`STOPPED` and :data:`FAILED`.
        done, total: how far it is.
        problem: why it failed.
        result: what it returned, once it is done.
    """

    def __init__(self, work: Callable[[Check, Progress], Result]) -> None:
        """Args:
        work: calls its first argument again and again, which raises ``Stopped`` to end it, and its second with how
            much is done of how much.
        """
        self.name = secrets.token_hex(8)
        self.state = WORKING
        self.done = self.total = 0
        self.problem: Message | None = None
        self.result: Result | None = None
        self._stop = threading.Event()
        self._work = work
        self._thread = threading.Thread(target=self._run, name="trainyard-task", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it soon, without a result."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self.result = self._work(self._check, self._progress)
            self.state = DONE
        except Stopped:
            self.state = STOPPED
        except UserError as error:
            self.problem, self.state = error.whole, FAILED
        except Exception as error:  # noqa: BLE001 - a bug of ours: the traceback of a thread is kept in a file
            self.problem, self.state = kept_traceback(error), FAILED

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total


class OneTask(Generic[Result]):
    """One task at a time, of which the page shows the latest.

    Attributes:
        latest: None before the first.
    """

    def __init__(self, busy: str) -> None:
        """Args:
        busy: the key of what is said while one works already.
        """
        self.latest: Task[Result] | None = None
        self._busy = busy
        self._lock = threading.Lock()

    def begin(self, work: Callable[[Check, Progress], Result]) -> Task[Result]:
        """Start it; returns at once.

        Raises:
            UserError: another one works.
        """
        with self._lock:
            if self.latest is not None and self.latest.state == WORKING:
                raise UserError(self._busy)
            self.latest = Task(work)
            return self.latest

    def stop(self) -> None:
        """End the latest soon; what is done by then stays."""
        if self.latest is not None:
            self.latest.stop()

    def close(self) -> None:
        """The same, and wait for that."""
        self.stop()
        if self.latest is not None:
            self.latest.join(_CLOSING_TAKES)
