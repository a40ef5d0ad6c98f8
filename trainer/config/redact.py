"""What of the settings goes into a LoRA file. People publish these files, so they contain only what a repetition needs.

Left out are paths that the mode does not use and keys of other programs; the user's home folder, which often contains a
name, becomes ``~``. Prompts, the trigger word and the paths of the training data are needed, and are included.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .choices import SECOND_PASS
from .settings import ROWS, Settings


def publishable(settings: Settings) -> Settings:
    """The settings as a file may carry them; the same again for what :func:`at_home` makes of them."""
    second = settings.second_pass
    return replace(
        _with_paths(settings, settings.mode, _without_home),
        unknown=(),
        base_loras=settings.base_loras.replace(str(Path.home()), "~"),
        second_pass=second and replace(_with_paths(second, SECOND_PASS, _without_home), unknown=()),
    )


def at_home(settings: Settings) -> Settings:
    """The settings of a file with ``~`` for the home folder, as they hold for the user who reads it."""
    second = settings.second_pass
    return replace(
        _with_paths(settings, settings.mode, os.path.expanduser),
        second_pass=second and _with_paths(second, SECOND_PASS, os.path.expanduser),
    )


def _with_paths(settings: Settings, place: str, change: Callable[[str], str]) -> Settings:
    paths = [row for row in ROWS if row.kind == "path"]
    kept: dict[str, Any] = {
        row.name: change(getattr(settings, row.name)) if place in row.modes else row.default for row in paths
    }
    return replace(settings, **kept)


def _without_home(path: str) -> str:
    home = str(Path.home())
    if len(home) < 2 or os.path.normcase(path[: len(home)]) != os.path.normcase(home):
        return path
    rest = path[len(home) :]
    return f"~{rest}" if rest[:1] in ("/", os.sep) else path
