"""ギャラリー、学習中の画像、学習前の一行、終了時の知らせの文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- 一覧
        "tab.gallery": "ギャラリー",
        "gallery.search": "検索",
        "gallery.search_help": "名前、トリガーワード、モード、モデル、説明から探します",
        "gallery.order": "並び順",
        "gallery.by_newest": "新しい順",
        "gallery.by_oldest": "古い順",
        "gallery.by_name": "名前順",
        "gallery.by_largest": "大きい順",
        "gallery.by_base": "モデル別",
        "gallery.by_mode": "モード別",
        "gallery.count": "LoRA {count:個|個}",
        "gallery.left": "LoRA {count:個|個}(あと{left}個を読み込み中)",
        "gallery.looking": "LoRAを読み込んでいます…",
        "gallery.none": "フォルダにはまだLoRAがありません。学習するとここに表示されます。",
        "gallery.none_found": "これらの語をすべて含むLoRAはありません。",
        "gallery.rank": "ランク{rank}",
        "gallery.steps": "{steps}ステップ",
        "gallery.no_picture": "画像なし",
        # ---- 1つのLoRAでできること
        "gallery.try": "試す",
        "gallery.copy": "タグをコピー",
        "gallery.copy_help": "{tag} をコピーします",
        "gallery.copied": "コピーしました",
        "gallery.compare": "比較",
        "gallery.more": "詳細",
        "gallery.more_of": "{name} の詳細",
        "gallery.download": "ダウンロード",
        "gallery.train_on": "続きを学習",
        "gallery.show_settings": "設定を表示",
        "gallery.close": "閉じる",
        "gallery.strip": "「{prompt}」、強度 −1、0、+1",
        "gallery.film": "学習中の画像",
        "gallery.about": "ファイルに書かれている内容",
        "gallery.title": "タイトル",
        "gallery.trigger": "トリガーワード",
        "gallery.description": "説明",
        "gallery.save": "保存",
        "gallery.undo": "直前の変更を取り消す",
        "gallery.saved": "保存しました。ファイルのテンソルは元のままです。",
        "gallery.undone": "ファイルを変更前に戻しました。",
        "gallery.metadata": "すべてのメタデータ: {count:件|件}",
        "gallery.card": "横にあるカード: {count:件|件}",
        # ---- 2つの比較
        "gallery.compare_one": "{name}: 比べる相手のLoRAを選んでください。",
        "gallery.compare_two": "{one} と {other} の比較",
        "gallery.compare_draw": "両方を描く",
        "gallery.compare_end": "比較を終える",
        # ---- 学習中の画像
        "film.close": "閉じる",
        "film.back": "前へ",
        "film.on": "次へ",
        "film.draw": "強度 −1 … +1 で描く",
        "film.keep": "このステップを残す",
        "film.kept_before": "このステップは {name} として保存済みです。ギャラリーに、ほかのLoRAと並んでいます。",
        "film.kept": "{name} として保存しました。ギャラリーに、ほかのLoRAと並んで出ます。",
        "film.gone": "このステップのLoRAはありません。自動で作られた画像のLoRAは1週間、合計4GBまで残ります。",
        "film.strength": "強度",
        "film.at_strength": "強度 {strength} のLoRA",
        # ---- 学習前の一行
        "before.seconds": "約{count}秒(これまでの学習から)",
        "before.minutes": "約{count}分(これまでの学習から)",
        "before.hours": "約{count}時間(これまでの学習から)",
        "before.days": "約{count}日(これまでの学習から)",
        "before.size": "ファイルサイズ {size} MB",
        "before.more": "ほかに{count:件|件}あります。「データを見る」で確認できます。",
        # ---- 終了時
        "end.running": "{percent}% {name}",
        "end.starting": "準備中 {name}",
        "end.paused": "一時停止 {name}",
        "end.done": "✓完了 {name}",
        "end.failed": "✗失敗 {name}",
        "end.stopped": "■中止 {name}",
        "end.notify": "学習が終わったら通知する",
        "end.refused": "このブラウザーでは通知が許可されていません。ブラウザーの設定で許可してください。",
        "end.no_notice": "このページでは通知を使えません。httpsか、このパソコン自身で開く必要があります。",
        "end.is_done": "完了: {name}",
        "end.is_failed": "失敗: {name}",
        "end.is_stopped": "中止: {name}",
        "end.next": "キューの次の学習を始めました。",
        "end.all": "これで最後です。{count}件のうち{done}件が完了しました。",
        # ---- フォームへ
        "run.settings_of": "{name} の設定をフォームに入れました。新しいLoRAとして学習できます。",
        "run.trains_on": "次のLoRAは {name} の設定で、その続きから学習します。",
        "run.trains_on_other": "次のLoRAは {name} の続きから、モード「{mode}」で学習します。{name} には"
        "続きの学習に使える設定がないため、フォームの設定を使います。",
    }
)
