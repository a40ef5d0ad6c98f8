"""ほかのプログラムの設定に関する文言: それぞれがどうなったか、ここでは何に当たるか。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- the account
        "foreign.account": (
            "{program} の設定です。Trainyardの設定に置き換えました。"
            "ファイルに書かれていないものは、{program} と同じ動作になるように設定しています。"
        ),
        "foreign.place": "{path} ({program})",
        "foreign.taken": "引き継いだもの:",
        "foreign.entry": "  {key} → {settings}",
        "foreign.set": "{setting} {value}",
        "foreign.misspelt": (
            "{key} という設定は {program} にないようです。{near} の間違いかもしれません。このままでは効果がありません。"
        ),
        "foreign.changed": "変更したもの: {key} ({value})。{note}",
        "foreign.without": "Trainyardに相当するものがなく、効果のないもの: {entries}",
        "foreign.idle": "ここでは必要のないもの: {entries}",
        "foreign.all_blocks": "すべて",
        "foreign.all_but": "{block} 以外のすべて",
        "foreign.same_rate": "同じ",
        # ---- what differs
        "foreign.overruled": "{by} の値を使います。",
        "foreign.zero_snr": "モデルのファイルに印 (ztsnr テンソル) がある場合にだけ、自動で行われます。",
        "foreign.rounded": "辺の長さは8の倍数なので、{size} で学習します。",
        "foreign.other_buckets": "バケットは同じ面積で64ピクセル刻みですが、辺の長さの組み合わせは一部異なります。",
        "foreign.one_resolution": (
            "複数のサイズで学習するにはデータセットファイルを使ってください。ない場合は {size} だけになります。"
        ),
        "foreign.loha_tucker": "loha の畳み込み層はTucker分解を使います。このファイルでは使わない設定になっています。",
        "foreign.loha_convolutions": "loha は畳み込み層も学習します。",
        "foreign.lycoris_convolutions": (
            "c3lier が学習する層は同じですが、最初と最後の畳み込み層と、タイムステップの層は含みません。"
        ),
        "foreign.one_trainer_layers": (
            "c3lier はすべてのブロックの層を学習しますが、最初と最後の畳み込み層と、タイムステップの層は含みません。"
        ),
        "foreign.ai_toolkit_layers": "lierla は注意機構の層だけを学習し、残差ブロックの層は学習しません。",
        "foreign.attention_only": "lierla は注意機構のほか、フィードフォワード層も学習します。",
        "foreign.layers": (
            "lierla はすべてのトランスフォーマーブロックの層を学習します。{name} のように層を選ぶことはできません。"
        ),
        "foreign.one_encoder_rate": "テキストエンコーダーの学習率は1つだけです: {rate}",
        "foreign.both_encoders": "テキストエンコーダーは2つとも学習します。片方だけを学習することはできません。",
        "foreign.no_optimizer": "{name} はないため、{near} を使います。必要に応じて選び直してください。",
        "foreign.kindred_optimizer": "{name} はないため、同じ系統の {near} を使います。",
        "foreign.no_schedule": "{name} はないため、最も近い {near} を使います。",
        "foreign.schedule_without": "{name} では {options} を指定できません。",
        "foreign.huber": "{name} の代わりに Smooth-L1 を使います。しきい値はどのタイムステップでも同じです。",
        "foreign.no_weighting": "この重み付け ({name}) はありません。どのタイムステップも同じ重みで扱います。",
        "foreign.one_loss": "損失関数は1種類だけです: {name}",
        "foreign.fixed_snr": "使えるのはMin-SNRの重み付け (min_snr_gamma) だけです。",
        "foreign.block_rates": (
            "中央のブロックは1つとして扱います。曲線の名前で指定された場合、モデルがSDXLだとファイルから分からなければ、"
            "SD1の12ブロックとして計算します。"
        ),
        "foreign.fp8": (
            "重みを8ビット浮動小数点で保持することはできません。"
            "モデルの精度を int8 にすると、同じだけメモリを節約できます。"
        ),
        "foreign.output_folder": (
            "LoRAはWebUIのLoRAフォルダ、または --output-dir で指定したフォルダに、ファイル名だけを使って保存します。"
        ),
        "foreign.safetensors": "LoRAは必ず safetensors で保存します。",
        "foreign.resume": (
            "Trainyardは学習の状態を自動で保存します。「再開」ボタンまたは --resume で続きから学習できます。"
        ),
        "foreign.samples": "プレビューのプロンプトは sample_prompt に書いてください。",
        "foreign.trigger": (
            "この言葉を含まないキャプションの先頭に付きます。キャプションの [trigger] はこの言葉に書き換えてください。"
        ),
        "foreign.own_layer": "SDXLでは、どちらのプログラムでも決まった層を使います。",
        "foreign.by_time": "時間 ({unit}) ではなく、ステップ数かエポック数で指定してください。",
        # ---- errors
        "foreign.no_network": (
            "ネットワークの種類が {name} で、Trainyardでは学習できません。"
            "ファイルで LoRA、LoCon、LoHa のいずれかを選んでください。"
        ),
        "foreign.no_family": (
            "{name} というモデル用の設定です。Trainyardで学習できるのは Stable Diffusion 1・2 と SDXL です。"
        ),
        "foreign.no_training": "{name} 用の設定です。TrainyardはLoRAを学習します。",
        "foreign.no_script": (
            "{name} はTrainyardとは別の学習をするスクリプトです。読み取れるのは {scripts} のコマンドです。"
        ),
        "foreign.no_process": (
            "config の下に process がありません。学習の設定全体が書かれたファイルを選んでください。"
        ),
        "foreign.is_dataset": (
            "データセットファイルの内容です。どの画像を使うかだけが書かれていて、学習方法は書かれていません。"
            "ファイルのパスを dataset_config に指定してください。"
        ),
        "foreign.data_alone": (
            "データセットファイルです。どの画像を使うかが書かれています。"
            "学習方法は、Trainyardの既定値とほかに指定した設定に従います。"
        ),
        "foreign.dataset_beside": (
            "このファイルには画像の場所が書かれていませんが、同じフォルダにデータセット設定ファイルがあります。"
            "それを使うには、dataset_config に {path} を指定してください。"
        ),
        "foreign.no_config_file": (
            "このコマンドは設定を {path} から読み込みますが、そのファイルがありません。"
            "設定ファイルそのものを指定してください。"
        ),
        "foreign.no_command": (
            "--network_dim のようなオプションの付いたコマンドがありません。設定ファイルを選んでください。"
        ),
        "foreign.nobodys": (
            "Trainyard、kohya_ss、sd-scripts、LoRA_Easy_Training_Scripts、OneTrainer、ai-toolkit のどの設定も"
            "含まれていません。別のファイルを選んでください。"
        ),
        # ---- docs/from-other-trainers.md
        "foreign.about_size": "あちらは 幅,高さ、こちらは 高さ,幅 の順です。",
        "foreign.about_buckets": "無効なら、どの画像も指定のサイズに切り抜きます。",
        "foreign.about_prediction": "無効なら、モデルの情報にかかわらず noise になります。",
        "foreign.about_wildcards": "有効ならキャプションの行を毎回選び、無効なら最初の行を使います。",
        "foreign.about_layer": "あちらではSDXLに効果がありません。",
        "foreign.about_network": (
            "networks.lora は lierla (conv_dim があれば c3lier)、lycoris.kohya は c3lier か loha です。"
        ),
        "foreign.about_convolutions": "networks.lora で conv_alpha がなければ、アルファは 1 です。",
        "foreign.about_rate": "個別の学習率がない部分に使います。",
        "foreign.about_encoder_rate": "0 ならテキストエンコーダーを学習しません。",
        "foreign.about_unet_only": "BASE 以外のすべてのブロックです。",
        "foreign.about_encoder_only": "BASE だけです。",
        "foreign.about_epochs": "ステップ数より優先します。",
        "foreign.about_warmup": "1 未満なら全体に対する割合です。",
        "foreign.about_precision": "no は fp32 です。",
        "foreign.about_vae": "無効なら、VAEの精度はモデルと同じです。",
        "foreign.about_save_precision": "float は fp32 です。",
        "foreign.about_masks": "これか alpha_mask が有効なときだけマスクを使います。",
        "foreign.about_options": "名前の違うオプションは置き換えます。",
        "foreign.about_base": "1行に1ファイル、base_weights_multiplier の強さで使います。",
        "foreign.about_prompts": "ファイル、または (kohya_ssでは) プロンプトそのものです。",
        "foreign.about_rates": "ブロックごとの数、または曲線の名前です。",
    }
)
