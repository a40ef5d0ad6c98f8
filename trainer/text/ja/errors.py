"""エラーの組み立てと、ファイルと不具合についての文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "error.at": "{where}: {message}",
        "error.settings": "{problems}。",
        "error.also": "{first}{second}",
        "error.problem": "{problem}。",
        "error.problems": "{first}。{others}",
        # ---- ファイル
        "paths.not_written": "書き込めませんでした({reason})。ディスクの空きを増やすか、書き込めるフォルダを選んで"
        "ください。",
        "paths.no_free_name": "同じような名前がすべて使われています。別の名前にしてください。",
        "paths.control_character": "改行などの制御文字が入っています。パスを1つだけ書いてください",
        "paths.too_long": "パスとして長すぎます({count} 文字、{start})。短くしてください",
        "paths.device_name": "Windowsではデバイスの名前です({name})。別の名前にしてください",
        "paths.no_home": "いないユーザーのホームフォルダを指しています({name})。パスを最後まで書いてください",
        "paths.is_pipe": "ファイルではなくパイプです",
        "paths.is_socket": "ファイルではなくソケットです",
        "paths.is_device": "ファイルではなくデバイスです",
        # ---- 不具合
        "paths.bug": "予期しない問題が起きました({kind}: {error})。次のファイルを添えて報告してください: {file}",
    }
)
