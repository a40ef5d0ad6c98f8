"""The tables of docs/from-other-trainers.md, made from the tables of synonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...paths import CHECKOUT
from ...text.messages import say
from ..made_page import rewrite_below
from .convert import PROGRAMS
from .sd_scripts import KOHYA_GUI, LORA_EASY, SD_SCRIPTS
from .synonyms import Program, Synonym

PAGE: Final = CHECKOUT / "docs" / "from-other-trainers.md"
_BEGIN: Final = "<!-- made from trainer/config/foreign by: python -m trainer presets -->\n"


def rewrite(page: Path = PAGE) -> bool:
    """Write the tables anew, below what is written by hand; whether anything has changed."""
    return rewrite_below(_BEGIN, tables(), page)


def tables() -> str:
    """A section a program; those that share sd-scripts' table have only what they call otherwise."""
    own = [program for program in PROGRAMS if program not in (SD_SCRIPTS, KOHYA_GUI, LORA_EASY)]
    sections = [
        _section(SD_SCRIPTS),
        *(_section(each, SD_SCRIPTS) for each in (KOHYA_GUI, LORA_EASY)),
        *map(_section, own),
    ]
    return "".join(sections)


def _section(program: Program, like: Program | None = None) -> str:
    """A program's table.

    Args:
        like: another program whose keys it has as well, and which has been shown.
    """
    shown = set() if like is None else {(row.key, row.key) for row in like.rows}
    rows = [(program.shown(row.key), row) for row in program.rows if row.key not in program.unseen]
    rows = [(key, row) for key, row in rows if (key, row.key) not in shown]
    missing = [key for key, row in rows if not row.is_idle and not row.settings and not row.note]
    idle = [key for key, row in rows if row.is_idle]
    told: dict[str, list[str]] = {}
    for key, row in rows:
        if not row.settings and row.note:
            told.setdefault(row.note, []).append(key)
    text = f"\n## {program.name}\n\n"
    if like is not None:
        text += f"The keys of {like.name}, and under names of its own:\n\n"
    lines = [_line(key, row) for key, row in rows if row.settings]
    text += "\n".join([f"| {program.name} | Trainyard | left out | |", "| --- | --- | --- | --- |", *lines]) + "\n"
    if told:
        text += "\n" + "\n".join(f"- {_listed(keys)}: {say(note)}" for note, keys in told.items()) + "\n"
    for title, keys in (("Without a counterpart", missing), ("Not needed here", idle)):
        if keys:
            text += f"\n{title}: {_listed(keys)}.\n"
    return text


def _listed(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _line(key: str, row: Synonym) -> str:
    left_out = "" if row.default is None or row.default == "" else _written(row.default)
    about = " ".join(say(each) for each in (row.about, row.note) if each)
    return f"| `{key}` | {_listed(list(row.settings))} | {left_out} | {about} |"


def _written(value: object) -> str:
    return {"True": "on", "False": "off"}.get(str(value), f"`{value}`")
