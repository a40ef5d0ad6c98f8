"""The tables of docs/presets.md, made from the shipped presets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..paths import CHECKOUT, SHIPPED_PRESETS, TRAINYARD_PRESETS
from ..text.messages import say
from .choices import BLOCKS
from .documents import read_text
from .made_page import rewrite_below
from .presets import list_presets
from .settings import SECOND_PASS_KEY

PAGE: Final = CHECKOUT / "docs" / "presets.md"
_BEGIN: Final = "<!-- made from presets/ by: python -m trainer presets -->\n"
_NOT_SHOWN: Final = ("mode", "vae", "save_lora_name", "save_as_json", "train_seed")
"""What TrainTrain's files hold beside how to train."""


def rewrite(page: Path = PAGE) -> bool:
    """Write the tables anew, below what is written by hand; whether anything has changed."""
    return rewrite_below(_BEGIN, tables(), page)


def tables() -> str:
    """A table of ours, and one of TrainTrain's."""
    return _table("What ours set", TRAINYARD_PRESETS) + _table("What TrainTrain's set", SHIPPED_PRESETS)


def _table(title: str, folder: Path) -> str:
    rows = [_row(name, folder) for name in list_presets([folder])]
    head = ["| preset | mode | what it is for | what it sets |", "| --- | --- | --- | --- |"]
    return "\n".join([f"\n## {title}\n", *head, *rows]) + "\n"


def _row(name: str, folder: Path) -> str:
    written = json.loads(read_text(folder / f"{name}.json"))
    told = ", ".join(_told(written)) or "nothing: the defaults"
    return f"| `{name}` | {written['mode']} | {say(f'preset_is.{name}', 'en')} | {told} |"


def _told(written: Mapping[str, Any]) -> Iterator[str]:
    for key, value in written.items():
        if key == SECOND_PASS_KEY:
            yield f"in the second pass {', '.join(_told(value))}"
        elif isinstance(value, list):
            yield f"{len(value)} of the {len(BLOCKS)} blocks"
        elif key not in _NOT_SHOWN:
            yield f"`{key}` {json.dumps(value, ensure_ascii=False).strip(chr(34))}"
