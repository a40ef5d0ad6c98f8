"""Good defaults for each mode, from a shipped preset, for the fields that the user has not touched."""

from __future__ import annotations

from ...config import presets
from ...config.settings import Settings


def of(mode: str) -> Settings:
    """The defaults of a mode, for the network and the training only."""
    return presets.of_mode(mode).settings
