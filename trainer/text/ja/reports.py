"""損失のログとグラフの文。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "reports.log_not_written": "ログを書けません({reason})。空きを作るか、別のデータフォルダを選んでください。",
        "reports.unreadable": "読めません({reason})。",
        "reports.no_text": "損失のログではありません(テキストではありません)。logsフォルダのCSVを選んでください。",
        "reports.no_log": (
            "損失のログではありません(「Step,Loss,…」の行がありません)。logsフォルダのCSVを選んでください。"
        ),
        "reports.too_large": "損失のログとしては大きすぎます({most} MB超)。logsフォルダのCSVを選んでください。",
        "reports.too_many_rows": "行数が {most:,} を超えるため読み込めません。ほかのログを選んでください。",
        "reports.nothing_to_draw": "描くものがありません。損失、学習率、またはその両方を選んでください。",
    }
)
