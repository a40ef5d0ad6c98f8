"""ページの裏側の文言。ページに表示される文言はpage.pyにあります。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- 使ってよい人
        "web.this_machine_only": "Trainyardはこのマシンからの要求だけに応えます。ほかのマシンからも使うには --listen を"
        "付けて起動してください。",
        "web.wrong_token": "ヘッダー {header} がページのものと違います。ページを再読み込みしてください。",
        "web.log_in_first": "先にWebUIのページでログインしてください。",
        "web.api_auth_needed": "--api-auth の名前とパスワードが必要です。",
        "web.foreign_name": "「{name}」はTrainyardの名前ではありません。このマシンの名前であれば、{option} に続けて"
        "その名前を付けて起動してください。",
        "web.foreign_page": "Trainyardは自分のページからの要求だけに応えます({page}には応えません)。",
        "web.another_site": "ほかのサイトのページ",
        "web.password_needed": "Trainyardの起動時に決めた名前とパスワードが必要です。",
        "web.not_an_account": "名前とパスワードをコロンで区切って指定してください。",
        "web.body_too_large": "{most} MBを超えるデータは受け取りません。",
        # ---- 頼まれたもの
        "web.no_settings": "設定のオブジェクトではありません。設定ファイルと同じ形で送ってください。",
        "web.wrong_request": "リクエストの形が正しくありません({reason})。",
        "web.unknown_keys": "この項目はありません。使えるのは {known} です。",
        "web.wrong_statuses": "次の値の並びにしてください: {statuses}。",
        "web.no_such_preset": "そのプリセットはありません。一覧から選んでください。",
        "web.no_such_setting": "その設定はありません。設定の一覧を確かめてください。",
        "web.no_such_card": "は選べる GPU ではありません。{cards} のどれかを指定してください。",
        "web.preset_is_shipped": "Trainyardに付属するプリセットなので変更できません。別の名前を書いてください。",
        "web.preset_saved_over": "その名前のプリセットはもうあります。もう一度「保存」を押すと置き換えます。"
        "元のものは replaced フォルダに残ります。",
        "web.no_preset_chosen": "空欄です。プリセットを選ぶか、ファイルのパスを書いてください。",
        "web.dataset_kept": "{name} をデータセット設定ファイルとして {path} に保存しました。",
        "web.paths_relative": "{name} のパスは相対パスです。ブラウザーは元のフォルダを伝えないため、プログラムを"
        "実行している {here} と {beside} から探します。ほかの場所にある場合は、完全なパスを書いてください。",
        "web.no_page_of_guide": "説明書にそのページはありません。",
        "web.no_image_of_run": "最後の学習にその画像はありません。",
        "web.no_image_of_data": "確認したデータにその画像はありません。",
        "web.no_folder_in_mode": "画像フォルダを使わないモードです。使うのは次のモードです: {modes}。",
        "web.no_preview": "データをまだ確認していません。先に「{button}」を押してください。",
        "web.file_too_large": "画像が大きすぎます。{most} MBまでにしてください。",
        "web.variations_running": "ほかの画像を書き出しています。終わるまで待つか、中止してください。",
        # ---- ページで作る画像
        "web.images_running": "ほかの画像を生成しています。終わるまで待つか、中止してください。",
        "web.image_gone": "その画像はもうありません。",
        "web.step_gone": "このステップのLoRAはもうありません。途中のステップのLoRAは1週間、容量に余裕がある間だけ"
        "残ります。",
        "web.no_lora_chosen": "空欄です。LoRAを選んでください。",
        "web.no_such_lora": "フォルダにそのLoRAはありません。",
        "web.no_such_order": "その並び順はありません。使えるのは {orders} です。",
        "web.not_two_loras": "2つのLoRAの名前のリストにしてください。",
        "web.not_whole": "整数を書いてください({value} は使えません)。",
        "web.not_in_range": "{least} から {most} の数を書いてください({value} は使えません)。",
        "web.too_many_images": "一度に {count} 枚は作れません。{most} 枚までにしてください。",
        # ---- グラフ
        "web.no_runs": "学習の記録がまだありません。先にLoRAを学習してください。",
        "web.no_such_run": "その学習の記録はありません。一覧を更新してください。",
        "web.too_many_runs": "{count} 件は1つのグラフに多すぎます。{most} 件までにしてください。",
        # ---- サーバー
        "web.served_here": "Trainyardを {address} で開けます(このマシンからだけ)。Ctrl-Cで終了します。",
        "web.served_to_all": "Trainyardを {address} と、このマシンのすべてのアドレスで開けます。Ctrl-Cで終了します。",
        "web.what_is_open": "パスワードを知っている人は、ほかのマシンからすべての機能を使えます"
        "(通信は暗号化されません)。学習の実行、キューの変更、画像・キャプション・プロンプト・設定(JSON)の閲覧、このマシンが読み取れる"
        "すべての画像フォルダーの閲覧、任意のフォルダーへのバリエーションの書き込みができます。",
        "web.password_drawn": "名前: {user}  パスワード: {password}  (起動するたびに変わります。--auth で自分のものに"
        "できます)",
        "web.ending": "Trainyardを終了します。実行中の学習は、終了前に10秒以内で保存します。",
        "web.server_ends": "サーバーを終了しています。",
        "web.port_taken": "ポート {port} を使えません({reason})。別の番号にするか、使っているプログラムを終了して"
        "ください。",
        # ---- WebUIの中
        "web.no_routes": "Trainyardの機能を登録できませんでした: {error}",
        "web.packages_missing": "Trainyardに必要なパッケージがありません",
        "web.packages_missing_help": "WebUIの起動時に自動で入りますが、失敗しました。理由はコンソールに出ています。"
        "次のコマンドで入れてから、WebUIを起動し直してください:",
        "web.not_loaded": "Trainyardを読み込めませんでした",
        "web.not_loaded_help": "詳しくはコンソールに出ています。Reload UIでもう一度試せます。",
        "option.language": "タブの言語",
        "option_help.language": "空欄ならこのWebUIと同じ。Reload UIの後に反映されます",
        "option.lora_folder": "学習したLoRAのフォルダ",
        "option_help.lora_folder": "空欄ならこのWebUIがLoRAを探す場所。ほかの場所に置くとWebUIからは見えません",
        "option.data_folder": "記録、キュー、プリセットのフォルダ",
        "option_help.data_folder": "空欄ならこのWebUIのデータフォルダの中のtrainyard。再起動の後に反映されます",
        "option.training_first": "画像の生成より学習を優先",
        "option_help.training_first": "有効にすると、画像の生成は学習が終わるまで待ちます。無効なら次のステップまで"
        "だけ待ちます",
        "option.continue_runs": "再起動後に中断した学習を続ける",
        "option_help.continue_runs": "このWebUIの終了で中断した学習を、次の起動時に自動で続きから再開します",
        "option.preset": "最初にフォームに入れるプリセット",
        "option_help.preset": "Reload UIの後に反映されます",
    }
)
