"""The end of the program: signals and a closed console, heard in time for a run to be saved."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, NamedTuple

WITHIN: Final = 10.0
"""Seconds in which a run is saved and the program has ended; who ends programs seldom waits longer."""
KILLERS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)  # fmt: skip
"""The signals that end a program without anybody at its keyboard: a system that shuts down, a terminal that closes."""
_CLOSED = (2, 5, 6)
"""Windows' events of a console that is closed, of a user who logs off, of a machine that shuts down."""
_Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def heard(handle: Callable[[int], object], numbers: Sequence[int] = KILLERS) -> Iterator[None]:
    """Have signals call ``handle`` with their number while the block lasts, instead of what they did.

    Those that are ignored stay ignored, as ``nohup`` wants it. Without effect outside the main thread.
    """
    before: dict[int, _Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, lambda received, _frame: handle(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class Chained:
    """A signal's handler that does something first, and then what the handler before it does."""

    def __init__(self, first: Callable[[], object], before: _Handler) -> None:
        self._first = first
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._first()
        if callable(self._before):
            self._before(number, frame)
        elif self._before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def chain(first: Callable[[], object], numbers: Sequence[int] = (signal.SIGINT, *KILLERS)) -> None:
    """Have signals call ``first``, and then do what they did: the program around us ends as it wants to.

    To be called in the main thread. Called again, it adds nothing where nobody else has come in between.
    """
    for number in numbers:
        before = signal.getsignal(number)
        if before is None or before == signal.SIG_IGN or isinstance(before, Chained):
            continue  # set by a library in C, or not wanted
        signal.signal(number, Chained(first, before))


def on_console_close(end: Callable[[], object], windows: Windows | None = None) -> Callable[[], object]:
    """Call ``end`` in a thread of the system's when the console is closed; Windows waits for it, and then kills us.

    Args:
        windows: the system's own, where there is one. Elsewhere a closed terminal is a signal.

    Returns:
        What undoes it; to be kept until then, for it keeps alive what Windows calls.
    """
    found = windows or _windows()
    if found is None:
        return _nothing

    def closed(event: int) -> int:
        if event not in _CLOSED:
            return 0  # Ctrl-C and Ctrl-Break are signals
        end()
        return 1

    handler = found.callback(closed)
    found.set_handler(handler, True)
    return partial(found.set_handler, handler, False)


class Windows(NamedTuple):
    """What Windows offers: a type for functions that it calls, and ``SetConsoleCtrlHandler``."""

    callback: Callable[[Callable[[int], int]], Any]
    set_handler: Callable[[Any, bool], object]


if sys.platform == "win32":

    def _windows() -> Windows | None:
        import ctypes

        callback = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)
        return Windows(callback, ctypes.WinDLL("kernel32").SetConsoleCtrlHandler)

else:

    def _windows() -> Windows | None:
        return None


def _nothing() -> None:
    """Nothing to undo."""
