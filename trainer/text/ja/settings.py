"""各設定の名前と説明(日本語)。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "Required": "必須",
        "Network": "ネットワーク",
        "Images": "画像",
        "Training": "学習",
        "Difference": "差分",
        "Saving": "保存",
        "Samples": "サンプル画像",
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
        "network_blocks": "学習するブロック (BASE = テキストエンコーダー)",
        "network_conv_rank": "畳み込み層のランク",
        "network_conv_alpha": "畳み込み層のアルファ",
        "network_resume": "続きから学習するLoRA",
        "base_loras": "土台にするLoRA",
        "network_strength": "保存時の強さ",
        "network_train_text_encoder": "テキストエンコーダーも学習する",
        "lora_data_directory": "学習画像のフォルダ",
        "lora_trigger_word": "トリガーワード",
        "diff_target_name": "目標画像のファイル名の末尾",
        "image_size": "画像サイズ (高さ,幅)",
        "image_buckets_step": "バケットの刻み幅",
        "image_min_length": "最小の辺の長さ",
        "image_max_ratio": "最大の縦横比",
        "sub_image_num": "縮小画像の枚数",
        "image_num_multiply": "画像の繰り返し回数",
        "image_mirroring": "左右反転も学習する",
        "image_use_filename_as_tag": "ファイル名をタグとして使う",
        "image_disable_upscale": "拡大しない",
        "train_iterations": "学習ステップ数",
        "train_batch_size": "バッチサイズ",
        "train_learning_rate": "学習率",
        "train_textencoder_learning_rate": "テキストエンコーダーの学習率",
        "train_optimizer": "オプティマイザー",
        "train_optimizer_settings": "オプティマイザーの追加設定",
        "train_lr_scheduler": "学習率スケジューラー",
        "train_lr_scheduler_settings": "スケジューラーの追加設定",
        "train_lr_step_rules": "学習率の段階ルール",
        "train_lr_warmup_steps": "ウォームアップのステップ数",
        "train_lr_scheduler_num_cycles": "スケジューラーの周期数",
        "train_lr_scheduler_power": "スケジューラーの指数",
        "train_seed": "シード",
        "train_min_timesteps": "最小タイムステップ",
        "train_max_timesteps": "最大タイムステップ",
        "train_fixed_timsteps_in_batch": "バッチ内でタイムステップを揃える",
        "train_loss_function": "損失関数",
        "train_snr_gamma": "Min-SNRのガンマ",
        "slider_positive": "スライダーの正のプロンプト",
        "slider_negative": "スライダーの負のプロンプト",
        "slider_scale": "スライダーの幅",
        "ileco_denoise_steps": "学習前のノイズ除去ステップ数",
        "keep_prompts": "変えたくないプロンプト",
        "keep_weight": "変えない力の重み",
        "train_model_precision": "モデルの精度",
        "train_lora_precision": "LoRAの精度",
        "train_VAE_precision": "VAEの精度",
        "use_gradient_checkpointing": "勾配チェックポイントを使う",
        "save_lora_name": "LoRAのファイル名",
        "save_per_steps": "途中保存の間隔 (ステップ)",
        "save_precision": "保存時の精度",
        "save_overwrite": "上書きする",
        "save_as_json": "設定をJSONに残す",
        "diff_load_1st_pass": "読み込むコピー機LoRA",
        "diff_save_1st_pass": "コピー機LoRAも保存する",
        "diff_1st_pass_only": "コピー機LoRAだけを作る",
        "diff_revert_original_target": "元と目標を入れ替える",
        "diff_use_diff_mask": "差分のマスクを使う",
        "diff_alt_ratio": "逆方向の強さ",
        "diff_both_turns": "順方向と逆方向を同時に学習",
        "diff_noise_count": "ペアごとのノイズの数",
        "diff_keep_outside": "マスクの外を保つ強さ",
        "logging_save_csv": "ログをCSVに保存する",
        "logging_verbose": "詳しいログを表示する",
        "sample_prompt": "サンプル画像のプロンプト",
        "sample_negative": "サンプル画像のネガティブプロンプト",
        "sample_every_steps": "サンプル画像の間隔 (ステップ)",
        "sample_seed": "サンプル画像のシード",
        "sample_strengths": "サンプル画像でのLoRAの強さ",
        "effect_strip": "学習後に効果を画像で確かめる",
        "model_v_pred": "v-predictionモデル",
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
            "変える前の内容です。iLECOでは変えたい概念を、"
            "画像の組では元の画像の説明を書きます(画像の場合はたいてい空欄で構いません)。"
        ),
        "target_prompt": "変えた後の内容です。iLECOで空欄にすると、元の概念を消す学習になります。",
        "original_image": "変える前の画像です。目標の画像と同じ縦横比にしてください。",
        "target_image": "変えた後の画像です。元の画像との違いをLoRAが学習します。",
        "use_2nd_pass_settings": (
            "Differenceの2回目の学習に専用の設定を使います。2回目のランクを小さくすると、"
            "画風や構図がLoRAに混ざりにくくなります。"
        ),
        "network_type": (
            "lierlaは通常のLoRAです。c3lier (LoCon) とloha (LyCORIS) は畳み込み層も学習するため、"
            "細部まで覚えますがファイルは大きくなります。"
        ),
        "network_rank": (
            "LoRAが覚えられる量で、大きいほどファイルも大きくなります。まず16で試し、"
            "細部が足りなければ増やしてください。"
        ),
        "network_alpha": (
            "更新量にアルファ÷ランクを掛けます。普通はランクの半分か同じ値にします。"
            "iLECOではランクより大きい値が合うこともあります。"
        ),
        "network_element": (
            "学習する層を選びます。Fullはすべて、CrossAttentionはプロンプトを読む層だけ、"
            "SelfAttentionは画像自身を見る層だけを学習します。"
        ),
        "network_blocks": (
            "モデルのどの部分を学習するかを選びます。BASEはテキストエンコーダーで、"
            "これを学習しないモードでは無視されます。"
        ),
        "network_conv_rank": "c3lierとlohaの畳み込み層のランクです。0ならランクと同じ値になります。",
        "network_conv_alpha": "c3lierとlohaの畳み込み層のアルファです。0ならアルファと同じ値になります。",
        "network_resume": (
            "続きから学習するLoRAファイルです。ネットワークの種類が同じものを指定してください。ランクとアルファはファイルの値を使います。"
        ),
        "base_loras": (
            "学習中、モデルの一部として働くLoRAです。名前、または名前:強度を、1行に1つか;区切りで書きます。"
            "できたLoRAはこれらと一緒に使います。"
        ),
        "network_strength": (
            "保存する内容に掛ける倍率です。2にすると、強さ1で使ったときに本来の強さ2の効果になります。"
        ),
        "network_train_text_encoder": (
            "ブロックにBASEが含まれていれば、テキストエンコーダーも学習します。言葉の意味そのものが変わるので、"
            "注意して使ってください。"
        ),
        "lora_data_directory": "学習用の画像とキャプションを入れたフォルダです。サブフォルダも含まれます。",
        "lora_trigger_word": (
            "すべてのキャプションの先頭に付く言葉です。キャプションのない画像にも付きます。プロンプトに書くと、"
            "学習した内容を呼び出せます。"
        ),
        "diff_target_name": (
            "目標画像のファイル名の末尾です。_closedと書くと、同じフォルダのa.pngとa_closed.pngが組になります。"
        ),
        "image_size": (
            "学習するサイズです。正方形なら512、それ以外は768,512のように高さ,幅で書きます。"
            "モデルに合ったサイズ(普通は512、SDXLは1024)にしてください。"
        ),
        "image_buckets_step": (
            "画像を形ごとに分けるときの辺の刻み幅です。小さくすると切り取られる部分が減りますが、"
            "分け方が細かくなります。"
        ),
        "image_min_length": "画像を形ごとに分けるときの、最も短い辺の長さです。",
        "image_max_ratio": "許される最大の縦横比(長辺÷短辺)です。これより細長い画像は切り取られます。",
        "sub_image_num": "縮小した画像を、1枚につき何枚追加で学習するかです。画像が少ないときの過学習を抑えます。",
        "image_num_multiply": "フォルダを一巡する間に、各画像を何回使うかです。",
        "image_mirroring": (
            "すべての画像を左右反転したものも学習します。文字など左右に意味があるときは、オフにしてください。"
        ),
        "image_use_filename_as_tag": (
            "ファイル名をキャプションとして使います。_id_より前の部分を使い、_はコンマとして読みます。"
        ),
        "image_disable_upscale": "学習サイズより小さい画像を拡大せず、そのままの大きさで使います。",
        "train_iterations": (
            "学習するステップ数です。目安はLoRAで1000、iLECOとDifferenceで300~1000、ADDifTで30~100です。"
        ),
        "train_batch_size": "1ステップで学習するサンプルの数です。増やすと学習が安定しますが、メモリも多く使います。",
        "train_learning_rate": (
            "1ステップでどれだけ変化させるかです。画像が崩れるなら下げ、学習されないなら上げてください。"
            "ProdigyとDAdapt系のオプティマイザーでは1にします。"
        ),
        "train_textencoder_learning_rate": (
            "テキストエンコーダーだけの学習率です。空欄か0なら、全体の学習率を使います。"
        ),
        "train_optimizer": (
            "更新の計算方法です。迷ったらAdamWを選んでください。8bitのものはメモリを節約でき、"
            "ADDifTのプリセットはCAMEを使います。"
        ),
        "train_optimizer_settings": (
            "オプティマイザーの追加設定です。key=valueの形で1行に1つずつ、または;で区切って書きます。"
            "例: betas=0.9,0.99; weight_decay=0.01"
        ),
        "train_lr_scheduler": (
            "学習率を学習中にどう変えるかです。cosineは0までなめらかに下げます。"
            "reduce_on_plateauは25ステップごとの平均損失を見て、patienceはその回数を数えます。"
        ),
        "train_lr_scheduler_settings": (
            "スケジューラーの追加設定です。key=valueの形で1行に1つずつ、または;で区切って書きます。例: eta_min=0.00001"
        ),
        "train_lr_step_rules": (
            "piecewise_constant用の設定です。学習率の倍率と、それを使う最後のステップを並べ、"
            "最後に倍率だけを書きます。例: 1:200,0.1:500,0.01"
        ),
        "train_lr_warmup_steps": (
            "このステップ数をかけて、学習率を0から少しずつ上げます(対応するスケジューラーのみ)。"
            "学習の初めに崩れるときに有効です。"
        ),
        "train_lr_scheduler_num_cycles": "restartsの付くスケジューラーとcyclicが、1回の学習で周期を繰り返す回数です。",
        "train_lr_scheduler_power": "polynomialスケジューラーの指数です。1なら直線的に下がります。",
        "train_seed": (
            "乱数のもとになる値です。同じシードなら同じLoRAになります。-1なら自動で決め、その値を記録します。"
        ),
        "train_min_timesteps": (
            "学習する最小のタイムステップです。小さい値は細部や画風に効きます。"
            "ADDifTの画風の学習には200~400が向いています。"
        ),
        "train_max_timesteps": (
            "この値より小さいタイムステップを学習します。大きい値は構図に効きます。"
            "ADDifTの動作や形の学習には500~1000が向いています。"
        ),
        "train_fixed_timsteps_in_batch": "サンプルごとに変えず、バッチ全体で同じタイムステップを使います。",
        "train_loss_function": (
            "誤差の測り方です。普通はMSEを使います。L1とSmooth-L1は一部の大きな誤差に引きずられにくくなります。"
        ),
        "train_snr_gamma": (
            "Min-SNRの値です。易しいタイムステップに学習が偏るのを防ぎます。5がおすすめで、0なら使いません。"
        ),
        "slider_positive": (
            "スライダーを作ります。強度1で元のプロンプトの絵がこのプロンプトの側へ、-1で負のプロンプトの側へ動きます。"
            "1行なら全ての元のプロンプトに、複数行なら行ごとに使います。"
        ),
        "slider_negative": "スライダーの反対側です。目標のプロンプトは空にします。",
        "slider_scale": "強度1で動く幅です。2つのプロンプトの差を単位とします。",
        "ileco_denoise_steps": (
            "学習の各ステップの前に行うノイズ除去の回数です。途中の絵に近いものから学習しますが、その分遅くなります。"
            "0なら純粋なノイズを使います。"
        ),
        "keep_prompts": (
            "絵を変えたくないプロンプトを、1行に1つか;区切りで書きます。例えば学習対象の種類を、トリガーワードなしで書きます。"
        ),
        "keep_weight": "変えたくないプロンプトを保つ力の、学習に対する重みです。0なら使いません。",
        "train_model_precision": (
            "モデル本体の重みの精度です。int8はメモリを節約でき、modelは保存された精度のまま使います。"
        ),
        "train_lora_precision": "学習中のLoRAの精度です。fp32なら安心です。",
        "train_VAE_precision": "VAEの精度です。SDXLのVAEはfp16では失敗することがあるため、fp32なら安心です。",
        "use_gradient_checkpointing": (
            "少し遅くなる代わりに、メモリを大きく節約します。メモリが足りないときは、まずこれを試してください。"
        ),
        "save_lora_name": (
            "LoRAのファイル名です(拡張子は不要です)。フォルダ名/名前と書くとサブフォルダに保存し、"
            "空欄ならuntitledになります。"
        ),
        "save_per_steps": "このステップ数ごとにもLoRAを保存し、後で一番良いものを選べます。0なら最後だけ保存します。",
        "save_precision": "保存するファイルの精度です。fp16はfp32の半分の大きさで、違いはほとんどありません。",
        "save_overwrite": "同じ名前のLoRAを置き換えます。オフの場合、名前が使われていれば学習を始めません。",
        "save_as_json": "学習のたびに、設定をJSONファイルとして日付ごとに残します。",
        "diff_load_1st_pass": "1回目の学習の代わりに使うLoRAファイルです。以前に保存したコピー機LoRAを指定します。",
        "diff_save_1st_pass": "1回目の学習でできたコピー機LoRAも保存し、後の学習で使えるようにします。",
        "diff_1st_pass_only": "1回目の学習だけで終わり、元の画像のコピー機LoRAだけを作ります。",
        "diff_revert_original_target": "元と目標を入れ替え、逆の変化を学習します。",
        "diff_use_diff_mask": "2枚の画像が異なる部分だけを学習します。それ以外の部分がLoRAに混ざるのを防ぎます。",
        "diff_alt_ratio": (
            "逆方向の学習の強さです。逆方向も学習すると、LoRAがプラスにもマイナスにも働くようになります。"
            "0なら行わず、マイナスの値ならノイズだけを使います。"
        ),
        "diff_both_turns": (
            "順方向と逆方向を交互にではなく、1ステップで同時に学習します。半分のステップ数で同じ量を学習しますが、"
            "学習率を上げる必要があるかもしれません。"
        ),
        "diff_noise_count": (
            "1ステップで画像のペアごとに使うノイズの数です。増やすと学習が安定しますが、メモリを多く使います。"
        ),
        "diff_keep_outside": (
            "差分のマスクを使うとき、2枚の画像に共通する部分を、LoRAなしのモデルの結果にどれだけ強く保つかです。"
            "0で無効、まずは1を試してください。"
        ),
        "logging_save_csv": "各ステップの損失と学習率をCSVファイルに書き出します。",
        "logging_verbose": "コンソールに詳しい経過を表示します。",
        "sample_prompt": "学習の途中で生成する画像のプロンプトです。",
        "sample_negative": "学習の途中で生成する画像のネガティブプロンプトです。",
        "sample_every_steps": "このステップ数ごとに、その時点のLoRAで画像を生成します。0なら生成しません。",
        "sample_seed": "学習の途中で生成する画像のシードです。同じ値なので、画像を見比べられます。",
        "sample_strengths": "並べて見たいLoRAの強さを、コンマで区切って書きます。0はLoRAなしの画像です。",
        "effect_strip": (
            "学習の後に、LoRAの強さ-1、0、1の画像を並べて生成し、効果を確かめます。GPUがないと時間がかかります。"
        ),
        "model_v_pred": (
            "モデルがv-prediction(速度の予測)のものであることを示します。普通は自動で判別されます。"
            "画像がノイズだらけになるときに試してください。"
        ),
    }
)

TEXTS: Mapping[str, str] = MappingProxyType(
    {f"label.{name}": text for name, text in LABELS.items()} | {f"help.{name}": text for name, text in HELP.items()}
)
