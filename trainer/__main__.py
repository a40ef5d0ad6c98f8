"""``python -m trainer``."""

import atexit
import os
import sys
from contextlib import suppress


def _run() -> int:
    ended: list[int] = []
    atexit.register(_leave, ended)  # the first to be registered is the last to be called
    try:
        from .cli import main

        ended.append(main())
    except KeyboardInterrupt:
        ended.append(130)
    return ended[0]


def _leave(ended: list[int]) -> None:
    """End before the interpreter is taken apart: it would end threads of the background wherever they are, and one
    that is within PyTorch aborts the program then ("terminate called without an active exception").

    Args:
        ended: the exit status; empty after an error, of which Python tells.
    """
    if not ended:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, full, or none at all
            stream.flush()
    os._exit(ended[0])


sys.exit(_run())
