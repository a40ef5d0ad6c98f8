"""How wide a text is in a terminal."""

from __future__ import annotations

import unicodedata


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: a Japanese letter takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "FW" else 1 for letter in text)


def padded(text: str, width: int) -> str:
    """A text followed by as many spaces as make it ``width`` columns wide."""
    return text + " " * (width - columns(text))
