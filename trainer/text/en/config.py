"""Texts of settings and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- errors
        "error.at": "{where}: {message}",
        "error.settings": "Some settings are wrong.",
    }
)
