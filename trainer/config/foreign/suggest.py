"""What somebody means who writes another program's key, or one of ours with a slip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..settings import ROWS
from ..values import closest
from .ai_toolkit import AI_TOOLKIT
from .one_trainer import ONE_TRAINER
from .sd_scripts import KOHYA_GUI, LORA_EASY, SD_SCRIPTS
from .synonyms import Program

_TABLES: Final = (SD_SCRIPTS, KOHYA_GUI, LORA_EASY, ONE_TRAINER, AI_TOOLKIT)


def meant_by(word: str, known: Iterable[str] = ()) -> str:
    """The setting that a key stands for, by its short name; empty if none does.

    Args:
        word: as it was written, with or without dashes in front, with ``-`` or ``_``.
        known: what else it may be meant to be, given back as it is here.
    """
    plain = word.lstrip("-").replace("-", "_").casefold()
    names = {row.name for row in ROWS}
    for program in _TABLES:
        for keys, settings in _keys_of(program):
            if plain in keys:
                return next((name for name in settings if name in names), "")
    return closest(word, [*known, *sorted(names), *(row.key for row in ROWS)])  # a key may have more in brackets


def _keys_of(program: Program) -> Iterator[tuple[set[str], tuple[str, ...]]]:
    for row in program.rows:
        own = program.shown(row.key)
        yield {each.casefold() for each in (row.key, own, own.replace(".", "_"), own.rpartition(".")[2])}, row.settings
