"""エラーの組み立てと、ファイルと不具合についての文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "error.at": "{where}: {message}",
        "error.settings": "{problems}。",
        "error.problem": "{problem}。",
        "error.problems": "{first}。{others}",
        # ---- ファイル
        "paths.not_written": "書き込めませんでした({reason})。ディスクの空きを増やすか、書き込めるフォルダを選んで"
        "ください。",
        "paths.no_free_name": "同じような名前がすべて使われています。別の名前にしてください。",
        "paths.is_pipe": "ファイルではなくパイプです",
        "paths.is_socket": "ファイルではなくソケットです",
        "paths.is_device": "ファイルではなくデバイスです",
        # ---- 不具合
        "paths.bug": "予期しない問題が起きました({kind}: {error})。次のファイルを添えて報告してください: {file}",
    }
)
