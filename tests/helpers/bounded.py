"""Something done in a program of its own, which ends if it takes more time or memory than it may."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_LIMITED = """
import sys
try:
    import resource
except ImportError:  # Windows: only the time is limited
    resource = None
if resource is not None:
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
del sys.argv[1]
"""


def run_bounded(code: str, *arguments: object, seconds: float = 10, room: int = 1_000_000_000) -> str:
    """What ``code`` prints.

    Args:
        code: of Python; ``sys.argv[1:]`` are the arguments.
        seconds: in all.
        room: bytes of memory that the program may take, its libraries included.
    """
    command = [sys.executable, "-c", _LIMITED + code, str(room), *map(str, arguments)]
    done = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
