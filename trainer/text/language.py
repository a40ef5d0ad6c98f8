"""The language of the reader."""

from __future__ import annotations

import os

LANGUAGES = ("en", "ja")


def is_japanese(language: str) -> bool:
    """Whether a host's language setting (``ja``, ``ja_JP``, ``ja-JP``) means Japanese; all others read English."""
    return language.replace("-", "_").partition("_")[0].lower() == "ja"


def language_of_machine() -> str:
    """The language of the environment: ``ja`` or ``en``."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "ja" if is_japanese(os.environ[name]) else "en"
    return "en"
