"""Names of files and folders that come from elsewhere, made safe for every system they may be copied to."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

from ..paths import is_device

_UNSAFE: Final = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
_MOST_BYTES: Final = 180
"""Of a name, so that something can be appended to it."""
_JUNK: Final = frozenset(
    ("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "system volume information")
)
_MOST_DEEP: Final = 12


def safe_name(name: str) -> str:
    """One name in a path, without what a system may refuse or take for something else; empty if nothing is left."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip().rstrip(". ").lstrip(".")
    stem, ending = os.path.splitext(plain)
    ending = ending if len(ending) <= 12 else ""
    stem = plain[: len(plain) - len(ending)]
    while len(stem.encode("utf-8", "replace")) + len(ending.encode("utf-8", "replace")) > _MOST_BYTES:
        stem = stem[:-1]
    plain = (stem.rstrip(". ") + ending) if stem.strip() else plain
    return f"_{plain}" if plain and is_device(plain) else plain


def safe_parts(name: str) -> tuple[str, ...] | None:
    """A path within an archive or a dropped folder as safe names; None if it leads out of it, or nowhere."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    is_absolute = name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) is not None
    if is_absolute or ".." in parts or not parts or len(parts) > _MOST_DEEP:
        return None
    safe = tuple(safe_name(part) for part in parts)
    return safe if all(safe) else None


def is_junk(name: str) -> bool:
    """Whether a file is one that systems leave beside others: hidden, or known by its name."""
    parts = name.replace("\\", "/").split("/")
    return any(part.casefold() in _JUNK or (part.startswith(".") and part not in (".", "..")) for part in parts if part)
