"""Label, help, other names and section of every setting, in English and Japanese."""

from __future__ import annotations

from ..text.en import settings as settings_en
from ..text.ja import settings as settings_ja
from ..text.language import is_japanese
from ..text.messages import say


def label_of(name: str, language: str = "en") -> str:
    """What the user knows the setting by; in English the JSON key with spaces, spelt as it should be."""
    return say(f"label.{name}", language)


def help_of(name: str, language: str = "en") -> str:
    """What the setting does, and when to change it."""
    return say(f"help.{name}", language)


def also_of(name: str, language: str = "en") -> list[str]:
    """What else people call the setting: what they may look for."""
    return say(f"also.{name}", language).split(", ") if name in settings_en.ALSO else []


def section_of(section: str, language: str = "en") -> str:
    """A section's heading."""
    return settings_ja.SECTIONS[section] if is_japanese(language) else section
