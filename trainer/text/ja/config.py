"""設定とその確認の文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- errors
        "error.at": "{where}: {message}",
        "error.settings": "設定に誤りがあります。",
    }
)
