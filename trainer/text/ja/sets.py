"""Texts about sets of images, in Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "sets.folder": "画像フォルダ",
        "sets.no_such_set": "このセットはもうありません。一覧から選んでください。",
        "sets.no_such_image": "このセットにその画像はもうありません。",
        "sets.no_set_name": "セットには名前が必要です。文字か数字を含む名前を入力してください。",
        "sets.unreadable": "読み込めません（{reason}）。",
        "sets.not_below": "一覧に出るのは、ホームフォルダの中と、開いたことのあるセットの隣のフォルダです。"
        "それ以外はパスを入力してください。",
        "sets.is_busy": "このセットは別のウィンドウまたはプログラムが変更中です。終わってからもう一度試してください。",
        # ---- captions
        "sets.no_tags_given": "対象のタグを入力してください。",
        "sets.no_such_change": "キャプションの変更として使えません。使えるもの: {known}",
        "sets.caption_unreadable": "キャプションは上書きしませんでした: {problem}。",
        "sets.caption_no_text": "キャプションにテキストでない文字があります。取り除いてください。",
        "sets.did_caption": "{name} のキャプション",
        "sets.did_captions": "{count} 件のキャプション",
        "sets.did_add": "{tags} の追加",
        "sets.did_front": "{tags} を先頭へ移動",
        "sets.did_remove": "{tags} の削除",
        "sets.did_replace": "{tags} を「{by}」に置換",
        "sets.did_sort": "タグの並べ替え",
        "sets.did_tidy": "タグの整理",
        "sets.did_import": "キャプションの取り込み",
        "sets.did_come_in": "{names} の取り込み",
        "sets.did_aside": "{names} を取り分け",
        "sets.did_back": "{names} を戻す",
        "sets.did_mask": "{name} のマスク",
        "sets.nothing_to_undo": "元に戻すものはありません。",
        "sets.nothing_to_redo": "やり直すものはありません。",
        # ---- files
        "sets.name_taken": "同じ名前の別のファイルがあります。上書きはしませんでした。",
        "sets.not_moved": "移動できません（{reason}）。",
        "sets.mask_no_image": "読み込めるマスクではありません（{problem}）。",
        "sets.mask_other_size": "マスクは画像と同じ縦横比（{size}）でなければなりません。",
        "sets.no_mask": "この画像にマスクはありません。",
        # ---- what comes in
        "sets.no_zip": "読み込める zip ファイルではありません（{reason}）。",
        "sets.zip_too_many": "この zip には {most} 個を超えるファイルがあります。一部を自分で展開してください。",
        "sets.zip_too_large": "この zip は展開すると {size} GB になります。受け付けるのは {most} GB までです。",
        "sets.zip_no_room": "この zip は展開すると {size} MB になりますが、ディスクの空きは {free} MB です。",
        "sets.zip_bomb": "この zip は受け付けません。ディスクを埋めるための zip のように、"
        "圧縮された大きさの数百倍になるファイルが入っています。",
        "sets.zip_encrypted": "この zip はパスワード付きです。自分で展開して、フォルダをドロップしてください。",
        "sets.is_link": "リンクです",
        "sets.file_too_large": "{most} GB を超えています",
        "sets.broken_in_zip": "展開できません（{reason}）",
        "sets.leads_out": "パスが zip またはフォルダの外を指しています",
        "sets.archive_inside": "これ自体がアーカイブです。展開するか、zip ならそれだけをドロップしてください",
        "sets.no_image": "画像として読めません",
        "sets.no_image_or_caption": "画像でもキャプションでもありません",
        "sets.caption_alone": "対応する画像がありません",
        "sets.caption_waits": "同じ名前の画像を取り込むまで使いません",
        "sets.too_many_files": "一度に {most} 個を超えるファイルは多すぎます。分けてドロップしてください。",
        "sets.no_batch": "このファイルはもう待たれていません。もう一度ドロップしてください。",
        "sets.changed_elsewhere": "キャプションが別のウィンドウやプログラムで変更されました。今の内容を表示します。",
    }
)
