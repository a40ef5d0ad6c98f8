"""ホスト(単体起動とWebUI)の文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- 選んだモデル
        "hosts.model": "{name}({kind})",
        "hosts.model_with_vae": "{name}({kind})、VAEは {vae}",
        "hosts.models_in_folder": "学習に使うモデルです。フォルダ {folder} にあるものか、ほかのファイルのパスを"
        "指定します。",
        "hosts.models_of_webui": "空欄なら、いま読み込まれているモデルをメモリ上のまま使います。ほかのモデルは"
        "ファイルから読みます(読み込み済みのモデルはそのまま残ります)。",
        "hosts.no_model": (
            "モデルが選ばれていません。一覧から選ぶか、ファイルのパスを指定してください。"
            "モデルは {folder} から探します。"
        ),
        "hosts.no_model_there": (
            "モデルが選ばれておらず、{folder} にもモデルがありません。"
            "そこにチェックポイント(.safetensors)を置くか、ファイルのパスを指定してください。"
        ),
        "hosts.no_model_but_toy": (
            "モデルが選ばれておらず、{folder} にもモデルがありません。"
            "そこにチェックポイント(.safetensors)を置くか、ファイルのパスを指定してください。"
            "まず試すだけなら {toy} を指定できます。64ピクセルの色つき図形だけを描く、ごく小さなモデルです。"
        ),
        "hosts.no_file": "{name} というファイルはありません。フルパスで指定するか、{folder} に入れてください。",
        "hosts.not_in_list": "{name} というファイルはありません。一覧から選ぶか、{folder} に入れてください。",
        "hosts.no_checkpoint": "WebUIにチェックポイントがありません。モデルのフォルダに入れてください。",
        "hosts.checkpoint_not_loaded": "WebUIがチェックポイントを読み込めませんでした。理由はWebUIの"
        "コンソールに出ています。",
        # ---- 学習中
        "hosts.phase": "Trainyard: {phase}",
        "hosts.progress": "Trainyard: {phase} {done} / {total}",
        "hosts.other_model_loaded": "WebUIが別のモデルを読み込みました。学習は {name} をファイルから読んで続けます"
        "(両方がメモリにあります)。",
        "hosts.read_from_file": "{name} はファイルから読み込みます({reason})。",
        "hosts.other_prediction": (
            "{file} は学習できません。WebUIでの扱いによれば、予測するものが「{what}」です。ノイズ、速度、フローの"
            "どれかを予測するチェックポイントを選んでください。"
        ),
        # ---- メモリ上のモデルを学習に使えない理由(hosts.read_from_fileに入ります)
        "hosts.model_is_split": "WebUIがモデルを分割して移動させているため: --medvram か --lowvram",
        "hosts.other_unet": "WebUIが設定のSD Unetで別のU-Netを使っているため",
        "hosts.model_kept_in": "WebUIが {types} で保持しているため",
        "hosts.model_on_several_devices": "WebUIが複数のデバイスに分けて保持しているため",
        "hosts.model_partly_on_device": "WebUIのデバイスに一部しか載らないため",
        "hosts.model_is_quantised": "WebUIが量子化して保持しているため",
        "hosts.kept_otherwise": "int8・nf4・ストリーミングではWebUIの重みとは別のメモリを使うため、WebUIのモデルは退避",
        "hosts.modules_unused": "{reason}。使わないファイル: {files}",
        # ---- 画像
        "hosts.images_too_large": "この大きさの画像にはメモリが足りません。小さくしてください。",
        "hosts.training_has_device": "LoRAの学習中は画像を生成できません。一時停止するか、終わるまで待ってください。",
        "hosts.lora_not_copied": "LoRAを {folder} に置けませんでした({reason})。ディスクの空きを増やすか、"
        "書き込めるフォルダを選んでください。",
        "hosts.image_failed": "WebUIが画像を生成できませんでした({reason})。詳しくはWebUIのコンソールに出ています。",
        "hosts.image_interrupted": "画像の生成が中断されました。もう一度お試しください。",
    }
)
