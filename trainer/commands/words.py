"""The language of the command line: the machine's."""

from __future__ import annotations

import unicodedata
from typing import Any

from ..text.language import language_of_machine
from ..text.messages import Message, say


def told(text: str | Message, /, **values: Any) -> str:
    """The text of a key with its values, or a message, in the language of the machine."""
    language = language_of_machine()
    return text.text(language) if isinstance(text, Message) else say(text, language, **values)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: a Japanese letter takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "FW" else 1 for letter in text)


def padded(text: str, width: int) -> str:
    """A text followed by as many spaces as make it ``width`` columns wide."""
    return text + " " * (width - columns(text))
