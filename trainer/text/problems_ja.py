"""値の問題を日本語で。英語の文の形ごとに1行で、()の中身がそのまま入ります。"""

from __future__ import annotations

import re

_FORMS: tuple[tuple[str, str], ...] = (
    (r'there is no folder "(.+)"; .+', "フォルダ「{1}」はありません"),
    (r'"(.+)" is not a path .+', "「{1}」はパスではありません。書き直してください"),
    (r'"(.+)" is a file; .+', "「{1}」はファイルです。画像のあるフォルダを書いてください"),
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
