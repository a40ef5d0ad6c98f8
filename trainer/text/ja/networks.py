"""LoRAファイル、学習対象、オプティマイザ、スケジュールの文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- LoRA files
        "networks.no_settings": (
            "設定が入っていません(Trainyardで学習したLoRAではありません)。プリセットか .json ファイルを選んでください。"
        ),
    }
)
