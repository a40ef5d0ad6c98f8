"""Good defaults for each mode, from a shipped preset, for the fields that the user has not touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config import presets
from ...config.settings import Settings


def of(mode: str, better: Mapping[str, Any], preset: str = "") -> Settings:
    """The defaults of a mode.

    Args:
        better: short name -> a value that suits the model better than the table's, where the preset says nothing.
        preset: one of ours to take instead of the mode's own; of another mode it counts for nothing.
    """
    chosen = presets.of_ours(preset) if preset else None
    if chosen is None or chosen.settings.mode != mode:
        chosen = presets.of_mode(mode)
    return chosen.with_defaults(better)
