"""Texts of LoRA files and what is trained, optimizers and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- LoRA files
        "networks.no_settings": (
            "holds no settings; it was not trained with Trainyard. Choose a preset or a .json file."
        ),
    }
)
