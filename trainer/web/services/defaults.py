"""Good defaults for each mode, from a shipped preset, for the fields that the user has not touched."""

from __future__ import annotations

from dataclasses import replace

from ...config import presets
from ...config.choices import MODES
from ...config.settings import ROWS, Settings
from ...paths import SHIPPED_PRESETS

_OWN = ("train_seed",)
"""Settings that have nothing to do with the mode."""


def of(mode: str) -> Settings:
    """The defaults of a mode, for the network and the training only."""
    name = MODES[mode].preset
    preset = presets.load(name, [SHIPPED_PRESETS]).settings if name else Settings()
    names = [row.name for row in ROWS if row.name.startswith(("network_", "train_")) and row.name not in _OWN]
    return replace(Settings(mode=mode), **{name: getattr(preset, name) for name in names})
