"""LoRAファイル、学習対象、オプティマイザ、スケジュールの文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- errors
    }
)
