"""値の問題を日本語で。英語の文の形ごとに1行で、()の中身がそのまま入ります。"""

from __future__ import annotations

import re

_FORMS: tuple[tuple[str, str], ...] = (
    # ---- 値の形
    (r"must be a whole number, not (.+); write for instance (.+)", "整数を書いてください({1} は使えません)。例: {2}"),
    (r"must be a number, not (.+); write for instance (.+)", "数を書いてください({1} は使えません)。例: {2}"),
    (
        r"must be a finite number, not (.+); write for instance (.+)",
        "有限の数を書いてください({1} は使えません)。例: {2}",
    ),
    (r"must be a multiple of (.+), not (.+); write (.+) or (.+)", "{1} の倍数にしてください({2} ではなく {3} か {4})"),
    (r"must be a multiple of (.+), not (.+); write (.+)", "{1} の倍数にしてください({2} ではなく {3})"),
    (r"must be more than (.+), not (.+)", "{1} より大きくしてください({2} は使えません)"),
    (r"must be from (.+) to (.+), not (.+)", "{1} から {2} の間にしてください({3} は使えません)"),
    (r"must be at least (.+), not (.+)", "{1} 以上にしてください({2} は使えません)"),
    (r"must be at most (.+), not (.+)", "{1} 以下にしてください({2} は使えません)"),
    (
        r"(.+) must be less than train max timesteps, (.+); write .+",
        "{1} は最大タイムステップ {2} より小さくしてください",
    ),
    (
        r"(.+) is not a size; write .+",
        "{1} は画像サイズではありません。正方形なら 512、そうでなければ 高さ,幅 (768,512) と書いてください",
    ),
    (
        r"(.+) is not a choice; perhaps you mean (.+); choose one of (.+)",
        "{1} は選べません({2} のことですか)。次から選んでください: {3}",
    ),
    (r"(.+) is not a choice; choose one of (.+)", "{1} は選べません。次から選んでください: {2}"),
    (r"must be true or false, not (.+)", "true か false にしてください({1} は使えません)"),
    (r"must be text, not (.+)", "文字を書いてください({1} は使えません)"),
    (r"must be a list, not (.+); put commas between its parts", "コンマで区切って並べてください({1} は使えません)"),
    (r"is empty; write at least one number, for instance (.+)", "空欄です。数を1つ以上書いてください。例: {1}"),
    (r"(.+) not known as a block; the blocks are (.+)", "{1} というブロックはありません。ブロックは {2} です"),
    (
        r"none is chosen, so the LoRA would learn nothing; .+",
        "1つも選ばれていないため、LoRAは何も学習しません。ブロックを1つ以上選んでください",
    ),
    (
        r"has a line break or another control character in it; write one path",
        "改行などの制御文字が入っています。パスを1つ書いてください",
    ),
    (r"has a broken character in it; type it again", "壊れた文字が入っています。入力し直してください"),
    (r'there is no folder "(.+)"; .+', "フォルダ「{1}」はありません"),
    (r'"(.+)" is not a path .+', "「{1}」はパスではありません。書き直してください"),
    (r'"(.+)" is a file; .+', "「{1}」はファイルです。画像のあるフォルダを書いてください"),
    # ---- 追加設定
    (r'"(.*)" has no = in it; .+', "「{1}」に = がありません。key=value の形で、; で区切って書いてください"),
    (r'"(.*)" in front of = is not a name; .+', "= の前の「{1}」は名前ではありません。key=value の形で書いてください"),
    (r"(.+) is given twice; keep one of them", "{1} が2回書かれています。1つだけにしてください"),
    (r"(.+) has no value; .+", "{1} に値がありません。key=value の形で書いてください"),
    (
        r'the value of (.+), "(.*)", cannot be read; .+',
        '{1} の値「{2}」を読めません。数、true、false、"文字" のどれかを書いてください',
    ),
    (r"the value of (.+) must be a finite number; .+", "{1} の値が大きすぎます"),
    # ---- ファイル名
    (r"must not start with /; .+", "/ で始めることはできません。名前、または サブフォルダ/名前 と書いてください"),
    (
        r"must not start with a drive such as (.+); .+",
        "{1} のようなドライブ名で始めることはできません。名前、または サブフォルダ/名前 と書いてください",
    ),
    (r"has an empty part beside a /; .+", "/ の前後が空です。サブフォルダ/名前 と書いてください"),
    (
        r"must not contain \.\. as that would leave the folder; .+",
        ".. は使えません(フォルダの外に出てしまいます)。名前、または サブフォルダ/名前 と書いてください",
    ),
    (r"must not contain \\; .+", "\\ は使えません。サブフォルダと名前の間は / にしてください"),
    (r"must not contain line breaks .+", "改行などの見えない文字は使えません。入力し直してください"),
    (r"must not contain (.+); use letters.+", "{1} は使えません。文字、数字、空白、- と _ を使ってください"),
    (
        r'must not end with (.+), in "(.+)"; Windows would drop it',
        "「{2}」の末尾に {1} は使えません(Windowsで消えてしまいます)",
    ),
    (
        r"must not be (.+): Windows keeps .+",
        "{1} はWindowsが装置名に使うため、名前にできません。{1}_1 などにしてください",
    ),
    (
        r"is too long; keep it within (.+) Latin or (.+) Japanese letters",
        "長すぎます。英数字で {1} 字、日本語で {2} 字までにしてください",
    ),
    # ---- 学習を始める前に
    (r"is empty; write the folder that holds the images", "空欄です。画像のあるフォルダを書いてください"),
    (
        r"is empty; write the concept to be changed .+",
        "空欄です。変えたい概念を書いてください(目標のプロンプトが空欄なら、それを消す学習になります)",
    ),
    (r"is empty; choose the image as it is before the change", "空欄です。変える前の画像を選んでください"),
    (r"is empty; choose the image as it is after the change", "空欄です。変えた後の画像を選んでください"),
    (
        r"is empty, so each image would be paired with itself; .+",
        (
            "空欄だと、どの画像も自分自身と組になります。"
            "目標の画像のファイル名の末尾を書いてください(a.png と a_closed.png なら _closed)"
        ),
    ),
    (
        r"is the same as the original (?:prompt|image), so there is nothing to learn; .+",
        "元と同じなので、学習することがありません。どちらかを変えてください",
    ),
    (
        r"has (\d+) lines and the original prompt (\d+); write .+",
        "{1} 行ありますが、元のプロンプトは {2} 行です。行数を揃えてください",
    ),
    (r"0 would save a LoRA that does nothing; .+", "0 では何の効果もないLoRAになります。例: 1"),
)
_ERRORS: tuple[tuple[str, str], ...] = (
    (
        r"save lora name: (.+) is the name of a job that is waiting\. .+",
        "LoRAのファイル名: {1} は待機中のジョブの名前です。別の名前にしてください。",
    ),
    (
        r"save lora name: (.+) is the name of a job that is running\. .+",
        "LoRAのファイル名: {1} は学習中のジョブの名前です。別の名前にしてください。",
    ),
    (
        r"save lora name: (.+) is already there\. .+",
        "LoRAのファイル名: {1} はもうあります。別の名前にするか、上書きを有効にしてください。",
    ),
    (r"there is no such job in the queue\. .+", "そのジョブはもうキューにありません。"),
    (
        r"no pictures are made while a LoRA is being trained\. .+",
        "LoRAの学習中は画像を描けません。一時停止するか、終わるまで待ってください。",
    ),
    (r"other pictures are being made\. .+", "ほかの画像を描いています。終わるまで待つか、中止してください。"),
)
Compiled = tuple[tuple[re.Pattern[str], str], ...]


def compiled(forms: tuple[tuple[str, str], ...]) -> Compiled:
    """Forms of English sentences, each with its sentence in Japanese, where {1} is what the first group has found."""
    return tuple((re.compile(form, re.DOTALL), words) for form, words in forms)


def translated(text: str, forms: Compiled) -> str:
    """The same in Japanese; a sentence of another form stays as it is."""
    for form, words in forms:
        found = form.fullmatch(text)
        if found:
            return words.format("", *found.groups())
    return text


_VALUES, _SENTENCES = compiled(_FORMS), compiled(_ERRORS)


def in_japanese(what: str) -> str:
    """What is wrong with a value."""
    return translated(what, _VALUES)


def error_in_japanese(error: str) -> str:
    """A whole mistake, for those that the page alone brings about."""
    return translated(error, _SENTENCES)
