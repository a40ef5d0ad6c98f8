"""キューとそのファイルの文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- キューのファイル
        "jobs.database_in_use": "ほかのプログラムが使っています。少し待ってからもう一度お試しください。",
        "jobs.database_damaged": "壊れています({reason})。プログラムを起動し直すと、このファイルは別の名前で残り、"
        "新しいファイルが作られます。",
        "jobs.database_unusable": "読み書きできません({reason})。ディスクの空きを増やすか、書き込めるデータフォルダを"
        "選んでください。",
        "jobs.database_replaced": "{path} が壊れていたため、新しく作りました。元のファイルは {kept} に残してあります。",
        "jobs.database_restored": "{path} が壊れていました。読み取れた{count}件のジョブは、すべてキューに戻して"
        "あります。元のファイルは {kept} に残してあります。",
        "jobs.database_restored_in_part": "{path} が壊れていました。読み取れた{count}件のジョブはキューに戻して"
        "あります。失われたジョブ: {lost}。元のファイルは {kept} に残してあります。",
        "jobs.database_not_renamed": "壊れていますが、名前を変えられません({reason})。手動で別の場所に移してください。",
        "jobs.database_is_newer": "より新しいTrainyardで作られています。Trainyardを更新してください(ファイルは"
        "変更していません)。",
        "jobs.folder_not_created": "作成できません({reason})。別のデータフォルダを選んでください。",
        "jobs.lease_not_written": "書き込めません({reason})。別のデータフォルダを選んでください。",
        # ---- ジョブにできないこと
        "jobs.no_such_job": "そのジョブはもうキューにありません。一覧を確かめてください。",
        "jobs.settings_unusable": "このジョブの設定はもう使えません。ジョブを削除してください。問題: {reason}",
        "jobs.cannot_edit": "状態が「{status}」のため編集できません。複製して、そちらを編集してください。",
        "jobs.cannot_run_again": "状態が「{status}」のため実行できません。もう一度学習するには複製してください。",
        "jobs.cannot_continue": "{status}です。続きから再開できるのは、失敗・中止・中断したジョブだけです。",
        "jobs.nothing_to_continue": "再開するための途中経過がありません。最初から学習し直してください。",
        "jobs.cannot_delete": "学習中のため削除できません。先に中止してください。",
        "jobs.cannot_move": "状態が「{status}」のため移動できません。移動できるのは待機中のジョブだけです。",
        "jobs.name_of_job": "{name} は{status}のジョブの名前です。別の名前にするか、空にして自動の名前を使って"
        "ください。",
        "jobs.file_exists": "{name} はもうあります。別の名前にするか、空にして自動の名前を使うか、"
        "「{overwrite}」を有効にしてください。",
        "jobs.queue_is_closed": "キューは終了しています。プログラムを起動し直してください。",
        # ---- ジョブの終わり方
        "jobs.stopped_and_saved": "ステップ {step} / {steps} で中止し、保存しました。",
        "jobs.stopped": "ステップ {step} / {steps} で中止しました。保存していません。",
        "jobs.program_closed_and_saved": "ステップ {step} / {steps} でプログラムが終了しました。それまでの学習結果は"
        "保存してあります。",
        "jobs.program_closed": "ステップ {step} / {steps} でプログラムが終了しました。自動では再開しません。",
        "jobs.program_ended": "学習中にプログラムが終了しました。自動では再開しません。",
        # ---- 学習中
        "jobs.output_gone": "端末が閉じられたため、進み具合の表示を止めました({reason})。",
        "jobs.step_not_written": "キューには進み具合が表示されなくなりました: {error}",
    }
)
