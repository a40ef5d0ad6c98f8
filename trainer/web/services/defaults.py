"""Good values for each mode: those of a preset that is shipped, taken over where the user has left a field alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ...config import presets
from ...config.settings import Settings, rows
from ...paths import SHIPPED_PRESETS

PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "LoRA": "LoRA",
        "iLECO": "iLECO",
        "Difference": "Difference",
        "ADDifT": "ADDifT_Action_SD1.5",
        "Multi-ADDifT": "ADDifT_Action_SD1.5",
    }
)
_OWN = ("train_seed",)
"""Not a matter of the mode."""


def of(mode: str) -> Settings:
    """The defaults of a mode: of how the network is and how it is trained, nothing else."""
    preset = presets.load(PRESETS[mode], [SHIPPED_PRESETS]).settings
    names = [row.name for row in rows() if row.name.startswith(("network_", "train_")) and row.name not in _OWN]
    return replace(Settings(mode=mode), **{name: getattr(preset, name) for name in names})
