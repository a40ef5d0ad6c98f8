"""設定とその確認の文言。

値の誤りの文は設定名の後に続くため、文末に句点を付けません。
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- errors
        # ---- where
        "config.second_pass": "2回目の学習",
        "config.of_pass": "{name}、{label}",
        "config.preset": "プリセット",
        "config.preset_name": "プリセット名",
        # ---- values
        "config.not_text": "文字を書いてください({value} は使えません)",
        "config.broken_character": "壊れた文字が入っています。入力し直してください",
        "config.no_choice": "{value} は選べません。次から選んでください: {choices}",
        "config.no_choice_near": "{value} は選べません({near} のことですか)。次から選んでください: {choices}",
        "config.not_bool": "true か false にしてください({value} は使えません)",
        "config.not_whole": "整数を書いてください({value} は使えません)。例: {example}",
        "config.not_number": "数を書いてください({value} は使えません)。例: {example}",
        "config.not_finite": "有限の数を書いてください({value} は使えません)。例: {example}",
        "config.no_multiple": "{multiple} の倍数にしてください({value} ではなく {near})",
        "config.no_multiple_for": (
            "{family} では {multiple} の倍数にしてください({value} ではなく {lower} か {upper})"
        ),
        "config.no_multiple_between": "{multiple} の倍数にしてください({value} ではなく {lower} か {upper})",
        "config.not_above": "{bound} より大きくしてください({value} は使えません)",
        "config.not_between": "{least} から {most} の間にしてください({value} は使えません)",
        "config.too_small": "{least} 以上にしてください({value} は使えません)",
        "config.too_large": "{most} 以下にしてください({value} は使えません)",
        "config.no_size": (
            "{value} は画像サイズではありません。正方形なら 512、そうでなければ 幅x高さ (512x768) か "
            "高さ,幅 (768,512) と書いてください"
        ),
        "config.no_list": "コンマで区切って並べてください({value} は使えません)",
        "config.unknown_blocks": "{names} というブロックはありません。ブロックは {blocks} です",
        "config.no_blocks": "1つも選ばれていないため、LoRAは何も学習しません。ブロックを1つ以上選んでください",
        "config.no_numbers": "空欄です。数を1つ以上書いてください。例: 0, 1",
        # ---- key=value
        "config.no_equals": (
            "「{part}」に = がありません。1行に1つずつ key=value の形で書いてください。例: betas=0.9,0.99"
        ),
        "config.no_key": (
            "= の前の「{key}」は名前ではありません。1行に1つずつ key=value の形で書いてください。例: betas=0.9,0.99"
        ),
        "config.key_twice": "{key} が2回書かれています。1つだけにしてください",
        "config.no_value": "{key} に値がありません。1行に1つずつ key=value の形で書いてください。例: betas=0.9,0.99",
        "config.unreadable_value": (
            "{key} の値「{text}」を読めません。1行に1つずつ key=value の形で書いてください。例: betas=0.9,0.99"
        ),
        "config.two_in_one_value": (
            "{key} の値「{text}」を読めません。key=value は1行に1つずつ書くか、; で区切ってください"
        ),
        "config.infinite_value": "{key} の値は有限の数にしてください。もっと小さい数を書いてください",
        "config.no_block_rate": ("「{part}」に = がありません。例: IN04=0.5, OUT=0"),
        "config.no_block_of_rate": (
            "「{name}」というブロックはありません。IN04のようなブロックか、種類を表す {kinds} のいずれかを書いてくだ"
            "さい"
        ),
        "config.wrong_block_rate": ("{name} の倍率は0から {most} までの数にしてください。「{value}」は使えません"),
        # ---- file names
        "config.name_starts_with_slash": "/ で始めることはできません。名前、または サブフォルダ/名前 と書いてください",
        "config.name_starts_with_drive": (
            "{drive} のようなドライブ名で始めることはできません。名前、または サブフォルダ/名前 と書いてください"
        ),
        "config.name_empty_part": "/ の前後が空です。サブフォルダ/名前 と書いてください",
        "config.name_leaves_folder": (
            ".. は使えません(フォルダの外に出てしまいます)。名前、または サブフォルダ/名前 と書いてください"
        ),
        "config.name_backslash": "\\ は使えません。サブフォルダと名前の間は / にしてください",
        "config.name_forbidden": "{characters} は使えません。文字、数字、空白、- と _ を使ってください",
        "config.name_invisible": "改行などの見えない文字は使えません。入力し直してください",
        "config.name_ends_with_dot": "「{part}」の末尾にピリオドは使えません(Windowsで消えてしまいます)",
        "config.name_ends_with_space": "「{part}」の末尾に空白は使えません(Windowsで消えてしまいます)",
        "config.name_of_device": ("{name} はWindowsが装置名に使うため、名前にできません。{name}_1 などにしてください"),
        "config.name_too_long": "長すぎます。英数字で {latin} 字、日本語で {japanese} 字までにしてください",
        "config.pattern_unreadable": "波かっこで書けるのは {fields} だけです。例: {example}",
        "config.pattern_tells_nothing_apart": "ファイル名が全部同じになります。{field} を入れてください。例: {example}",
        "config.pattern_needs_step": "同じ名前のファイルが複数できます。{field} を入れてください。例: {example}",
        "config.name_empty": "空欄です。名前を書いてください",
        "config.name_with_slash": "/ は使えません(プリセットにサブフォルダはありません)",
        # ---- プレビューのプロンプト
        "config.sample_line": "{line}行目",
        "config.sample_entry": "{number}番目のプロンプト",
        "config.sample_problem": "{place}: {problem}",
        "config.sample_value": "--{option} の値は{problem}",
        "config.sample_no_number": "数で書いてください(「{value}」は読めません)",
        "config.sample_no_whole_number": "整数で書いてください(「{value}」は読めません)",
        "config.sample_outside": "{least}から{most}までにしてください({value} は使えません)",
        "config.sample_no_text": "文字列で書いてください({value} は使えません)",
        "config.sample_no_prompt": "promptがないか、文字列ではありません",
        "config.sample_list": "プロンプトのリストを書いてください。例は docs/page.md にあります",
        "config.sample_toml": "[[prompt.subset]] がありません。例は docs/page.md にあります",
        "config.sample_file_empty": "プロンプトがありません。1行に1つずつ書いてください",
        "config.sample_too_many": "プロンプトが{count}個あります。使えるのは{most}個までですので、減らしてください",
        "config.sample_note": "{file}、{note}",
        "config.sample_option": "{place}: {option} {value} はここでは意味がないため、使いません。",
        "config.sample_sampler": "{place}: サンプラーは選べないため、{option} {value} は使いません。",
        # ---- settings together
        "config.given_twice": "「{key}」と「{name}」の両方に書かれています。どちらか1つにしてください",
        "config.unknown_value": "知らない設定で、ファイルにも残せません。取り除いてください",
        "config.second_pass_within": "2回目の学習の中に、さらに2回目の学習は書けません。取り除いてください",
        "config.second_pass_no_object": (
            '設定をまとめたオブジェクトを書いてください({value} は使えません)。例: {{"network_rank": 4}}'
        ),
        # ---- --set
        "config.sets_nothing": (
            "「{text}」では何も設定されません。network_rank=16 のように key=value と書いてください。"
        ),
        "config.sets_second_pass": (
            "2回目の学習の設定をまとめて書くことはできません。2nd_pass.network_rank=4 のように1つずつ書いてください。"
        ),
        "config.unknown_key": "{key}: そのような設定はありません。無視します。",
        "config.unknown_key_near": "{key}: そのような設定はありません({near} のことですか)。無視します。",
        "config.text_encoder_unused": (
            "テキストエンコーダー {file} は使いません。"
            "ここで学習できるモデルは、自分のテキストエンコーダーを持っています。"
        ),
        "config.self_reg_images_need_weight": (
            "{setting} が 0 なので効果がありません。{setting} を 1 にするか、この設定を 0 にしてください"
        ),
        "config.self_reg_needs_trigger": (
            "キャプションからトリガーワードを取り除いて使う設定ですが、{setting} が空欄です"
        ),
        "config.no_setting": "そのような設定はありません。list settings で一覧を見られます。",
        "config.no_setting_near": "そのような設定はありません。{near} のことですか。",
        # ---- before a run
        "config.no_strength": "0 では何の効果もないLoRAになります。例: 1",
        "config.endless_warmup": (
            "学習全体が {steps} ステップなので、ウォームアップ ({warmup} ステップ) が終わりません。{steps} より小さい"
            "値にしてください"
        ),
        "config.no_hidden_dropout": (
            "{type}では効きません(間引ける中間の数値がありません)。0にするか、{setting}を使ってください"
        ),
        "config.one_rate_for_all": (
            "{optimizer} では効きません(全体で1つの学習率を自分で決めます)。倍率を0か1にするか、ほかのオプティマイザ"
            "ーを使ってください"
        ),
        "config.no_step_rules": (
            "{scheduler} には段階ルールが必要です。「倍率:ステップ」をコンマで並べ、最後に倍率だけを書いてください。"
            "例: 1:200,0.1:500,0.01"
        ),
        "config.no_timesteps": "{low} は「{highest}」の {high} より小さくしてください。例: 0 と 1000",
        "config.bucket_above_size": "画像サイズの短辺 {side} を超えています。{side} 以下にしてください",
        "config.bucket_below_size": "画像サイズの長辺 {side} より小さい値です。{side} 以上にしてください",
        "config.no_folder": "空欄です。画像のあるフォルダを書いてください",
        "config.no_folder_or_file": (
            "空欄です。画像のあるフォルダを書くか(ページでは、上の枠に画像をドロップすることもできます)、"
            "「{file}」にデータセット設定ファイルを指定してください"
        ),
        "config.no_concept": (
            "空欄です。変えたい概念を書いてください(目標のプロンプトが空欄なら、それを消す学習になります)"
        ),
        "config.same_prompt": "元のプロンプトと同じなので、学習することがありません。どちらかを変えてください",
        "config.other_lines": "{count} 行ありますが、元のプロンプトは {wanted} 行です。行数を揃えてください",
        "config.kept_is_original": "変えたい元のプロンプトが含まれています。取り除いてください",
        "config.base_needs_text_encoder": (
            "BASE だけを選ぶと、「{setting}」が有効なときしか学習できません。それを有効にするか、"
            "ほかのブロックも選んでください"
        ),
        "config.no_closed_form": (
            "「{setting}」が {value} のときは使えません。この設定 (「学習」の欄) をオフにしてステップ数を増やすか、"
            "「{setting}」を {choices} のどれかに変えてください"
        ),
        "config.target_beside_slider": (
            "スライダーのプロンプトが変化の向きを決めるため、ここには何も書けません。空欄にしてください"
        ),
        "config.other_slider_lines": (
            "{count} 行ありますが、元のプロンプトは {wanted} 行です。1行だけにするか、行数を揃えてください"
        ),
        "config.same_slider": "「{setting}」と同じなので、学習することがありません。どちらかを変えてください",
        "config.no_original_image": "空欄です。変える前の画像を選んでください",
        "config.no_target_image": "空欄です。変えた後の画像を選んでください",
        "config.same_image": "元の画像と同じなので、学習することがありません。別の画像を選んでください",
        "config.nothing_after_copier": (
            "1回目の学習の代わりにファイルを読み込むと、学習するものがなくなります。どちらかを解除してください"
        ),
        "config.no_second_pass": "有効ですが、2回目の学習の設定がありません。設定を書くか、解除してください",
        "config.base_not_in_difference": (
            "BASE はテキストエンコーダーで、Differenceでは学習しません。ほかのブロックも選んでください"
        ),
        "config.base_has_nothing_to_read": (
            "BASE はテキストエンコーダーで、読むものがありません。トリガーワードかプロンプトを書くか、"
            "ほかのブロックも選んでください"
        ),
        "config.outside_needs_mask": "マスクが必要です。「{setting}」を有効にするか、0 にしてください",
        "config.no_suffix": (
            "空欄だと、どの画像も自分自身と組になります。"
            "目標の画像のファイル名の末尾を書いてください(a.png と a_closed.png なら _closed)"
        ),
        # ---- presets
        "config.no_preset": "そのようなプリセットもファイルもありません。プリセット: {names}",
        "config.no_preset_near": (
            "そのようなプリセットもファイルもありません。{near} のことですか。プリセット: {names}"
        ),
        "config.no_presets": (
            "そのようなプリセットもファイルもありません。プリセットは1つもないため、ファイルのパスを書いてください。"
        ),
        "config.file_too_large": "設定ファイルにしては大きすぎます。設定ファイル (.json) を選んでください。",
        "config.file_not_utf8": "UTF-8のテキストではありません。UTF-8で保存してください。",
        "config.file_unreadable": "読み込めません ({reason})。別のファイルを選んでください。",
        "config.file_not_json": (
            "JSONとして読めません ({line} 行目の {column} 文字目: {reason})。そこを直してください。"
        ),
        "config.file_strange_json": "設定にはありえないJSONです。別のファイルを選んでください。",
        "config.file_no_object": (
            'JSONですが、設定をまとめたオブジェクトではありません。{{"mode": "LoRA"}} のような形にしてください。'
        ),
        "config.file_not_toml": "TOMLとして読めません ({reason})。そこを直してください。",
        "config.no_toml_reader": (
            "TOMLです。このPythonで読むにはパッケージ tomli が必要です。pip install tomli でインストールしてください。"
        ),
        "config.file_not_yaml": (
            "YAMLとして読めません ({line} 行目の {column} 文字目: {reason})。そこを直してください。"
        ),
        "config.file_strange_yaml": "設定にはありえないYAMLです。別のファイルを選んでください。",
        "config.file_no_mapping": "YAMLですが、設定をまとめた形ではありません。別のファイルを選んでください。",
        "config.preset_taken": "その名前のプリセットはもうあります。別の名前にするか、先に削除してください。",
        "config.preset_shipped": "ご自身で保存したプリセットではないため、削除できません。",
        "config.no_own_preset": "その名前のプリセットはありません。",
        "config.preset_undeletable": "削除できません ({reason})。",
        # ---- what a preset is for
        "preset_is.action-from-many-pairs": (
            "多くの画像の組に共通する変化(表情、ポーズ、身につける物の有無など)を学習します。"
            "元の画像と、それを変えた画像とを入れたフォルダーが必要です。"
            "画像が崩れるときは、学習率を下げてください。"
        ),
        "preset_is.action-from-pair": (
            "1組の画像に表れた変化(表情、ポーズ、身につける物の有無など)を学習します。"
            "元の画像と、それを変えた画像が必要です。画像が崩れるときは、学習率を下げてください。"
        ),
        "preset_is.change-concept": (
            "プロンプトに書かれたもの(色、物、場所など)を、別のものに置き換えます。プロンプトが2つ必要です。"
        ),
        "preset_is.character-from-images": (
            "キャラクターや人物を覚え、トリガーワードでさまざまな場面に呼び出せるようにします。"
            "画像のフォルダーとトリガーワードが必要です。画像が崩れるときは、U-Netとテキストエンコーダーの学習率を下げてください。"
        ),
        "preset_is.concept-slider": (
            "強さを正にすると一方が強まってその反対が弱まり、負にするとその逆になります。"
            "対象のプロンプト、スライダーのプラス側プロンプト、マイナス側プロンプトが必要です。"
        ),
        "preset_is.difference-from-pair": (
            "2枚の画像の違いを、元の画像、変化の順に、長めの2つのパスで学習します。"
            "元の画像と、それを変えた画像が必要です。"
        ),
        "preset_is.erase-concept": (
            "プロンプトに書かれていても、それを描かないようにします。"
            "元のプロンプトが必要です。目標のプロンプトは空欄のままにします。"
        ),
        "preset_is.object-from-images": (
            "特定の物(玩具、服、建物など)を覚え、トリガーワードで呼び出せるようにします。"
            "画像のフォルダーとトリガーワードが必要です。画像が崩れるときは、U-Netとテキストエンコーダーの学習率を下げてください。"
        ),
        "preset_is.style-from-images": (
            "画風や撮り方を覚え、トリガーワードで呼び出せるようにします。その画風の画像と、写っているものを書いたキャプションと"
            "を入れたフォルダー、それにトリガーワードが必要です。"
        ),
        "preset_is.style-from-pair": (
            "1組の画像に表れた画風を学習します。同じ場面の、画風を適用していない画像と適用した画像が必要です。"
        ),
        "preset_is.ADDifT_Action_SD1.5": "1組の画像から変化を学習する、TrainTrainの設定です (Stable Diffusion 1.5用)。",
        "preset_is.ADDifT_Action_XL": "1組の画像から変化を学習する、TrainTrainの設定です (Stable Diffusion XL用)。",
        "preset_is.ADDifT_Style_SD1.5": (
            "1組の画像から画風を学習する、TrainTrainの設定です (Stable Diffusion 1.5用)。画像は入れ替えて使います。"
        ),
        "preset_is.ADDifT_Style_XL": (
            "1組の画像から画風を学習する、TrainTrainの設定です (Stable Diffusion XL用)。画像は入れ替えて使います。"
        ),
        "preset_is.Difference": "Difference用のTrainTrainの設定です。2つのパスに同じ設定を使います。",
        "preset_is.Difference_Use2ndPass": (
            "Difference用のTrainTrainの設定です。2回目のパスではランクと学習率が低くなります。"
        ),
        "preset_is.LoRA": "画像のフォルダーからLoRAを学習する、TrainTrainの設定です。",
        "preset_is.iLECO": "iLECO用のTrainTrainの設定です。",
    }
)
