"""A machine that trains does not go to sleep."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_UNTIL_SAID, _SYSTEM = 0x80000000, 0x00000001
"""Windows' ``ES_CONTINUOUS`` and ``ES_SYSTEM_REQUIRED``; the screen may go dark."""


@contextmanager
def awake(set_state: Callable[[int], object] | None = None) -> Iterator[None]:
    """Keep Windows and macOS from going to sleep on their own while the block lasts. Elsewhere nothing is done: there
    it is the user who says when a machine sleeps.

    Args:
        set_state: Windows' ``SetThreadExecutionState``; found where there is one. It holds for the calling thread.
    """
    tell = set_state or _windows()
    caffeinate = _caffeinated() if sys.platform == "darwin" else None
    if tell is not None:
        tell(_UNTIL_SAID | _SYSTEM)
    try:
        yield
    finally:
        if tell is not None:
            tell(_UNTIL_SAID)
        if caffeinate is not None:
            caffeinate.terminate()
            caffeinate.wait()


if sys.platform == "win32":

    def _windows() -> Callable[[int], object] | None:
        import ctypes

        set_state = ctypes.WinDLL("kernel32").SetThreadExecutionState
        set_state.argtypes = [ctypes.c_uint]
        return set_state  # type: ignore[no-any-return]

else:

    def _windows() -> Callable[[int], object] | None:
        return None


def _caffeinated() -> subprocess.Popen[bytes] | None:
    """macOS' own program, which ends with us."""
    try:
        return subprocess.Popen(["caffeinate", "-i", "-w", str(os.getpid())])
    except OSError:
        return None
