"""What stands in captions that other programs, or another setting, would read as more than text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...config.settings import Settings
from ...text.messages import label

_KINDS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "weights": re.compile(
            r"\([^()\n]{1,200}:\s?[+-]?\d{0,3}\.?\d{1,4}\s?\)|\(\([^()\n]+\)\)|(?<!\\)\[[^\[\]\n]+\]"
        ),
        "escapes": re.compile(r"\\[()\[\]]"),
        "wildcards": re.compile(r"\{[^{}\n]{0,200}\|[^{}\n]{0,200}\}"),
        "networks": re.compile(r"<(?:lora|lyco|hypernet):[^<>\n]+>"),
        "files": re.compile(r"(?<!\w)__[\w/ .*-]{0,60}\w__(?!\w)"),
        "separator": re.compile(r"\|\|\|"),
    }
)
_MOST = 10_000
"""Characters that are looked at."""
_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "weights": "caption_weights",
        "escapes": "caption_weights",
        "wildcards": "caption_wildcards",
        "separator": "caption_keep_tokens_separator",
    }
)
"""The setting that gives it its meaning."""


def syntax_in(caption: str, settings: Settings) -> set[str]:
    """The kinds that a caption has and that the settings leave as text."""
    found = {kind for kind, pattern in _KINDS.items() if pattern.search(caption[:_MOST])}
    on = {kind for kind, name in _SETTINGS.items() if getattr(settings, name)}
    return found - on


def setting_of_syntax(kind: str) -> dict[str, Any]:
    """The setting that a text about the kind names."""
    return {"setting": label(_SETTINGS[kind])} if kind in _SETTINGS else {}
