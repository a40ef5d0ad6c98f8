"""チェックポイント、VAE、テキストエンコーダーの文言。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- what a file is
        "models.kind_sd1": "SD1のチェックポイント",
        "models.kind_sd1_inpainting": "SD1のインペイント用チェックポイント",
        "models.kind_sd2": "SD2のチェックポイント",
        "models.kind_sd2_inpainting": "SD2のインペイント用チェックポイント",
        "models.kind_sd2_depth": "SD2の深度用チェックポイント",
        "models.kind_sd2_unclip": "SD2のunCLIPチェックポイント",
        "models.kind_sd2_upscaler": "SD2のアップスケーラー",
        "models.kind_sdxl": "SDXLのチェックポイント",
        "models.kind_sdxl_inpainting": "SDXLのインペイント用チェックポイント",
        "models.kind_sdxl_refiner": "SDXLのリファイナー",
        "models.kind_sdxl_edm": "EDM方式のSDXLチェックポイント (Playground 2.5、CosXL)",
        "models.kind_checkpoint": "{family} のチェックポイント",
        "models.kind_lora": "LoRA ({count}モジュール)",
        "models.kind_loha": "LoHa ({count}モジュール)",
        "models.kind_lokr": "LoKr ({count}モジュール)",
        "models.kind_oft": "OFT ({count}モジュール)",
        "models.kind_ia3": "IA³ ({count}モジュール)",
        "models.kind_glora": "GLoRA ({count}モジュール)",
        "models.kind_full": "全差分 (LyCORISのfull、{count}モジュール)",
        "models.kind_dora": "DoRA ({count}モジュール)",
        "models.kind_for_family": "{family} 用の{kind}",
        "models.kind_controlnet": "ControlNet",
        "models.kind_embedding": "Textual Inversionの埋め込み",
        "models.kind_vae": "VAE",
        "models.kind_vae_of": "{family} のVAE",
        "models.kind_text_encoder": "テキストエンコーダー {name}",
        "models.kind_quantised": "{kind}、{format}で量子化",
        "models.kind_ip_adapter": "IP-Adapter",
        "models.kind_clip": "CLIPテキストエンコーダー",
        "models.kind_clip_vision": "CLIP画像エンコーダ",
        "models.kind_t5": "T5テキストエンコーダー",
        "models.kind_language_model": "言語モデル",
        "models.kind_upscaler": "アップスケーラー",
        "models.kind_unknown": "Trainyardが知らない種類のモデル",
        "models.kind_unet_of": "U-Netだけのファイル ({kind})",
        # ---- the parts of a model
        "models.part_denoiser": "デノイザ",
        "models.part_unet": "U-Net",
        "models.part_vae": "VAE",
        "models.part_text_encoder": "テキストエンコーダー",
        "models.part_text_encoder_2": "2つ目のテキストエンコーダー",
        "models.part_of": "{file} の{part}",
        "models.weight_of": "{part}の {weight}",
        # ---- files that cannot be read
        "models.no_file": "{folder} に {file} というファイルがありません。あるものを選んでください。",
        "models.unreadable": "{file} を読めません ({reason})。別のコピーを選んでください。",
        "models.empty": "{file} は空です (0バイト)。ダウンロードまたはコピーをやり直してください。",
        "models.gguf": "{file} はGGUFファイルで、その重みでは学習できません。.safetensors ファイルを選んでください。",
        "models.web_page": "{file} はモデルではなくWebページです。ダウンロードに失敗しています。やり直してください。",
        "models.lfs_pointer": (
            "{file} はモデル本体ではなくGit LFSのポインタです。git lfs pull で本体を取得してください。"
        ),
        "models.text_file": (
            "{file} はモデルではなくテキストです。.safetensors か .ckpt のチェックポイントを選んでください。"
        ),
        "models.not_a_model": (
            "{file} はモデルのファイルではありません。.safetensors か .ckpt のチェックポイントを選んでください。"
        ),
        "models.zip": "{file} はモデルではなくzip書庫です。展開して、中のモデルを選んでください。",
        "models.cut_short": (
            "{file} は途中で切れています (少なくとも {wanted:,} バイトのはずが {size:,} バイト)。"
            "ダウンロードまたはコピーをやり直してください。"
        ),
        "models.damaged": "{file} は途中で切れているか壊れています。ダウンロードまたはコピーをやり直してください。",
        "models.damaged_size": (
            "{file} は壊れています ({tensor} の大きさが合いません)。ダウンロードまたはコピーをやり直してください。"
        ),
        "models.damaged_tensor": (
            "{file} は途中で切れているか壊れています (ファイルの外を指すテンソルがあります)。"
            "ダウンロードまたはコピーをやり直してください。"
        ),
        "models.byte_order": (
            "{file} はバイト順の異なるマシンで保存されています。.safetensors 形式のモデルを選んでください。"
        ),
        "models.large_table": (
            "{file} はモデルではありません (目次の大きさが異常です)。"
            ".safetensors か .ckpt のチェックポイントを選んでください。"
        ),
        "models.folder_without_model": (
            "フォルダ {folder} にモデルがありません (model_index.json がありません)。"
            "チェックポイントのファイルか、diffusers形式のフォルダを選んでください。"
        ),
        "models.folder_without_weights": (
            "{folder} の unet、vae、text_encoder に重みがありません。ファイルをダウンロードし直してください。"
        ),
        "models.folder_lacks": (
            "diffusers形式のフォルダ {folder} の {part} に重みがありません。"
            "足りないものをダウンロードするか、別のモデルを選んでください。"
        ),
        "models.folder_lacks_file": (
            "{folder} は不完全です。{part} に {file} がありません。"
            "そのファイルか、フォルダ全体をダウンロードし直してください。"
        ),
        "models.folder_broken": "{file} を読めません。モデルをダウンロードし直してください。",
        # ---- files that are something else
        "models.variant": ("{file} は学習に使えません ({kind})。元になった通常のチェックポイントを選んでください。"),
        "models.no_base_model": (
            "{file} はベースモデルではありません ({kind})。次のいずれかのチェックポイントを選んでください: {families}"
        ),
        "models.cannot_train": (
            "{file} は学習に対応していません ({kind})。次のいずれかのチェックポイントを選んでください: {families}"
        ),
        "models.not_yet": (
            "{file} は学習に使えません ({kind})。{family} の学習にはまだ対応していません。"
            "次のいずれかのチェックポイントを選んでください: {families}"
        ),
        "models.no_checkpoint": (
            "{file} はチェックポイントではありません ({kind})。"
            "次のいずれかのチェックポイントを選んでください: {families}"
        ),
        "models.unknown": (
            "{file} は学習に使えません ({kind})。次のいずれかのチェックポイントを選んでください: {families}"
        ),
        "models.no_vae": "{file} はVAEではありません ({kind})。VAEのファイルを選ぶか、「なし」にしてください。",
        "models.vae_of_other": (
            "{file} は {family} では使えません ({kind})。{family} 用のVAEを選ぶか、「なし」にしてください。"
        ),
        "models.no_vae_for": "{file} はVAEではありません ({kind})。{family} 用のVAEを選んでください。",
        "models.lacks_vae": (
            "{file} にはVAEが入っていません。VAEのファイルも選ぶか、VAEの入ったチェックポイントを選んでください。"
        ),
        "models.lacks": ("{file} には足りない部分があります ({parts})。すべて揃ったチェックポイントを選んでください。"),
        "models.vae_channels": (
            "{file} のVAEは潜在チャンネルが {count} ですが、{family} では {wanted} です。"
            "{family} 用のVAEを選んでください。"
        ),
        # ---- weights that do not fit
        "models.incomplete": "{what}に欠けている部分があります。別のチェックポイントを選んでください。",
        "models.sizes": "{what}の大きさが互いに合いません ({reason})。別のファイルを選んでください。",
        "models.misfit": "{what}の中身が合いません: {problems}。別のチェックポイントを選んでください。",
        "models.missing_one": "{tensors} がない",
        "models.missing": "{count} 個のテンソルがない ({tensors})",
        "models.unknown_one": "{tensors} は不明",
        "models.unknown_ones": "{count} 個のテンソルは不明 ({tensors})",
        "models.misshapen_one": "{tensors} の形が違う",
        "models.misshapen": "{count} 個のテンソルの形が違う ({tensors})",
        "models.not_filled": "{what}に重みを読み込めませんでした ({tensors})。ファイル名を添えて報告してください。",
        "models.whole_numbers": (
            "{what}は整数で保存されているため ({tensors})、学習できません。"
            "fp16、bf16、fp32 のチェックポイントを選んでください。"
        ),
        "models.type": (
            "{file} は {type} で保存されていて、このバージョンのtorchでは読めません。"
            "fp16、bf16、fp32 のモデルを選んでください。"
        ),
        "models.quantised": (
            "{file} は量子化されているため ({format})、学習できません。fp16、bf16、fp32 のモデルを選んでください。"
            "モデルの精度を int8 にすれば、学習時には同じくらい小さくなります。"
        ),
        "models.format_bitsandbytes_4": "bitsandbytesの4ビット (nf4、fp4)",
        "models.format_bitsandbytes_8": "bitsandbytesの int8",
        "models.format_scaled_fp8": "スケール付き fp8",
        "models.format_comfy": "ComfyUIの形式",
        "models.format_svdquant": "SVDQuant (Nunchaku) の4ビット",
        "models.format_nvfp4": "nvfp4形式",
        "models.format_mxfp8": "mxfp8形式",
        "models.format_int8": "スケール付き int8",
        "models.format_gguf": "GGUF形式",
        "models.format_gptq": "GPTQまたはAWQの4ビットか8ビット",
        "models.config": (
            "{file} のメタデータにある trainyard_config が想定と異なります。モデルの別のコピーを選んでください。"
        ),
        # ---- computing
        "models.clip_skip": (
            "clip skip {value} は、{layers} 層のテキストエンコーダーでは使えません。"
            "1 から {layers} までにしてください。"
        ),
        "models.device": "デバイス",
        "models.no_device": "{device} はここでは使えません。cpu を選ぶか、指定を省いてください。",
        "models.nan_weights": (
            "{file} の重みにNaNか無限大があります ({weight})。別のコピーを選んでください。"
            "fp16 では範囲が足りないモデルなら、モデルの精度を fp32 にしてください。"
        ),
        "models.nan_in_file": (
            "{file} の {tensor} にNaNか無限大の値があります。ファイルが壊れているか、そのまま保存されています。"
            "別のコピーを選んでください。"
        ),
        "models.nan_image": (
            "{file} の画像が数値になりません(NaN)。精度にfp32を選ぶか、LoRAを使っているなら別のLoRAを選んでください。"
        ),
        "models.other_prediction": (
            "{file} が予測するものは「{what}」で ({reason})、このようなモデルは学習できません。別のチェックポイントを"
            "選んでください。この情報が間違っている場合は、{setting} で {choices} のどれかを選んでください。"
        ),
        "models.other_size": (
            "{family} の画像の縦横は {multiple} の倍数ですが、{size} はそうではありません。別の大きさにしてください。"
        ),
        # ---- what a run tells of its model
        "models.heading": "モデル",
        "models.predicts": "{what}を予測するモデルです({reason})。",
        "models.predicts_epsilon": "ノイズ(eps)",
        "models.predicts_v_prediction": "速度(v-prediction)",
        "models.predicts_flow": "フロー(Rectified Flow)",
        "models.because_mark": "ファイルにあるv_predの印による",
        "models.because_scheduler": "scheduler_config.json の指定による",
        "models.because_beside": "同じ名前の .yaml の指定による",
        "models.because_metadata": "メタデータの記載による",
        "models.because_name": "ファイル名による",
        "models.because_weights": "重みから判断",
        "models.because_host": "WebUIでの扱いによる",
        "models.because_chosen": "設定の「{setting}」が {value} のため",
        "models.because_nothing": "ファイルに別の指定がないため",
        "models.zero_snr": (
            "ファイルの指定により、最後のタイムステップで信号が残らないノイズ (zero terminal SNR) を使います。"
        ),
        "models.flow_is_plain": (
            "そのため、白色ノイズを使い、タイムステップの重み付けはしません。Min-SNR、debiased estimation、"
            "ノイズオフセット、多重解像度ノイズは働きません。"
        ),
        "models.prediction_chosen": (
            "{file} は{what}を予測するモデルと確認できません ({reason})。{setting} が {value} なので、そのように"
            "学習します。プレビューがノイズになる場合は、{default} を選んでください。"
        ),
        "models.prediction_denied": (
            "{file} の情報では{found}を予測するモデルです ({reason})。{setting} が {value} なので、{what}を予測する"
            "モデルとして学習します。プレビューがノイズになる場合は、{default} を選んでください。"
        ),
        "models.prediction_unknown": (
            "{setting} が {value} なので、{file} を{what}を予測するモデルとして学習します。この設定がなければ"
            "学習できません: {reason}"
        ),
        "models.taken_by_name": (
            "{file} は、ファイル名かフォルダー名だけを手がかりにRectified Flowのモデルとして扱います。違う場合は、"
            "予測するものを {setting} で選んでください。間違えるとLoRAは役に立ちません。"
        ),
        "models.named_flow": (
            "{file} は名前からするとRectified Flowのモデルですが、{found}を予測するモデルとして扱います ({reason})。"
            "画像がノイズになる場合は、{setting} を flow にしてください。"
        ),
        "models.named_velocity": (
            "{file} は名前からするとv-predictionモデルですが、ノイズを予測するモデルとして扱います ({reason})。"
            "画像がノイズになる場合は、{setting} を velocity にしてください。"
        ),
        "models.named_epsilon": (
            "{file} は名前からするとノイズを予測するモデルですが、v-predictionモデルとして扱います ({reason})。"
            "マージ元の印が残っているのかもしれません。画像がノイズになる場合は、{setting} を noise にしてください。"
        ),
        "models.distilled": (
            "{file} は名前からすると、少ないステップ数用に蒸留されたモデルです ({how})。学習するとその効果が薄れ、"
            "普通のステップ数とCFGスケールではプレビューも焼けたように見えます。元のモデルで学習することをお勧めします。"
            "そのLoRAはどちらのモデルでも使えます。"
        ),
        "models.stored_alike": "重みは {types} で保存されています。",
        "models.stored": "重みの保存形式: {parts}。",
        "models.part_stored": "{part} {types}",
        "models.copied": "{parts}: {stored} で保存されているため {type} に変換します。",
        "models.copied_for_cpu": (
            "{parts}: {stored} で保存されているため {type} に変換します (CPUでは {type} で計算します)。"
        ),
        "models.copied_to_codes": "{parts}: {stored} で保存されているため {codes} に変換し、{type} で計算します。",
        "models.mixed_types": "{most} (一部は {rest})",
        "models.vae_in_fp32": (
            "fp16 では画像が黒くなるため、VAEは fp32 で計算します。メモリを節約するには、VAEの精度を bf16 にするか、"
            "sdxl-vae-fp16-fix を使ってください。"
        ),
        "models.vae_of_sdxl": (
            "{file} は名前からするとSDXL用のVAEですが、モデルは {family} です。そうであれば画像が崩れるので、"
            "別のVAEを選ぶか「なし」にしてください。"
        ),
        "models.vae_of_sd": (
            "{file} は名前からするとSD1・SD2用のVAEですが、モデルは {family} です。そうであれば画像が崩れるので、"
            "別のVAEを選ぶか「なし」にしてください。"
        ),
        "models.no_hash": "{file} を読めず、ハッシュを計算できませんでした ({reason})。LoRAにはハッシュを書きません。",
    }
)
