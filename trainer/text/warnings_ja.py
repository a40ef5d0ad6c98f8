"""学習中の警告とファイルの問題を日本語で。英語の文の形ごとに1行で、()の中身がそのまま入ります。"""

from __future__ import annotations

import re

from .problems_ja import compiled, translated

WHAT: tuple[tuple[str, str], ...] = (
    # ---- 画像
    (r"is animated", "アニメーション画像です"),
    (r"has several pages", "複数のページがあります"),
    (r"has a broken colour profile", "カラープロファイルが壊れています"),
    (r"is fully transparent", "全体が透明です"),
    (r"is fully transparent in its middle, which is what would be trained", "学習に使う中央の部分が透明です"),
    (
        r"is smaller \((.+)\) than every size to train at, and image disable upscale is set",
        "学習サイズのどれよりも小さく({1})、拡大しない設定になっています",
    ),
    (r"is small \((.+)\)", "小さい画像です({1})"),
    (r"has an extreme shape \((.+)\)", "極端に細長い画像です({1})"),
    (r"is broken \((.+)\)", "壊れています({1})"),
    (r"is empty \(0 bytes\)", "空のファイルです(0バイト)"),
    (r"is no image(?:, but a web page .+| in a format .+)", "読める形式の画像ではありません"),
    (
        r"is an? (.+) (?:file|drawing) by its content; convert it to PNG or JPEG",
        "中身は {1} です。PNGかJPEGに変換してください",
    ),
    (r"is too large: (.+) pixels, at most (.+) megapixels", "大きすぎます({1}、上限は {2} メガピクセル)"),
    (r"is too large for the memory of this machine", "大きすぎてメモリに入りません"),
    (r"cannot be opened \((.+)\)", "開けません({1})"),
    (r"is a folder that cannot be opened \((.+)\)", "開けないフォルダです({1})"),
    # ---- キャプション
    (r"has a caption file, (.+), that .+", "キャプションのファイル {1} を読めません"),
    (r"has an empty caption file, (.+)", "キャプションのファイル {1} が空です"),
    (r"has a caption, (.+), in an unclear encoding", "キャプション {1} の文字コードがはっきりしません"),
    (r"is the caption of (.+)", "次の画像のキャプションです: {1}"),
    (r"belongs to no image", "対応する画像がありません"),
    # ---- 画像の組
    (r'has no target: there is no image "(.+)" beside it', "目標の画像「{1}」がありません"),
    (r'is a target without an original: there is no image "(.+)" beside it', "元の画像「{1}」がありません"),
    (r"is one target too many for (.+)", "{1} の目標の画像が複数あります"),
    (r"is the same file as (.+)", "{1} と同じファイルです"),
    (r"has another shape than (.+) \((.+), not (.+)\)", "{1} と縦横比が違います({2}、元は {3})"),
    (r"does not differ from (.+)", "{1} と違いがありません"),
)
DONE: tuple[tuple[str, str], ...] = (
    (r"left out", "使いません"),
    (r"left out with (.+)", "{1} とともに使いません"),
    (r"only its first frame is used", "最初のコマだけを使います"),
    (r"only the first is used", "最初のページだけを使います"),
    (r"used without it", "それなしで使います"),
    (r"used, (.+) times enlarged", "{1} 倍に拡大して使います"),
    (r"used, but only (.+) % of it fit (.+)", "{2} に収まる {1} % だけを使います"),
    (r"used with the trigger word alone", "トリガーワードだけで使います"),
    (r"used without a caption", "キャプションなしで使います"),
    (r"used with the original's caption", "元の画像のキャプションで使います"),
    (r"used for each of them", "それぞれに使います"),
    (r"read as (.+); check it", "{1} として読みました。確かめてください"),
)
WARNINGS: tuple[tuple[str, str], ...] = (
    # ---- 設定
    (
        r"image min length (.+) is more than the longest side of image size, (.+): every image is trained as (.+)\. .+",
        (
            "最小の辺の長さ {1} が画像サイズの長辺 {2} より大きいため、すべての画像を {3} で学習します。"
            "最小の辺の長さを小さくしてください。"
        ),
    ),
    (
        r"sub image num is (.+), but these sizes leave room for no smaller frame: .+",
        (
            "縮小画像の枚数は {1} ですが、これより小さい枠がないため、縮小画像は学習しません。"
            "最小の辺の長さかバケットの刻み幅を小さくしてください。"
        ),
    ),
    (
        r"sub image num is (.+), but there are only (.+) smaller frames: .+",
        "縮小画像の枚数は {1} ですが、小さい枠は {2} 個だけなので、どの画像もそのすべてで学習します。",
    ),
    (r"(.+): trained at (\d+ x \d+)\.", "{1}: {2} で学習します。"),
    # ---- 学習の途中
    (r"No sample picture at step (\d+): (.+)", "ステップ {1} のサンプル画像は描けませんでした: {2}"),
    (r"The pause gives no memory back: (.+)", "一時停止してもメモリは空きません: {1}"),
    (
        r"Still paused, there is no room on (.+)\. .+",
        "{1} に空きがないため、一時停止のままです。空けてから再開してください。",
    ),
    (
        r"Stopped in the (.+): that one's network is all that was saved\.",
        "{1} で止めたため、保存したのはその学習結果だけです。",
    ),
    # ---- 学習の終わりに
    (r"The LoRA has no card for the WebUI beside it\. (.+)", "LoRAの説明ファイルを書けませんでした。{1}"),
    (r"(.+) The LoRA is not lost: it is in (.+)", "{1} LoRAは失われていません。次の場所にあります: {2}"),
    (r"What the LoRA changes could not be measured: (.+)", "LoRAの効果を測れませんでした: {1}"),
    (r"No pictures of what the LoRA does: (.+)", "LoRAの効果を示す画像を描けませんでした: {1}"),
    (
        r"Some of the LoRA's numbers, or of the model's, are none\. .+",
        "LoRAかモデルに数でない値があります。使わないでください。学習率を下げてください。",
    ),
    (
        r"The LoRA changes nothing: its update is zero\. .+",
        "このLoRAは何も変えません。学習率を上げるか、ステップ数を増やしてください。",
    ),
    (
        r"The LoRA changes next to nothing, (.+) of the weights, .+",
        "このLoRAはほとんど何も変えません(重みの {1})。学習率を上げるか、ステップ数を増やしてください。",
    ),
    (
        r'With the LoRA and without it, the picture of "(.*)" is the same\. .+',
        "「{1}」の画像は、LoRAがあってもなくても同じです。使う前に、ほかのプロンプトでも試してください。",
    ),
    (
        r'At strength \+1 the picture of "(.*)" differs by (.+) of 255 on average\. .+ train iterations or train .+',
        (
            "強さ +1 での「{1}」の画像の違いは、平均で255のうち {2} です。"
            "足りなければ、学習ステップ数か学習率を上げてください。"
        ),
    ),
    (
        r'At strength \+1 the picture of "(.*)" differs by (.+) of 255 on average\. .+ network strength\.',
        (
            "強さ +1 での「{1}」の画像の違いは、平均で255のうち {2} です。"
            "足りなければ、学習ステップ数、学習率、保存時の強さのどれかを上げてください。"
        ),
    ),
)
_PARTS = (
    (" and the ", "、"),
    (", the ", "、"),
    ("The ", ""),
    ("second text encoder", "2つ目のtext encoder"),
    ("text encoder", "テキストエンコーダ"),
)
_WHAT, _DONE, _WARNINGS = compiled(WHAT), compiled(DONE), compiled(WARNINGS)
_NAMED = tuple((re.compile(rf"(.+?) {form}", re.DOTALL), words) for form, words in WHAT)


def file_in_japanese(what: str, done: str) -> tuple[str, str]:
    """What is wrong with a file, and what is done about it."""
    return translated(what, _WHAT), translated(done, _DONE)


def warning_in_japanese(warning: str) -> str:
    """A run's warning; one of another form stays as it is."""
    for form, words in _DONE:
        found = re.fullmatch(rf"(.+): {form.pattern}", warning, re.DOTALL)
        said = _named(found[1]) if found else ""
        if found and said:
            return f"{said}。{words.format(*found.groups())}。"
    parts, stored, rest = warning.partition(" stored as ")
    for english, japanese in _PARTS if stored else ():
        parts = parts.replace(english, japanese)
    return translated(f"{parts}{stored}{rest}", _WARNINGS)


def _named(text: str) -> str:
    """A file's name with what is wrong with it; empty where that is of no known form."""
    for form, words in _NAMED:
        found = form.fullmatch(text)
        if found:
            return f"{found[1]}: {words.format('', *found.groups()[1:])}"
    return ""
