"""Good values for each mode: those of a preset that is shipped, taken over where the user has left a field alone."""

from __future__ import annotations

from dataclasses import replace

from ...config import presets
from ...config.choices import MODES
from ...config.settings import ROWS, Settings
from ...paths import SHIPPED_PRESETS

_OWN = ("train_seed",)
"""Not a matter of the mode."""


def of(mode: str) -> Settings:
    """The defaults of a mode: of how the network is and how it is trained, nothing else."""
    name = MODES[mode].preset
    preset = presets.load(name, [SHIPPED_PRESETS]).settings if name else Settings()
    names = [row.name for row in ROWS if row.name.startswith(("network_", "train_")) and row.name not in _OWN]
    return replace(Settings(mode=mode), **{name: getattr(preset, name) for name in names})
