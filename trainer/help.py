"""Label and help of every setting, in English and Japanese."""

from __future__ import annotations

from . import help_en, help_ja
from .settings import Row, rows

LANGUAGES = ("en", "ja")


def label_of(name: str, language: str = "en") -> str:
    """What the user knows the setting by; in English the JSON key with spaces."""
    if is_japanese(language):
        return help_ja.LABELS[name]
    return _row_of(name).key.replace("_", " ")


def help_of(name: str, language: str = "en") -> str:
    """What the setting does, and when to change it."""
    return (help_ja.HELP if is_japanese(language) else help_en.HELP)[name]


def section_of(section: str, language: str = "en") -> str:
    """A section's heading."""
    return help_ja.SECTIONS[section] if is_japanese(language) else section


def is_japanese(language: str) -> bool:
    """Whether a host's language setting (``ja``, ``ja_JP``, ``ja-JP``) means Japanese; all others read English."""
    return language.replace("-", "_").partition("_")[0].lower() == "ja"


def _row_of(name: str) -> Row:
    return next(row for row in rows() if row.name == name)
