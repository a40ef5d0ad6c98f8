"""画像、キャプション、画像の組、画像ツールの文。"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "data.file_error": "{file}: {problem}。",
        "data.file_problem": "{name}: {what}。{done}。",
        "data.problem_of_many": "{what}。{done}({names})。",
        "data.likewise": "{problem}同じもの: {names}",
        "data.and_more": "ほか {count} 件",
        "data.range": "{least}~{most}",
        "data.small_many": "小さい画像が {count} 枚あります({size})",
        "data.extreme_shape_many": "極端に細長い画像が {count} 枚あります({size})",
        "data.skipped_size_many": "skip_image_resolution より大きくない画像が {count} 枚あります({size})",
        "data.smaller_than_frames_many": (
            "学習するどのサイズよりも小さい画像が {count} 枚あり({size})、「{setting}」がオンになっています"
        ),
        "data.caption_empty_many": "空のキャプションファイルが {count} 個あります",
        "data.caption_alone_many": "画像のないキャプションが {count} 個あります",
        "data.transparent_many": "全体が透明な画像が {count} 枚あります",
        "data.empty_file_many": "空のファイル(0 バイト)が {count} 個あります",
        "data.named_problem": "{name}: {what}",
        # ---- フォルダ
        "data.no_folder_given": "空欄です。画像のあるフォルダを指定してください。",
        "data.folder_is_file": "「{path}」はファイルです。画像のあるフォルダを指定してください。",
        "data.no_folder": "フォルダ「{path}」がありません。{advice}",
        "data.folder_unreadable": (
            "フォルダ「{folder}」を開けません({reason})。読み取りを許可するか、別のフォルダを選んでください。"
        ),
        "data.no_image": "フォルダ「{folder}」に画像がなく、ほかのファイルしかありません({files})。{advice}",
        "data.empty_folder": "フォルダ「{folder}」は、サブフォルダも含めて空です。{advice}",
        "data.advice_without_quotes": "引用符を外してください: {path}",
        "data.advice_without_spaces": "前後の空白を外してください: {path}",
        "data.advice_near": "{path} のことではありませんか。",
        "data.advice_check": "つづりを確かめてください。",
        "data.advice_check_below": "パスを確かめてください。実際にあるのは {folder} までです。",
        "data.advice_left_out": (
            "画像は「{name}」の中にありますが、このフォルダは常に対象外です。名前を変えるか、画像を移してください。"
        ),
        "data.advice_above": "一つ上のフォルダ {folder} に画像があります。そちらのことではありませんか。",
        "data.advice_put_images": "画像({endings})を入れるか、別のフォルダを選んでください。",
        # ---- データセット設定ファイル
        "data.at_file": "{file}",
        "data.at_general": "{file}のgeneral",
        "data.at_dataset": "{file}のデータセット {dataset}",
        "data.at_subset": "{file}のデータセット {dataset}、サブセット {subset}",
        "data.at_key": "{place}の {key}",
        "data.of_dataset": "サブセットごとではなく、データセット",
        "data.of_subset": "個々のサブセット",
        "data.no_dataset_file": "ファイル「{path}」がありません。データセット設定ファイルのパスを書いてください。",
        "data.no_dataset": "データセットがありません。[[datasets]] とその中の [[datasets.subsets]] を書いてください。",
        "data.no_table": "{key} はテーブルではなく {value} です。[{key}] の下に項目を書いてください。",
        "data.no_tables": "{key} はテーブルのリストではなく {value} です。[[{key}]] の下に項目を書いてください。",
        "data.no_image_dir": "image_dirがありません。画像のあるフォルダを書いてください。",
        "data.no_resolution": "512や[512, 768](幅、高さ)のようなサイズを書いてください({value} は使えません)",
        "data.wrong_value": "{problem}。ファイルの中を直してください。",
        "data.buckets_without_resolution": (
            "解像度 {size} がバケットのサイズの範囲({least} から {most})に収まりません。"
            "min_bucket_resoかmax_bucket_resoを変えてください。"
        ),
        "data.is_no_file": "「{path}」はフォルダです。ファイルを指定してください。",
        "data.is_no_folder": "「{path}」はファイルです。フォルダを指定してください。",
        "data.folder_missing": (
            "フォルダ「{path}」が、プログラムを実行している {here} にも、ファイルのある {beside} にもありません。"
            "完全なパスを書いてください。"
        ),
        "data.file_missing": (
            "ファイル「{path}」が、プログラムを実行している {here} にも、設定ファイルのある {beside} にもありません。"
            "完全なパスを書いてください。"
        ),
        "data.path_from_file": "{place}: {key}の「{path}」は、設定ファイルのあるフォルダから探しました。",
        "data.key_misspelt": (
            "{key} はデータセット設定ファイルの項目ではありません。{near} の間違いかもしれません。"
            "ファイルの中を直してください。"
        ),
        "data.key_unknown": "{place}: {key} はデータセット設定ファイルの項目ではないので、使いません。",
        "data.key_unknown_near": (
            "{place}: {key} はデータセット設定ファイルの項目ではないので、使いません。{near} の間違いかもしれません。"
        ),
        "data.key_unsupported": "{place}: {key} には対応していないので、使いません。",
        "data.key_elsewhere": "{place}: {key} は{where}に書く項目なので、ここでは使いません。",
        "data.alpha_is_mask": "{place}: alpha_maskはオフですが、透明な部分は学習しません。",
        "data.no_enable_bucket": (
            "{place}: enable_bucketがないので、sd-scriptsと同じく、すべての画像を1つのサイズに切り抜きます。"
            "画像の形を保つには、enable_bucket = trueと書いてください。"
        ),
        "data.dataset_without_subsets": "{place}: サブセットがないので、使いません。",
        "data.beside_dataset_file": "学習データは {file} に書かれているので、{setting}は使いません。",
        "data.subset_without_repeats": "{place}: num_repeatsが1より小さいので、このサブセットは使いません。",
        "data.subset_twice": "{place}: {name} は同じデータセットにすでにあるので、このサブセットは使いません。",
        "data.subset_empty": "{place}: {name} に画像がないので、このサブセットは使いません。",
        "data.subset_inner": (
            "{place}: sd-scriptsと同じく、{folder} のサブフォルダの画像 {count} 枚は使いません。"
            "サブフォルダごとにサブセットを書いてください。"
        ),
        "data.subset_inner_only": (
            "{place}: {folder} には画像がなく、sd-scriptsと同じく、サブフォルダの画像 {count} 枚は使いません。"
            "サブフォルダごとにサブセットを書いてください。"
        ),
        "data.no_image_described": "学習する画像のあるサブセットがありません。{problems}",
        "data.skipped_size": "skip_image_resolutionより大きくありません({size})",
        "data.metadata_without_image": "{file} に書かれていますが、画像がありません",
        "data.metadata_bad_line": (
            "{file} の {line} 行目は、image_pathのあるオブジェクトではありません。直すか、削除してください。"
        ),
        "data.metadata_no_object": (
            "「{key}」はcaptionやtagsのあるオブジェクトでなければなりませんが、{value} です。直してください。"
        ),
        "data.metadata_no_text": "「{key}」の {name} は文字列でなければなりませんが、{value} です。直してください。",
        # ---- sd-scriptsのフォルダ
        "data.reg_is_data": "{setting}と同じフォルダです。同じ種類の別の画像があるフォルダを選んでください。",
        "data.only_reg": (
            "フォルダ「{folder}」には学習する画像がなく、{name} に正則化画像があるだけです。"
            "学習する画像をその隣に置くか、{name} の名前を変えてください。"
        ),
        "data.reg_unused": (
            "正則化画像 {total} 枚のうち {used} 枚だけを使います。1エポックに使うのは、繰り返しを含めた学習対象の画像と"
            "同じ枚数までです。"
        ),
        "data.numbers_not_repeats": (
            "次のフォルダの名前の先頭の数字は、繰り返し回数ではなく年や日付や順番とみなします"
            "(繰り返し回数は 1 から {most} までで、先頭に 0 を付けません): {names}。画像は1回ずつ使います。"
        ),
        "data.numbers_not_repeats_more": (
            "次のフォルダの名前の先頭の数字は、繰り返し回数ではなく年や日付や順番とみなします"
            "(繰り返し回数は 1 から {most} までで、先頭に 0 を付けません): {names}、ほか {more} 個。"
            "画像は1回ずつ使います。"
        ),
        "data.folder_without_repeats": (
            "画像が {count} 枚ありますが、隣のフォルダと違って名前に繰り返し回数がありません"
            "(先頭に 1_ などを付けてください)"
        ),
        "data.folder_zero_repeats": "画像が {count} 枚ありますが、名前の繰り返し回数が 0 です",
        "data.folder_beside_images": "画像が {count} 枚ありますが、学習画像のフォルダではありません",
        "data.masks_of_several_folders": (
            "マスクが {count} 枚ありますが、同じ名前の画像が複数のフォルダにあります(この中に同じ名前のフォルダを作って"
            "分けてください)"
        ),
        "data.other_reg": "正則化画像が {count} 枚ありますが、別のフォルダが指定されています",
        "data.files_of": "{ending} が {count} 個",
        "data.files_without_ending": "拡張子なしが {count} 個",
        "data.too_many_samples": (
            "画像 {count} 枚を {repeats} 回ずつ使うと、サンプルが {most:,} 個を超えます。繰り返しを減らしてください。"
        ),
        "data.nothing_usable": (
            "「{folder}」に学習できる画像がありません: {problems}。画像を直すか、差し替えてください。"
        ),
        "data.nothing_usable_more": (
            "「{folder}」に学習できる画像がありません: {problems}、ほか {more} 件。画像を直すか、差し替えてください。"
        ),
        # ---- 画像の問題
        "data.cannot_open": "開けません({reason})",
        "data.broken": "壊れています({reason})",
        "data.only_zeros": "壊れています(中身がすべてゼロです)",
        "data.empty_file": "空のファイルです(0バイト)",
        "data.no_pixels": "画素がありません({size})",
        "data.too_large": "大きすぎます({reason})",
        "data.too_many_pixels": "大きすぎます({size} 画素、上限は {most} メガピクセル)",
        "data.too_many_passes": "展開に時間がかかりすぎます({size} の画素を {count} 回重ねて描くJPEG)",
        "data.too_large_for_memory": "大きすぎてメモリに入りません",
        "data.web_page": "画像ではなく、保存されたWebページです",
        "data.video": "中身は動画です。画像を選んでください",
        "data.needs_plugin": (
            "中身は {format} で、このままでは読めません。{package} をインストールするか、PNGかJPEGに変換してください"
        ),
        "data.other_format": "中身は {format} です。PNGかJPEGに変換してください",
        "data.unknown_format": "読み込める形式の画像ではありません",
        "data.transparent": "全体が透明です",
        "data.transparent_middle": "学習に使う中央の部分が透明です",
        "data.smaller_than_frames": "学習サイズのどれよりも小さく({size})、「{setting}」がオンです",
        "data.small": "小さい画像です({size})",
        "data.extreme_shape": "極端に細長い画像です({size})",
        "data.animated": "アニメーション画像です",
        "data.large_text": "画素のほかに {megabytes} MB 以上のテキストを含んでいます",
        "data.several_pages": "複数のページがあります",
        "data.broken_profile": "カラープロファイルが壊れています",
        "data.is_preview": "学習ツールが作ったプレビューです",
        "data.is_control_image": "学習する画像ではなく、制御用の画像です",
        "data.is_mask_alone": "対応する画像のないマスクです",
        "data.is_mask_of_several": "複数の画像に当てはまるマスクです({images})",
        "data.is_second_mask": "{other} の2枚目のマスクです",
        "data.is_mask_unused": "マスクですが、「{setting}」がオフです",
        "data.and_others": "{what}(ほか {count} 個も同じです)",
        "data.mask_unusable": "マスク {file} を使えません({problem})",
        "data.mask_other_shape": "マスク {file} と縦横比が違います(マスクは {size}、画像は {other_size})",
        "data.mask_empty": "マスク {file} で全体が隠れています",
        "data.mask_empty_middle": "学習に使う部分が、マスク {file} ですべて隠れています",
        "data.no_mask": "ほかの画像にはあるマスクがありません",
        "data.folder_inside_unreadable": "開けないフォルダです({reason})",
        "data.changed": "画像が変わりました。{before} だったのが、今は {now} です。最初からやり直してください。",
        # ---- キャプションの問題
        "data.caption_too_long": "キャプションとしては長すぎます({most} kBを超えています)",
        "data.caption_is_image": "中身は {format} の画像です",
        "data.caption_is_file": "中身は {format} のファイルです",
        "data.caption_is_riff": "中身はWebPの画像か音声です",
        "data.caption_is_archive": "中身はZIPかOfficeのファイルです",
        "data.first_lines": (
            "複数行のキャプションファイルが {count} 個あり、1行目だけを使います。ほかの行も使うには、{setting} を "
            "random か joined にしてください。"
        ),
        "data.json_without_caption": (
            "画像と同じ名前のJSONファイルのうち {count} 個には、キャプションがありません"
            "(caption、text、prompt、description、tagsのどれもありません)。"
        ),
        "data.syntax_weights": (
            "(tag:1.2) や [tag] のような強調の書き方があるキャプションが {count} 個あり、文字のまま学習します。"
            "プロンプトと同じように読ませるには、{setting} をオンにしてください。"
        ),
        "data.syntax_escapes": (
            "\\(series\\) のように括弧の前に \\ があるキャプションが {count} 個あり、\\ も文字として学習します。"
            "取り除くには、{setting} をオンにしてください。"
        ),
        "data.syntax_wildcards": (
            "{{ red | blue }} のようなワイルドカードがあるキャプションが {count} 個あり、文字のまま学習します。"
            "どれか1つを選ばせるには、{setting} をオンにしてください。"
        ),
        "data.syntax_networks": (
            "<lora:名前:1> のような書き方があるキャプションが {count} 個あります。キャプションではLoRAは読み込まれず、"
            "文字のまま学習します。取り除いてください。"
        ),
        "data.syntax_files": (
            "__colors__ のようなワイルドカードファイルの書き方があるキャプションが {count} 個あり、"
            "文字のまま学習します。意味する言葉を書いてください。"
        ),
        "data.syntax_separator": (
            "記号 ||| があるキャプションが {count} 個あり、文字のまま学習します。固定するタグを分ける記号なら、"
            "{setting} に入れてください。"
        ),
        "data.caption_no_json": "JSONとして正しくありません",
        "data.no_text": "テキストではなくバイナリデータです",
        "data.caption_unusable": "キャプションのファイル {file} を使えません({problem})",
        "data.caption_empty": "キャプションのファイル {file} が空です",
        "data.caption_unclear": "キャプション {file} の文字コードがはっきりしません",
        "data.caption_shared": "複数の画像に共通のキャプションです({images})",
        "data.caption_alone": "対応する画像がありません",
        # ---- どう扱うか
        "data.is_left_out": "使いません",
        "data.left_out_with": "{other} とともに使いません",
        "data.first_frame_used": "最初のコマだけを使います",
        "data.text_unread": "テキストは読まずに使います",
        "data.first_page_used": "最初のページだけを使います",
        "data.profile_unused": "プロファイルなしで使います",
        "data.used_enlarged": "{factor} 倍に拡大して使います",
        "data.partly_used": "{frame} に収まる {percent} % だけを使います",
        "data.used_whole": "全体を使います",
        "data.used_with_trigger": "トリガーワードだけで使います",
        "data.used_without_caption": "キャプションなしで使います",
        "data.used_with_class_words": "フォルダの言葉「{words}」をキャプションにして使います",
        "data.used_with_original_caption": "元の画像のキャプションで使います",
        "data.used_for_nothing": "使いますが、何も学習されません",
        "data.used_for_each": "それぞれに使います",
        "data.read_as": "{encoding} として読みました。確かめてください",
        # ---- 画像の組
        "data.no_suffix": "空欄だと、どの画像も自分自身と組になります。{advice}",
        "data.no_pair": "「{folder}」に、末尾の「{suffix}」だけが違う名前の画像の組がありません。{advice}",
        "data.advice_suffix": ("目標画像のファイル名の末尾を書いてください。a.png と a_closed.png なら _closed です。"),
        "data.advice_suffix_without_ending": "{ending} を付けずに書いてください: {suffix}",
        "data.no_target": "目標画像「{name}」が同じフォルダにありません",
        "data.no_original": "元画像「{name}」が同じフォルダにない目標画像です",
        "data.extra_target": "{other} の目標画像がほかにもあります",
        "data.same_pixels": "{other} と画素が同じです",
        "data.same_file": "{other} と同じファイルです",
        "data.other_shape": "{other} と縦横比が違います({size}、元画像は {other_size})",
        "data.original_transparent": "組になる {other} は全体が透明です",
        "data.pair_transparent_middle": "{other} と同じく、中央の部分が透明です",
        "data.no_difference": "{other} と違いがありません",
        "data.both": "{one}と{other}",
        "data.given_folder": "「{path}」はフォルダです。その中の画像を1枚選んでください。",
        "data.given_missing": "「{path}」がありません。つづりを確かめてください。",
        "data.given_unusable": "「{path}」: {problem}。別の画像を選んでください。",
        "data.same_as_original": "元画像と同じファイルなので、学習することがありません。別の画像を選んでください。",
        "data.shapes_differ": (
            "縦横比が違います。元画像は {original}、目標画像は {target} です。どちらかを切り抜いて揃えてください。"
        ),
        "data.pair_alike": (
            "見えている部分に違いがないため、マスクが空になります。違いのある画像を選ぶか、「{setting}」をオフに"
            "してください。"
        ),
        "data.sample_alike": (
            "目標画像と、見えている部分に違いがないため、マスクが空になります。この組を外すか、「{setting}」をオフに"
            "してください。"
        ),
        "data.image_resized": "{name} ({size}): {frame} で学習します。",
        "data.pair_resized": "{name} ({size}) と {other} ({other_size}): {frame} で学習します。",
        # ---- データの内訳
        "data.heading_images": "画像",
        "data.heading_captions": "キャプション",
        "data.heading_example": "例",
        "data.heading_masks": "マスク",
        "data.heading_sizes": "サイズ",
        "data.heading_cropped": "切り落とし",
        "data.heading_augmented": "ランダム",
        "data.heading_epoch": "エポック",
        "data.heading_ignored": "対象外",
        "data.heading_note": "注意",
        "data.heading_none": "",
        "data.account_list": "{parts}",
        "data.account_images": "{folder} の画像 {count} 枚",
        "data.account_images_of_folders": "{folder} の {folders} 個のフォルダにある画像 {count} 枚",
        "data.account_images_scattered": "{folders} 個のフォルダにある画像 {count} 枚",
        "data.account_pairs": "{folder} の画像の組 {count} 組",
        "data.account_pairs_of_folders": "{folder} の {folders} 個のフォルダにある画像の組 {count} 組",
        "data.account_pairs_scattered": "{folders} 個のフォルダにある画像の組 {count} 組",
        "data.account_reg_images": "{folder} の正則化画像 {count} 枚",
        "data.account_reg_images_of_folders": "{folder} の {folders} 個のフォルダにある正則化画像 {count} 枚",
        "data.account_reg_images_scattered": "{folders} 個のフォルダにある正則化画像 {count} 枚",
        "data.account_and_reg": "{what}と、{reg}",
        "data.account_in_dataset": "{name}(データセット {dataset})",
        "data.account_left_out": "{what}(ほかに {count} 枚は使いません)",
        "data.account_subset": "{name}: 画像 {count} 枚、1エポックに {repeats} 回ずつ",
        "data.account_reg": "{name}: 正則化画像 {count} 枚、1エポックに {repeats} 回ずつ",
        "data.account_more_subsets": "ほか {count} 個のフォルダ",
        "data.account_unfinished": (
            "{folder} の画像 {count} 枚。多いため、今はすべてを確認できません({done} 枚まで確認済み)。学習の開始前に、"
            "すべての画像を確認します。"
        ),
        "data.account_unanswered": "{folder} の応答に時間がかかっています。学習の開始前に確認します。",
        "data.account_sized": "{name} ({size})",
        "data.account_pair": "{original} から {target} へ",
        "data.account_differing": "面積の {percent} % が異なります",
        "data.account_caption_files": "ファイルから {count} 件({encodings})",
        "data.account_caption_lists": "メタデータファイルから {count} 件",
        "data.account_caption_folders": "フォルダ名から {count} 件",
        "data.account_caption_names": "ファイル名から {count} 件",
        "data.account_caption_empty": "うち空のもの {count} 件",
        "data.account_caption_missing": "キャプションのない画像 {count} 枚",
        "data.account_trigger": "トリガーワード {word} のないものには先頭に追加",
        "data.account_lines_random": "ステップごとに1行を選択",
        "data.account_lines_joined": "すべての行をつなげて使用",
        "data.account_prefix": "前に「{text}」を追加",
        "data.account_suffix": "後に「{text}」を追加",
        "data.account_wildcards": "ワイルドカードから毎回1つを選択",
        "data.account_shuffled": "タグをシャッフル",
        "data.account_tag_dropout": "タグの {percent} % を省略",
        "data.account_kept_before": "「{separator}」より前のタグは固定",
        "data.account_kept": "先頭の {count} 個のタグは固定",
        "data.account_separator": "「{one}」を「{other}」に置き換え",
        "data.account_dropout": "{percent} % の確率でキャプションなし",
        "data.account_dropout_epochs": "{epochs} エポックごとにキャプションなし",
        "data.account_weights": "(tag:1.2) などの強調はプロンプトと同じように解釈",
        "data.account_max_tokens": "{count} トークンまで使用",
        "data.account_captions_unchanged": "キャプションをそのまま使用",
        "data.account_of_subsets": "{names}: {what}",
        "data.account_image_random_flip": "左右反転(2回に1回)",
        "data.account_image_random_crop": "切り抜く位置",
        "data.account_image_color_augmentation": "色合い",
        "data.account_unaugmented": "画像をそのまま使用",
        "data.account_example": "{name} は「{caption}」",
        "data.account_size": "{size} ({count})",
        "data.account_sizes": "{first} から {last} までの {count} 種類。最も多いのは {most} (サンプル {of_most} 個)",
        "data.account_masks": "画像 {images} 枚のうち {count} 枚に使います",
        "data.account_cropped": (
            "1割以上が切り落とされる画像が {count} 枚あります。最も多いのは {name} で、"
            "{frame} に収めるために {percent} % を失います"
        ),
        "data.account_finer": "{settings} にすると {count} 枚に減ります",
        "data.account_finer_none": "{settings} にすると1枚もなくなります",
        "data.account_setting": "「{setting}」を {value}",
        "data.account_epoch": "サンプル {count} 個で {steps} ステップ",
        "data.account_epoch_because": "サンプル {count} 個({reasons})で {steps} ステップ",
        "data.account_smaller_sizes": "各画像を小さいサイズでも {count} 個まで",
        "data.account_mirrored": "左右反転も使用",
        "data.account_repeated": "{count} 回繰り返し",
        "data.account_seen": "{what}。全 {steps} ステップは {epochs} エポックで、各画像を {seen}学習します",
        "data.account_seen_pairs": "{what}。全 {steps} ステップは {epochs} エポックで、各組を {seen}学習します",
        "data.account_seen_reg": (
            "{what}。全 {steps} ステップは {epochs} エポックで、学習対象の画像はそれぞれ {seen}、正則化画像はそれぞれ "
            "{reg_seen}学習します"
        ),
        "data.fact_images": "画像{count:枚|枚}",
        "data.fact_pairs": "画像{count:組|組}",
        "data.fact_captions": "キャプション付き{count}枚",
        "data.fact_trigger": "トリガーワード「{word}」",
        "data.fact_seen": "1枚あたり{seen}",
        "data.fact_seen_pairs": "1組あたり{seen}",
        "data.account_times": "{times} 回",
        "data.account_times_between": "{least}~{most} 回",
        # ---- データの気になる点
        "data.without_any_caption": (
            "どの画像にもキャプションがなく、トリガーワードもありません。"
            "LoRAは空のプロンプトの絵として覚えるため、呼び出す"
            "言葉がありません。「{setting}」を設定するか、キャプションを書いてください。"
        ),
        "data.without_caption": (
            "画像 {count} 枚のうち {without} 枚にキャプションがなく、トリガーワードもありません。"
            "これらは空のプロンプトの絵"
            "として学習されます。「{setting}」を設定するか、キャプションを書いてください。"
        ),
        "data.no_word_to_replace": (
            "トリガーワードがないので、ほかの単語でも学習した内容が出るのを「{setting}」で防げません。"
            "キャプションで使っている言葉を「{trigger}」に書いてください。"
        ),
        "data.copies_same": "同じ画素の画像が重複しています({count} 枚): {copies}",
        "data.copies_same_more": "同じ画素の画像が重複しています({count} 枚): {copies}、ほか {more} 枚",
        "data.copies_alike": "ほかの画像とほとんど同じに見える画像が {count} 枚あります: {copies}",
        "data.copies_alike_more": "ほかの画像とほとんど同じに見える画像が {count} 枚あります: {copies}、ほか {more} 枚",
        "data.copy_of": "{name} と {other}",
        "data.equal_pairs": "{pairs} 組のうち {count} 組は、2枚の画素が同じです。これらからは何も学習されません。",
        "data.all_pairs_equal": (
            "「{folder}」のどの組も2枚の画素が同じなので、学習することがありません。"
            "元画像と違いのある目標画像を用意して"
            "ください。"
        ),
        "data.pair_same_pixels": "元画像と画素が同じなので、学習することがありません。別の画像を選んでください。",
        "data.pair_hardly_differs": (
            "2枚の画像にはほとんど違いがなく、目に見えるほどの差がありません。正しい画像かどうか確かめてください。"
        ),
        "data.batch_above_samples": (
            "{setting} が {batch} ですが、学習するサンプルは {count} 個です。1ステップに同じものが何度も入ります。"
        ),
        "data.batch_above_epoch": (
            "{setting} が {batch} ですが、学習するサンプルは {count} 個です。1ステップに使うのは多くてもこの数です。"
        ),
        "data.more_samples_than_steps": (
            "{setting} が {repeats} でサンプルは {count} 個になりますが、学習に使うのは {taken} 個です。"
            "使われない画像が出るかもしれません。この値を下げるか、学習を長くしてください。"
        ),
        "data.too_small_for_model": (
            "このモデルは {own} 向けで、{size} はそれよりかなり小さいサイズです。モデルが苦手とするサイズなので、学習の"
            "質も下がります。「{setting}」を大きくしてください。"
        ),
        "data.too_large_for_model": (
            "このモデルは {own} 向けで、{size} はそれよりかなり大きいサイズです。同じものが繰り返し描かれやすく、"
            "メモリも"
            "多く使います。「{setting}」を小さくしてください。"
        ),
        # ---- バケット
        "data.min_length_too_long": (
            "最小の辺の長さ {length} が画像サイズの長辺 {side} より大きいため、すべての画像を {frame} で学習します。"
            "最小の辺の長さを小さくしてください。"
        ),
        "data.no_smaller_frames": (
            "縮小画像の枚数は {count} ですが、これより小さい枠がないため、縮小画像は学習しません。最小の辺の長さか"
            "バケットの刻み幅を小さくしてください。"
        ),
        "data.no_smaller_frames_in": (
            "「{setting}」は {count} ですが、{bucketing} では縮小画像を作らないため、縮小画像は学習しません。"
        ),
        "data.few_smaller_frames": (
            "縮小画像の枚数は {count} ですが、小さい枠は {frames} 個だけなので、どの画像もそのすべてで学習します。"
        ),
        # ---- 画像ツール
        "data.field_unknown": "ここでは使えない項目です。使えるのは {known} です",
        "data.no_source": "空欄です。画像かフォルダのパスを書いてください",
        "data.field_no_choice": "{value} ではなく、{choices} のどれかにしてください",
        "data.field_not_whole": "{value} ではなく、{least} から {most} までの整数にしてください",
        "data.field_not_between": "{value} ではなく、{least} から {most} までの数にしてください",
        "data.field_no_number": "{value} ではなく、数にしてください",
        "data.field_no_truth": "{value} ではなく、true か false にしてください",
        "data.source_missing": "「{path}」がありません。つづりを確かめてください。",
        "data.target_is_file": "「{path}」はファイルです。フォルダを指定してください。",
        "data.only_variations": (
            "フォルダ「{folder}」にはバリエーションしかありません。元の画像のあるフォルダを選んでください。"
        ),
        "data.no_folder_beside": "「{path}」の隣にフォルダを作れません。保存先を指定してください。",
        # ---- epochs and validation
        "data.too_many_epochs": (
            "{epochs} エポック(1エポック {per_epoch} ステップ)は {steps} ステップになり、上限の {most} を超えます。"
            "減らしてください。"
        ),
        "data.too_few_to_validate": (
            "画像を検証に回すには2枚以上必要ですが、{count} 枚しかありません。0にするか、画像を増やしてください。"
        ),
        "data.account_validation": (
            "{total} 枚のうち {validated} 枚は学習に使わず、知らない画像をLoRAがどう扱うかを検証の損失として測ります。"
        ),
    }
)
