"""値の問題を日本語で。英語の文の形ごとに1行で、()の中身がそのまま入ります。"""

from __future__ import annotations

import re

_FORMS: tuple[tuple[str, str], ...] = (
    (r'there is no folder "(.+)"[;.] .+', "フォルダ「{1}」はありません"),
    (r'"(.+)" is not a path .+', "「{1}」はパスではありません。書き直してください"),
    (r'"(.+)" is a file[;.] .+', "「{1}」はファイルです。画像のあるフォルダを書いてください"),
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


_VALUES = compiled(_FORMS)


def in_japanese(what: str) -> str:
    """What is wrong with a value."""
    return translated(what, _VALUES)
