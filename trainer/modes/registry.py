"""The modes, in the order shown."""

from __future__ import annotations

from .addift import ADDifT
from .base import Mode
from .difference import Difference
from .ileco import ILECO
from .lora import LoRA
from .multi_addift import MultiADDifT

MODES: tuple[Mode, ...] = (LoRA(), ILECO(), Difference(), ADDifT(), MultiADDifT())


def mode_of(name: str) -> Mode:
    """The mode called ``name``, one of the table's."""
    return next(mode for mode in MODES if mode.name == name)
