"""Whether the host is just reloading its page: what its extensions bring to its images is gone for seconds then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LONGEST = 120.0
"""Seconds; a reload that failed never says that it is over."""
_CHECK_EVERY = 0.1


class Reload:
    """Told by the host's callbacks, in its threads. A run waits before it has the host do something."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._is_over.set()

    def begin(self) -> None:
        """The host begins to unload its extensions."""
        self._is_over.clear()

    def end(self) -> None:
        """Its app has started again, with all extensions."""
        self._is_over.set()

    def wait(self, check: Callable[[], None]) -> None:
        """Return when the host is whole, at once if it is.

        Args:
            check: called about ten times a second while this waits; an exception from it ends the wait.
        """
        ends = time.monotonic() + _LONGEST
        while not self._is_over.wait(_CHECK_EVERY) and time.monotonic() < ends:
            check()
