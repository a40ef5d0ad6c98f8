"""The modes that are built, in the order shown."""

from __future__ import annotations

from ..errors import NotBuiltError
from ..settings import MODES as ALL_MODES
from .addift import ADDifT
from .base import Mode
from .difference import Difference
from .ileco import ILECO
from .lora import LoRA
from .multi_addift import MultiADDifT

MODES: tuple[Mode, ...] = (LoRA(), ILECO(), Difference(), ADDifT(), MultiADDifT())


def mode_of(name: str) -> Mode:
    """The mode called ``name``.

    Raises:
        NotBuiltError: it is one of the table's, but not built yet.
    """
    for mode in MODES:
        if mode.name == name:
            return mode
    assert name in ALL_MODES
    built = ", ".join(mode.name for mode in MODES)
    raise NotBuiltError(f"{name} is not built yet", where="mode", do=f"Choose one of: {built}")
