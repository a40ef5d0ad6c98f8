"""Commands as they can be pasted into a shell of this machine."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def own_command(*arguments: str) -> str:
    """A command of Trainyard's, for the folder that this one was called in."""
    return joined([short(sys.executable), "-m", "trainer", *arguments])


def short(path: str | Path) -> str:
    """A path as it is written from here: the whole of it only where it lies elsewhere."""
    whole = Path(os.path.abspath(path))  # links stay: a virtual environment's Python is one
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


def joined(arguments: Sequence[str], *, windows: bool = os.name == "nt") -> str:
    """Arguments in one line, quoted where a shell would read something else: a POSIX one, or both of Windows'."""
    return " ".join(map(_quoted_for_windows, arguments)) if windows else shlex.join(arguments)


def _quoted_for_windows(argument: str) -> str:
    if re.fullmatch(r"[\w.:\\/=-]+", argument):
        return argument
    return '"' + argument.replace('"', '\\"') + '"'
