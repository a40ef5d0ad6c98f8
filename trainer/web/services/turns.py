"""One at a time, and the newest first: what was asked last is what somebody waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...errors import UserError


class Turns:
    """Any thread may take one. Whoever works lets those who came later go ahead, and goes on after them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here: list[object] = []
        self._working: object | None = None
        self._is_closed = False

    def close(self) -> None:
        """End what works at its next wait, and what waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @contextmanager
    def one(self) -> Iterator[Callable[[], None]]:
        """A turn, once nobody works and nobody newer is here.

        Yields:
            What to call between two pieces of work: it returns once that is so again.

        Raises:
            UserError: closed meanwhile; what is yielded raises it as well.
        """
        own = object()

        def begin() -> None:
            self._changed.wait_for(lambda: self._is_closed or (self._working is None and self._here[-1] is own))
            if self._is_closed:
                raise UserError("web.server_ends")
            self._working = own

        def end() -> None:
            if self._working is own:
                self._working = None
            self._changed.notify_all()

        def wait() -> None:
            with self._changed:
                end()
                begin()

        try:
            with self._changed:
                self._here.append(own)
                begin()
            yield wait
        finally:
            with self._changed:
                self._here.remove(own)
                end()
