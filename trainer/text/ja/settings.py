"""各設定の名前と説明(日本語)。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "Required": "必須",
        "Network": "ネットワーク",
        "Images": "画像",
        "Captions": "キャプション",
        "Training": "学習",
        "Difference": "差分",
        "Saving": "保存",
        "Samples": "プレビュー",
    }
)

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "mode": "モード",
        "model": "モデル",
        "vae": "VAE",
        "original_prompt": "元のプロンプト",
        "target_prompt": "目標のプロンプト",
        "original_image": "元の画像",
        "target_image": "目標の画像",
        "use_2nd_pass_settings": "2回目専用の設定を使う",
        "network_type": "ネットワークの種類",
        "network_rank": "ランク (rank)",
        "network_alpha": "アルファ (alpha)",
        "network_element": "学習する層",
        "network_blocks": "学習するブロック",
        "network_conv_rank": "畳み込み層のランク",
        "network_conv_alpha": "畳み込み層のアルファ",
        "network_resume": "続きから学習するLoRA",
        "base_loras": "適用しておくLoRA",
        "network_strength": "保存時の強さ",
        "network_train_text_encoder": "テキストエンコーダーも学習する",
        "network_block_rates": "ブロックごとの学習率の倍率",
        "network_dropout": "ネットワークのドロップアウト",
        "network_rank_dropout": "ランクのドロップアウト",
        "network_module_dropout": "モジュールのドロップアウト",
        "lora_data_directory": "学習画像のフォルダ",
        "lora_trigger_word": "トリガーワード",
        "diff_target_name": "目標画像のファイル名の末尾",
        "image_size": "画像サイズ (高さ,幅)",
        "dataset_config": "データセット設定ファイル",
        "reg_data_directory": "正則化画像のフォルダ",
        "image_buckets_step": "バケットの刻み幅",
        "image_min_length": "バケットの最小の辺",
        "image_max_ratio": "最大の縦横比",
        "sub_image_num": "縮小画像の枚数",
        "image_num_multiply": "画像の繰り返し回数",
        "image_mirroring": "左右反転も学習する",
        "image_use_filename_as_tag": "ファイル名をタグとして使う",
        "image_disable_upscale": "拡大しない",
        "data_cache": "データのキャッシュ",
        "image_bucketing": "バケットの作り方",
        "image_bucket_reso_steps": "バケットの解像度の刻み (reso steps)",
        "image_min_bucket_reso": "バケットの最小解像度",
        "image_max_bucket_reso": "バケットの最大解像度",
        "image_random_flip": "ランダムに左右反転する",
        "image_random_crop": "ランダムな位置で切り取る",
        "image_color_augmentation": "ランダムに色を変える",
        "image_use_masks": "マスク画像を使う",
        "image_mask_directory": "マスク画像のフォルダ",
        "caption_extension": "キャプションの拡張子",
        "caption_lines": "複数行のキャプション",
        "caption_shuffle": "タグをシャッフル",
        "caption_keep_tokens": "固定するタグの数",
        "caption_keep_tokens_separator": "固定タグの区切り記号",
        "caption_separator": "タグの区切り",
        "caption_secondary_separator": "タグ内の区切り記号",
        "caption_prefix": "キャプションの前置き",
        "caption_suffix": "キャプションの後置き",
        "caption_dropout_rate": "キャプションのドロップアウト率",
        "caption_dropout_every_n_epochs": "キャプションなしのエポック間隔",
        "caption_tag_dropout_rate": "タグのドロップアウト率",
        "caption_wildcards": "ワイルドカード",
        "caption_weights": "キャプションの強調",
        "caption_max_tokens": "キャプションの最大トークン数",
        "train_iterations": "学習ステップ数",
        "train_epochs": "学習エポック数",
        "train_batch_size": "バッチサイズ",
        "train_gradient_accumulation": "勾配の累積数",
        "train_learning_rate": "学習率",
        "train_textencoder_learning_rate": "テキストエンコーダーの学習率",
        "train_loraplus_ratio": "LoRA+の倍率",
        "train_rate_by_size": "モデルの大きさに合わせた学習率",
        "train_max_grad_norm": "勾配ノルムの上限",
        "train_ema_decay": "EMAの減衰率",
        "train_optimizer": "オプティマイザー",
        "train_optimizer_settings": "オプティマイザーの追加設定",
        "train_lr_scheduler": "学習率スケジューラー",
        "train_lr_scheduler_settings": "スケジューラーの追加設定",
        "train_lr_step_rules": "学習率の段階ルール",
        "train_lr_warmup_steps": "ウォームアップのステップ数",
        "train_lr_warmup_ratio": "ウォームアップの割合",
        "train_lr_scheduler_num_cycles": "スケジューラーの周期数",
        "train_lr_scheduler_power": "スケジューラーの指数",
        "train_seed": "シード",
        "train_min_timesteps": "最小タイムステップ",
        "train_max_timesteps": "最大タイムステップ",
        "train_timestep_density": "タイムステップの分布",
        "train_timestep_mean": "タイムステップの平均",
        "train_timestep_std": "タイムステップの標準偏差",
        "train_timestep_shift": "タイムステップのシフト",
        "train_fixed_timsteps_in_batch": "バッチ内でタイムステップを揃える",
        "train_loss_function": "損失関数",
        "train_snr_gamma": "Min-SNRのガンマ",
        "train_debiased_estimation": "Debiased Estimationを使う",
        "train_scale_v_pred_loss": "v-predictionの損失を調整する",
        "train_noise_offset": "ノイズオフセット",
        "train_noise_offset_random": "ノイズオフセットの強さをランダムにする",
        "train_adaptive_noise_scale": "ノイズオフセットの自動調整の倍率",
        "train_multires_noise_iterations": "多重解像度ノイズの回数",
        "train_multires_noise_discount": "多重解像度ノイズの減衰率",
        "slider_positive": "スライダーのプラス側プロンプト",
        "slider_negative": "スライダーのマイナス側プロンプト",
        "slider_scale": "スライダーの幅",
        "ileco_scale": "iLECOの変化の幅",
        "ileco_denoise_steps": "学習前のノイズ除去ステップ数",
        "ileco_closed_form": "iLECOを計算で求めた変化から始める",
        "ileco_descriptions": "iLECOの描写文の数",
        "keep_prompts": "変えたくないプロンプト",
        "keep_weight": "変えたくないプロンプトの重み",
        "hold_unconditional": "空のプロンプトの保持",
        "hold_negative": "保持するネガティブプロンプト",
        "validation_split": "検証に回す画像の割合",
        "validation_every_steps": "検証の間隔 (ステップ)",
        "early_stop_patience": "早期終了までのステップ数",
        "prior_loss_weight": "正則化画像の重み",
        "train_model_precision": "モデルの精度",
        "train_memory_saving": "メモリの節約",
        "train_lora_precision": "LoRAの精度",
        "train_VAE_precision": "VAEの精度",
        "train_self_reg": "トリガーなしの保持",
        "train_self_reg_filler": "トリガーの代わりの言葉",
        "train_self_reg_images": "トリガーなしの保持に使う画像",
        "use_gradient_checkpointing": "勾配チェックポイントを使う",
        "save_lora_name": "LoRAのファイル名",
        "save_per_steps": "途中保存の間隔 (ステップ)",
        "save_every_epochs": "途中保存の間隔 (エポック)",
        "save_file_name": "途中保存のファイル名",
        "save_comment": "学習のコメント",
        "save_precision": "保存時の精度",
        "save_overwrite": "上書きする",
        "save_as_json": "設定をJSONに残す",
        "state_every_minutes": "途中経過を保存する間隔 (分)",
        "diff_load_1st_pass": "読み込むコピー機LoRA",
        "diff_save_1st_pass": "コピー機LoRAも保存する",
        "diff_1st_pass_only": "コピー機LoRAだけを作る",
        "diff_revert_original_target": "元と目標を入れ替える",
        "diff_use_diff_mask": "差分のマスクを使う",
        "diff_alt_ratio": "逆方向の強さ",
        "diff_reach_target": "目標に到達させる",
        "diff_both_turns": "順方向と逆方向を同時に学習",
        "diff_noise_count": "1組あたりのノイズの数",
        "diff_keep_outside": "マスクの外を保つ強さ",
        "diff_descriptions": "キャプションの代わりの描写文の数",
        "logging_save_csv": "ログをCSVに保存する",
        "logging_verbose": "詳しいログを表示する",
        "logging_tensorboard": "TensorBoardに記録する",
        "logging_wandb": "Weights & Biasesに記録する",
        "sample_prompt": "プレビューのプロンプト",
        "sample_prompts_file": "サンプルのプロンプトのファイル",
        "sample_negative": "プレビューのネガティブプロンプト",
        "sample_every_steps": "プレビューの間隔 (ステップ)",
        "sample_every_epochs": "プレビューの間隔 (エポック)",
        "sample_at_start": "最初にもプレビュー",
        "sample_seed": "プレビューのシード",
        "sample_strengths": "プレビューでのLoRAの強さ",
        "effect_strip": "学習後に効果を画像で確かめる",
        "prediction": "モデルの予測対象",
        "clip_skip": "CLIPスキップ",
    }
)

HELP: Mapping[str, str] = MappingProxyType(
    {
        "mode": (
            "何から学習するかを選びます。LoRAはキャプション付きの画像、iLECOは2つのプロンプト、"
            "DifferenceとADDifTは1組の画像、Multi-ADDifTは画像の組を集めたフォルダを使います。"
        ),
        "model": "学習に使うモデルです。空欄なら、読み込み済みのモデルを使います。",
        "vae": "使用するVAEです。Noneなら、モデルに含まれるVAEか、読み込み済みのVAEを使います。",
        "original_prompt": (
            "変える前の内容です。iLECOでは変えたい概念を1行に1つ書きます。画像の組では元の画像の説明を書きますが、"
            "たいていは空欄で構いません。"
        ),
        "target_prompt": (
            "変えた後の内容です。元のプロンプトが複数行なら、行ごとに書きます。iLECOで空欄にすると、"
            "元の概念を消します。"
        ),
        "original_image": "変化前の画像です。目標の画像と同じ縦横比にしてください。",
        "target_image": "変化後の画像です。元の画像との違いをLoRAが学習します。",
        "use_2nd_pass_settings": (
            "Differenceの2回目の学習に専用の設定を使います。2回目のランクを小さくすると、"
            "画風や構図がLoRAに混ざりにくくなります。"
        ),
        "network_type": (
            "lierlaは通常のLoRAです。c3lier (LoCon) とloha (LyCORIS) は畳み込み層も学習し、細部まで覚えますが、"
            "ファイルは大きくなります。SDXLを画像から学習するときはc3lierが向いています。"
        ),
        "network_rank": (
            "LoRAが覚えられる量です。大きいほどファイルも大きくなります。Trainyardのプリセットは、概念が8、"
            "画像が16、1組の画像からの画風が4です。細部が足りなければ増やしてください。"
        ),
        "network_alpha": (
            "LoRAの変化に「アルファ÷ランク」を掛けます。2倍にすると、学習率を2倍にするのに近い効果があります。"
            "Trainyardのプリセットでは、学習率に合わせてランクの1/4〜2倍です。"
        ),
        "network_element": (
            "学習する層です。Fullはすべて、CrossAttentionはプロンプトを読む層だけ、"
            "SelfAttentionは画像の中の関係を見る層だけを学習します。"
        ),
        "network_blocks": (
            "モデルのどの部分を学習するかを選びます。BASEはテキストエンコーダーで、"
            "テキストエンコーダーを学習しないモードでは無視されます。"
        ),
        "network_conv_rank": "c3lierとlohaの畳み込み層のランクです。0なら「ランク」と同じ値を使います。",
        "network_conv_alpha": "c3lierとlohaの畳み込み層のアルファです。0なら「アルファ」と同じ値を使います。",
        "network_resume": (
            "続きから学習するLoRAファイルです。ランクとアルファはファイルの値を使い、"
            "ネットワークの種類も、設定していなければファイルに合わせます。"
        ),
        "base_loras": (
            "学習中、モデルに適用しておくLoRAです。名前、または名前:強さを、1行に1つか;区切りで書きます。"
            "できたLoRAは、これらのLoRAと一緒に使ってください。"
        ),
        "network_strength": "保存するLoRAに掛ける倍率です。2にすると、強さ1で使ったときに本来の強さ2の効果になります。",
        "network_train_text_encoder": (
            "ブロックでBASEを選んでいれば、テキストエンコーダーも学習します。言葉の意味そのものが変わるので、"
            "注意して使ってください。"
        ),
        "network_block_rates": (
            "一部のブロックの学習率に倍率を掛けます。「IN04=0.5, M00=2, OUT=0」のように、ブロック=倍率をカンマで区切"
            "って書きます。IN、OUT、Mはその種類のブロックすべてを指し、0にしたブロックは学習しません。"
        ),
        "network_dropout": (
            "ステップごとに、LoRA内部の数値のうちこの割合をランダムに無効にし、画像の丸暗記を防ぎます。目安は0.1〜0.3"
            "で、0なら使いません。lohaでは使えません。"
        ),
        "network_rank_dropout": (
            "ステップごとに、ランクのうちこの割合をランダムに無効にします。目安は0.1〜0.3で、0なら使いません。lohaで"
            "は更新の行を丸ごと無効にします。"
        ),
        "network_module_dropout": (
            "ステップごとに、この割合の層でLoRAをランダムに無効にします。目安は0.1〜0.3で、0なら使いません。"
        ),
        "lora_data_directory": (
            "学習用の画像とキャプションを入れたフォルダです。サブフォルダも含みます。"
            "「10_zorp cat」のような名前のフォルダでは各画像を10回ずつ使い、キャプションがなければ"
            "「zorp cat」を使います。"
        ),
        "lora_trigger_word": (
            "この言葉を含まないキャプションの先頭に付けます。キャプションのない画像では、この言葉だけを使います。"
            "プロンプトに書くと、学習した内容を呼び出せます。"
        ),
        "diff_target_name": (
            "目標画像のファイル名の末尾に付ける文字です。_closedなら、同じフォルダのa.pngとa_closed.pngが組になります。"
        ),
        "image_size": (
            "学習するサイズです。正方形なら512、ほかは512x768(幅x高さ)か768,512(高さ,幅)と書きます。モデルに合わせ、普通は512、"
            "SDXLは1024にします。画像の組では空欄で元のサイズのままです。"
        ),
        "dataset_config": (
            "学習データを記述したsd-scriptsのデータセット設定ファイル(TOMLかJSON)です。"
            "画像のフォルダの代わりに使います。書かれていない項目には、ここの設定を使います。"
        ),
        "reg_data_directory": (
            "正則化画像(学習対象と同じ種類の、別のものの画像)のフォルダです。"
            "種類全体が学習対象に似るのを防ぎます。画像のそばに「reg」というフォルダがあれば自動で使います。"
        ),
        "image_buckets_step": (
            "画像を縦横比ごとに分けるバケットの、辺の刻み幅です。小さくすると切り取られる部分は減りますが、"
            "バケットの数が増えます。"
        ),
        "image_min_length": "バケットの辺の長さの下限です。",
        "image_max_ratio": "許容する最大の縦横比(長辺÷短辺)です。これより細長い画像は、この比まで切り取ります。",
        "sub_image_num": "画像1枚につき、縮小版を何枚追加して学習するかです。画像が少ないときの過学習を抑えます。",
        "image_num_multiply": "1エポックの間に、各画像を何回使うかです。",
        "image_mirroring": (
            "すべての画像を左右反転したものも学習します。文字など、左右に意味があるときはオフにしてください。"
        ),
        "image_use_filename_as_tag": (
            "ファイル名をキャプションとして使います。_id_より前の部分を使い、_はコンマとして扱います。"
        ),
        "image_disable_upscale": "学習サイズより小さい画像を拡大しません。",
        "data_cache": (
            "画像やキャプションから作ったデータを残しておくディスク容量(GB)です。"
            "同じ画像での次の学習がすぐに始まります。長く使われていないものから消えます。0にすると何も残しません。"
        ),
        "image_bucketing": (
            "TrainTrainは上の設定、sd-scriptsは下の設定からサイズを作ります。no cropは元のサイズのまま(刻みの倍数で)"
            "学習し、画像サイズを超えるものだけを縮小します。one sizeはすべてを画像サイズに切り抜きます。"
        ),
        "image_bucket_reso_steps": (
            "sd-scriptsとno cropで、辺の長さをこの倍数にします。64ならどのモデルにも使えます。小さくすると、"
            "切り取られる部分が減ります。"
        ),
        "image_min_bucket_reso": "sd-scriptsで、バケットの辺の長さの下限です。",
        "image_max_bucket_reso": ("sd-scriptsで、バケットの辺の長さの上限です。画像サイズの長辺以上にしてください。"),
        "image_random_flip": (
            "ほぼ2回に1回、画像を左右反転して学習します。「左右反転も学習する」と違い、1エポックの長さは変わりません。"
            "文字など、左右に意味があるときはオフにしてください。"
        ),
        "image_random_crop": (
            "画像を中央ではなく、毎回ランダムな位置で切り取ります。ステップごとに画像をエンコードするため、時間がかかり、"
            "VAEがメモリに残ります。"
        ),
        "image_color_augmentation": (
            "sd-scriptsと同じように、およそ3枚に1枚の割合で、色相か明るさを毎回少しだけ変えます。ステップごとに画像を"
            "エンコードするため、時間がかかり、VAEがメモリに残ります。"
        ),
        "image_use_masks": (
            "マスクの白い部分を学習し、黒い部分は学習しません。a.pngのマスクは、同じフォルダのa-masklabel.pngか"
            "a_mask.png、またはmask/a.pngです。オフにすると、マスク画像は使いません。"
        ),
        "image_mask_directory": (
            "マスク画像が別の場所にあるときのフォルダです。ファイル名は画像と同じにします。空欄なら、画像の中から探します。"
        ),
        "caption_extension": (
            "キャプションファイルの拡張子です(.txtなど)。空欄なら、.txt、.caption、.cap、.captions、.tags、.jsonと"
            "metadata.jsonlを自動で探します。"
        ),
        "caption_lines": (
            "複数行のキャプションファイルの扱いです。first: 1行目だけを使います。"
            "random: 1行が1つのキャプションで、毎回どれかを使います。joined: 全部の行をつなげて1つにします。"
        ),
        "caption_shuffle": "毎回、タグの順番をランダムに入れ替えます。トリガーワードは先頭のままです。",
        "caption_keep_tokens": "キャプションの先頭から、シャッフルもドロップアウトもしないタグの数です。",
        "caption_keep_tokens_separator": (
            "この記号(|||など)より前のタグは、シャッフルもドロップアウトもしません。同じキャプションに2つ目があれば、"
            "それより後ろのタグも固定します。記号があるキャプションでは、固定するタグの数より優先します。"
        ),
        "caption_separator": "キャプションのタグを区切る文字です。",
        "caption_secondary_separator": (
            "タグの中で使う記号です(;;;など)。この記号でつないだタグは一緒にシャッフル・ドロップアウトされ、"
            "最後に通常の区切りに置き換わります。"
        ),
        "caption_prefix": "すべてのキャプションの前(トリガーワードの後)に付ける文です。",
        "caption_suffix": "すべてのキャプションの後ろに付ける文です。",
        "caption_dropout_rate": (
            "キャプションなしで学習する割合です(0〜1)。0.05くらいにすると、言葉がなくても表れる特徴も学習します。"
        ),
        "caption_dropout_every_n_epochs": (
            "nエポックごとに、すべての画像をキャプションなしで学習します。0なら行いません。"
        ),
        "caption_tag_dropout_rate": (
            "各タグを省く割合です(0〜1)。0.1くらいにすると、全部のタグがそろわなくても効くLoRAになります。"
            "トリガーワードと固定したタグは省かれません。"
        ),
        "caption_wildcards": (
            "波括弧の中に|で区切って書いた文から、毎回どれか1つを選びます。先頭に2$$と書けば2つ選びます。"
        ),
        "caption_weights": (
            "キャプションの(tag:1.2)、(tag)、[tag]を、WebUIのプロンプトと同じように強調として読み、\\(は普通の括弧として"
            "読みます。オフなら文字のまま読みます。"
        ),
        "caption_max_tokens": (
            "キャプションをこのトークン数(およそ単語の数)で切ります。0なら切りません。CLIPは一度に75トークンを読みます。"
        ),
        "train_iterations": (
            "学習するステップ数です。目安はLoRAで1000、計算で求めた変化から始めるiLECOで50、それ以外のiLECOと"
            "Differenceで300〜1000、ADDifTで30〜100です。"
        ),
        "train_epochs": (
            "すべての画像を何回ずつ使うかです。0以外なら、学習ステップ数の代わりにこちらでステップ数が決まります。"
        ),
        "train_batch_size": (
            "1ステップでまとめて学習するサンプルの数です。増やすと学習が安定しますが、メモリも多く使います。"
        ),
        "train_gradient_accumulation": (
            "1ステップで使うバッチの数です。4にすると、メモリを増やさずに1ステップで4倍の画像から学習できますが、時間"
            "も4倍かかります。"
        ),
        "train_learning_rate": (
            "1ステップで変化させる大きさです。画像が崩れるなら下げ、学習されないなら上げてください。"
            "ProdigyとDAdapt系では1にします。"
        ),
        "train_textencoder_learning_rate": (
            "テキストエンコーダー専用の学習率です。空欄か0なら、全体の学習率を使います。"
        ),
        "train_loraplus_ratio": (
            "LoRA+です。0から始まる側の行列を、学習率のこの倍率で学習し、習得を速めます。目安は4〜16で、0なら使いませ"
            "ん。"
        ),
        "train_rate_by_size": (
            "モデルの幅が広い所や層が多く重なる部分で学習率を下げ、小さなモデルでも大きなモデルでも同じ学習率を使えるようにします。"
            "Trainyardのプリセットの学習率は小さなモデルで選んだため、これが必要です。"
        ),
        "train_max_grad_norm": (
            "勾配のノルムをこの値までに抑え、1ステップで変わりすぎるのを防ぎます。1が一般的で、0なら使いません。"
        ),
        "train_ema_decay": (
            "最後のステップの重みではなく、直近のステップの平均 (EMA) を保存し、偶然のばらつきをならします。0.99で約"
            "100ステップ、0.999で約1000ステップの平均になります。0なら使いません。"
        ),
        "train_optimizer": (
            "重みを更新する方法です。迷ったらAdamWを選んでください。名前に8bitの付くものはメモリを節約できます。"
            "ADDifTのプリセットはCAMEを使います。"
        ),
        "train_optimizer_settings": (
            "オプティマイザーの追加設定です。key=valueの形で、1行に1つずつか;区切りで書きます。"
            "例: betas=0.9,0.99; weight_decay=0.01"
        ),
        "train_lr_scheduler": (
            "学習中に学習率をどう変えるかです。cosineは0までなめらかに下げます。"
            "reduce_on_plateauは25ステップごとの平均損失で判断し、patienceはその回数です。"
        ),
        "train_lr_scheduler_settings": (
            "スケジューラーの追加設定です。key=valueの形で、1行に1つずつか;区切りで書きます。例: eta_min=0.00001"
        ),
        "train_lr_step_rules": (
            "piecewise_constant用の設定です。「学習率の倍率:最後のステップ」をコンマで並べ、"
            "最後は倍率だけを書きます。例: 1:200,0.1:500,0.01"
        ),
        "train_lr_warmup_steps": (
            "このステップ数をかけて、学習率を0から上げていきます(対応するスケジューラーのみ)。"
            "学習の初めに崩れるときに試してください。"
        ),
        "train_lr_warmup_ratio": (
            "ウォームアップを全ステップに対する割合で指定します。0.1 なら全体の10%です。"
            "「ウォームアップのステップ数」が 0 のときに有効です。"
        ),
        "train_lr_scheduler_num_cycles": (
            "cyclicと、名前にrestartsの付くスケジューラーが、1回の学習で繰り返す周期の数です。"
        ),
        "train_lr_scheduler_power": "polynomialスケジューラーの指数です。1なら直線的に下がります。",
        "train_seed": "乱数のシードです。同じシードなら同じLoRAになります。-1ならランダムに決め、その値を記録します。",
        "train_min_timesteps": (
            "学習するタイムステップの下限です。小さいタイムステップは細部や画風に効きます。"
            "ADDifTで画風を学習するなら200〜400が向いています。"
        ),
        "train_max_timesteps": (
            "この値より小さいタイムステップを学習します。大きいタイムステップは構図に効きます。"
            "ADDifTで動作や形を学習するなら500〜1000が向いています。"
        ),
        "train_fixed_timsteps_in_batch": "サンプルごとにタイムステップを変えず、バッチ全体で同じ値を使います。",
        "train_loss_function": (
            "誤差の計算方法です。普通はMSEを使います。L1とSmooth-L1は、一部の大きな誤差に引きずられにくくなります。"
        ),
        "train_timestep_density": (
            "各タイムステップを学習する頻度です。automaticはモデルに合わせ(ノイズ・速度はuniform、フローはlogit-normal)、"
            "logit-normalはノイズと画像が同程度の所を重視します。"
        ),
        "train_timestep_mean": (
            "logit-normalの平均です。0より上はノイズの多い所、下は少ない所が増えます。SDXLのRectified Flowは-0.2です。"
        ),
        "train_timestep_std": "logit-normalの広がりです。普通は1です。",
        "train_timestep_shift": (
            "分布にかかわらず、タイムステップをノイズの多い側へずらします。ノイズと画像の比にこの値を掛けます。1なら"
            "そのまま、3なら大きく、0ならFluxのように画像の大きさに合わせます。"
        ),
        "train_snr_gamma": (
            "Min-SNRの値です。易しいタイムステップに学習が偏るのを防ぎます。5がおすすめで、0なら使いません。フローのモデルでは働きません。"
        ),
        "train_debiased_estimation": (
            "構図や色が決まる、ノイズの多いタイムステップを重視します。「Min-SNRのガンマ」を0にしないと、両方が適用さ"
            "れます。"
        ),
        "train_scale_v_pred_loss": (
            "v-predictionモデルで、ノイズを予測するモデルと同じ重み付けにし、ノイズの少ないタイムステップを重視します"
            "。ほかのモデルでは何も変わりません。"
        ),
        "train_noise_offset": (
            "チャンネルごとにノイズを少しずらし、とても暗い画像や明るい画像を学習できるようにします。目安は0.03〜0.1"
            "で、0なら使いません。"
        ),
        "train_noise_offset_random": (
            "ノイズオフセットの強さを、バッチごとに0から設定値までの間でランダムに決めます。"
        ),
        "train_adaptive_noise_scale": (
            "画像の平均が灰色から離れているほど、この倍率でノイズオフセットに加えます。通常は0か、ノイズオフセットと"
            "同じくらいにします。"
        ),
        "train_multires_noise_iterations": (
            "粗いノイズを最大でこの回数重ね、明暗や大きな形を学習しやすくします。目安は6〜10で、0なら使いません。ノイ"
            "ズオフセットとはどちらか一方を使ってください。"
        ),
        "train_multires_noise_discount": (
            "重ねるノイズを1段粗くなるごとにどれだけ弱めるかです。目安は0.1〜0.4で、大きいほど変化も大きくなります。"
        ),
        "slider_positive": (
            "スライダーLoRAを作ります。元のプロンプトの絵が、強さ1でこの内容に、-1でマイナス側の内容に近づきます。"
            "1行なら元のプロンプトすべてに使い、複数行なら行ごとに使います。"
        ),
        "slider_negative": "スライダーの反対側のプロンプトです。目標のプロンプトは空欄にしてください。",
        "slider_scale": "強さ1のときに動く幅です。プラス側とマイナス側のプロンプトの差を1とします。",
        "ileco_scale": (
            "元のプロンプトから目標へどこまで動かすかです。1なら目標ちょうどで、大きくすると元からさらに遠ざかります。"
            "何かをしっかり消したいときは1より大きくします。"
        ),
        "ileco_denoise_steps": (
            "各ステップの学習前に行うノイズ除去の回数です。ノイズの減った途中の画像から学習しますが、"
            "その分遅くなります。0なら純粋なノイズから(フローのモデルでは4回)です。"
        ),
        "ileco_closed_form": (
            "プロンプトの変化を数秒の計算で求め、そこから学習します。残りは仕上げだけなので、ステップ数がずっと少なくて済みます。"
            "クロスアテンションを学習するLoRAが必要です。"
        ),
        "ileco_descriptions": (
            "元のプロンプトを、ランダムに作ったこの数の描写文の中で学習します。別の言葉に置き換えた描写文も同じ数だけ作り、"
            "元のまま保つので、指定したものだけが変わります。目安は48で、0ならプロンプトをそのまま学習します。"
        ),
        "keep_prompts": (
            "絵を変えたくないプロンプトを、1行に1つか;区切りで書きます。たとえば、"
            "学習対象の種類(1girlなど)をトリガーワードなしで書きます。"
        ),
        "prior_loss_weight": "正則化画像を、ほかの画像に対してどれだけ重視するかです。0なら学習に影響しません。",
        "keep_weight": "変えたくないプロンプトを、学習に対してどれだけ重視するかです。0なら使いません。",
        "hold_unconditional": (
            "空のプロンプトに対するモデルの予測を、元のまま保ちます。CFGはそこから離れる向きに画像を動かすため、"
            "LoRAがこれも変えてしまうと、効果の大半が打ち消されます。automaticならiLECOでだけ有効です。"
        ),
        "hold_negative": (
            "画像を作るときに使うネガティブプロンプトです。1行に1つか;区切りで書きます。"
            "空のプロンプトと交互に、元のまま保ちます。空のプロンプトを保持しない場合は無効です。"
        ),
        "validation_split": (
            "学習に使わず、検証に回す画像の割合です。その損失から、学習が進んでいるのか、丸暗記なのかがわかります。"
            "画像が50枚以上なら0.1が目安で、0なら使いません。"
        ),
        "validation_every_steps": "検証用の画像の損失を何ステップごとに測るかです。0ならエポックごとに測ります。",
        "early_stop_patience": (
            "損失の最小値がこのステップ数のあいだ更新されなければ、学習を終えます。検証用の画像があればその損失で"
            "判断し、最良のLoRAを、なければ最後のLoRAを保存します。0なら使いません。"
        ),
        "train_model_precision": (
            "モデルの重みの精度です。int8はメモリが半分になり、nf4はさらに減りますが精度は下がります。"
            "modelは保存されている精度のまま使います。"
        ),
        "train_memory_saving": (
            "同じLoRAを少ないGPUメモリで学習します。lightは正規化などを2回計算し、少し遅くなります。"
            "streamingはさらに重みをRAMに置き、ブロックごとに転送します。"
        ),
        "train_lora_precision": "学習中のLoRAの精度です。fp32なら安全です。",
        "train_VAE_precision": "VAEの精度です。SDXLのVAEはfp16だと失敗することがあるため、fp32が安全です。",
        "train_self_reg": (
            "トリガーワードを抜いたキャプションで、元のモデルと同じ結果を保つ強さです。トリガーワードがないとLoRAが効かなくなります。"
            "1なら画像と同じ重さ、0ならオフです。"
        ),
        "train_self_reg_filler": (
            "抜いたトリガーワードの代わりに入れる言葉です(1girlなど)。空欄でもかまいません。「トリガーなしの保持に使う画像」を"
            "使うときは、学習するものの種類を表す言葉を書きます。複数なら;で区切ります。"
            "空欄なら、ありふれたものの名です。"
        ),
        "train_self_reg_images": (
            "トリガーワードを別の単語に置き換えたキャプションで、モデルに作らせる画像の枚数です。これを保持し、ほかの単語では"
            "同じものが出にくいようにします。「トリガーなしの保持」も必要です。0でオフです。"
        ),
        "use_gradient_checkpointing": (
            "メモリを大きく節約できますが、少し遅くなります。メモリが足りないときは、まずこれを試してください。"
        ),
        "save_lora_name": (
            "LoRAのファイル名です(拡張子は不要です)。フォルダ名/名前と書くとサブフォルダに保存します。"
            "空欄ならuntitledになります。"
        ),
        "save_per_steps": (
            "このステップ数ごとにもLoRAを保存し、後でいちばん良いものを選べます。0なら最後だけ保存します。"
        ),
        "save_every_epochs": "このエポック数ごとに、途中のLoRAも保存します。0なら最後だけ保存します。",
        "save_file_name": (
            "途中で保存するファイルの名前です。name、step、epochを波かっこに入れて書きます。step:06なら6桁になります。"
            "空欄なら「名前_100steps」になります。"
        ),
        "save_comment": "LoRAファイルに残すコメントです。WebUIで見られます。",
        "save_precision": "保存するファイルの精度です。fp16はfp32の半分の大きさで、違いはほとんどありません。",
        "save_overwrite": "同じ名前のLoRAを上書きします。オフの場合、同じ名前のファイルがあると学習を始めません。",
        "save_as_json": "学習のたびに、設定をJSONファイルとして日付ごとに残します。",
        "state_every_minutes": (
            "この間隔ごとと、学習が途中で終わるときに、後で同じところから正確に再開するための途中経過を保存します。"
            "学習が完了するか、保存せずに停止すると削除されます。0で無効になります。"
        ),
        "diff_load_1st_pass": "1回目の学習の代わりに使うLoRAファイルです。以前に保存したコピー機LoRAを指定します。",
        "diff_save_1st_pass": "1回目の学習でできたコピー機LoRAも保存します。次回からの学習で使えます。",
        "diff_1st_pass_only": "1回目の学習だけで終わり、元の画像のコピー機LoRAだけを作ります。",
        "diff_revert_original_target": "元と目標を入れ替え、逆の変化を学習します。",
        "diff_use_diff_mask": "2枚の画像で異なる部分だけを学習します。それ以外の部分がLoRAに混ざるのを防ぎます。",
        "diff_reach_target": (
            "同じ差だけ動かすのではなく、目標そのものに到達するように学習します。中間色への変化などに必要です。両方の"
            "プロンプトには2枚に共通する内容を書いてください。マイナスの強さを使うには「逆方向の強さ」を0より大きくします。"
        ),
        "diff_alt_ratio": (
            "逆方向の学習の強さです。逆方向も学習すると、LoRAがプラスにもマイナスにも効くようになります。"
            "0なら行わず、負の値ならノイズだけを使います。"
        ),
        "diff_both_turns": (
            "順方向と逆方向を交互にではなく、1ステップで同時に学習します。半分のステップ数で済みますが、"
            "学習率を上げる必要があるかもしれません。"
        ),
        "diff_noise_count": (
            "1ステップで、画像1組に使うノイズの数です。増やすと学習が安定しますが、メモリを多く使います。"
        ),
        "diff_keep_outside": (
            "差分のマスクを使うとき、2枚に共通する部分を、LoRAなしの結果にどれだけ強く合わせるかです。"
            "0なら使いません。まずは1を試してください。"
        ),
        "diff_descriptions": (
            "Rectified Flowのモデルで、キャプションのない1組の画像を学習するときに使います(既定値は96)。"
            "2回に1回、空のプロンプトの代わりに、この数のランダムな描写文のどれかで学習します。"
        ),
        "logging_save_csv": "各ステップの損失と学習率をCSVファイルに書き出します。",
        "logging_verbose": "コンソールに詳しいログを表示します。",
        "logging_tensorboard": (
            "損失と学習率を、データフォルダのtensorboardフォルダにTensorBoard用にも記録します。tensorboardパッケージ"
            "が必要です。"
        ),
        "logging_wandb": (
            "損失と学習率をWeights & Biases用にも記録します。環境変数WANDB_MODEをonlineにしない限り、何も送信しません"
            "。wandbパッケージが必要です。"
        ),
        "sample_prompt": (
            "学習の途中で生成するプレビューのプロンプトです。1行に1つずつ、複数書けます。"
            "プロンプトのファイルと同じオプションが使えます。"
        ),
        "sample_prompts_file": (
            "sd-scriptsと同じ形式で、1行に1つずつプロンプトを書いたファイルです。--n、--w、"
            "--h、--d、--l、--s と # のコメントが使えます。TOMLとJSONも読めます。"
        ),
        "sample_negative": "プレビューのネガティブプロンプトです。",
        "sample_every_steps": "このステップ数ごとに、その時点のLoRAでプレビューを生成します。0なら生成しません。",
        "sample_every_epochs": "このエポック数ごとにプレビューを作ります。0なら作りません。",
        "sample_at_start": "学習を始める前にもプレビューを作ります。あとのプレビューと比べられます。",
        "sample_seed": "プレビューのシードです。いつも同じ値を使うので、画像を見比べられます。",
        "sample_strengths": "並べて比べるLoRAの強さを、コンマ区切りで書きます。0はLoRAなしの画像です。",
        "effect_strip": (
            "学習の10、20…%の時点で画像を生成し(時間は全体の1割まで)、最後に強さ-1、0、1の画像で効果も調べます。GPUがないと"
            "時間がかかります。"
        ),
        "prediction": (
            "モデルが予測するものです。foundはファイル・名前・WebUIから判別します。画像がノイズになるときはvelocity(v-prediction)"
            "かflow(Rectified Flow)、ほかはnoiseです。"
        ),
        "clip_skip": (
            "プロンプトとキャプションに、テキストエンコーダーのどの層を使うかです。1は最後の層、2はその1つ前です。"
            "0ならモデルの系統に合わせます(SD1は1、最後の層を使わないSD2とSDXLは2)。SD1のアニメ系モデルの多くは2が合います。"
        ),
    }
)

ALSO: Mapping[str, str] = MappingProxyType(
    {
        "model": "チェックポイント, ベースモデル, checkpoint",
        "network_type": "アルゴリズム, locon, lycoris",
        "network_rank": "次元, 次元数, rank, dim, network dim",
        "network_alpha": "アルファ, alpha",
        "network_conv_rank": "畳み込みの次元, conv rank, conv dim",
        "network_conv_alpha": "畳み込みのアルファ, conv alpha",
        "network_resume": "続きから, 再開, resume",
        "lora_data_directory": "データセット, 画像フォルダ, 教師画像, dataset",
        "lora_trigger_word": "呼び出し語, キーワード, trigger",
        "image_size": "解像度, 幅, 高さ, resolution",
        "reg_data_directory": "正則化画像, class images",
        "image_num_multiply": "繰り返し回数, リピート, repeats",
        "image_mirroring": "反転, flip",
        "image_random_flip": "ランダム反転, flip",
        "train_iterations": "ステップ, ステップ数, 学習回数, 何ステップ, 回数, steps, max train steps",
        "train_epochs": "エポック, エポック数, 何エポック, epochs, max train epochs",
        "train_batch_size": "バッチ, バッチ数, batch, batch size",
        "train_gradient_accumulation": "勾配累積, gradient accumulation steps",
        "train_learning_rate": "lr, 学習率, learning rate, unet lr",
        "train_textencoder_learning_rate": "テキストエンコーダー 学習率, text encoder lr",
        "train_max_grad_norm": "勾配クリッピング, gradient clipping",
        "train_ema_decay": "移動平均, ema",
        "train_optimizer": "最適化, オプティマイザ, adam, adamw, prodigy",
        "train_lr_scheduler": "学習率スケジュール, lr schedule, cosine",
        "train_lr_warmup_steps": "ウォームアップ, warmup",
        "train_seed": "シード, 乱数, seed",
        "train_timestep_shift": "フローシフト, flow shift",
        "train_snr_gamma": "最小SNR, min snr, min-snr gamma",
        "train_model_precision": "混合精度, dtype, fp16, bf16",
        "train_memory_saving": "vram, 省メモリ, メモリ不足",
        "use_gradient_checkpointing": "vram, メモリ不足, 省メモリ",
        "save_lora_name": "ファイル名, 出力名, 名前",
        "save_per_steps": "保存間隔, 途中保存, save every n steps",
        "save_precision": "保存形式, save dtype",
        "sample_prompt": "プレビューのプロンプト, preview prompt",
        "sample_every_steps": "プレビュー, プレビュー間隔, preview",
        "prediction": "v予測, v-prediction, v-pred, parameterization",
    }
)
"""設定の別名。検索に使い、コンマで区切ります。"""

TEXTS: Mapping[str, str] = MappingProxyType(
    {f"label.{name}": text for name, text in LABELS.items()}
    | {f"help.{name}": text for name, text in HELP.items()}
    | {f"also.{name}": text for name, text in ALSO.items()}
)
