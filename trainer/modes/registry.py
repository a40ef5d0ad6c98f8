"""The modes by name."""

from __future__ import annotations

from ..config.choices import MODES, load
from .base import Mode


def mode_of(name: str) -> Mode:
    """The mode called ``name``, one of the table's."""
    mode: Mode = load(MODES[name].path)()
    return mode
