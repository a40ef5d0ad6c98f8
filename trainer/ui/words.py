"""What the page says, in the language it is read in; its script gets the same words through the page."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import help as texts
from . import words_en, words_ja


@dataclass(frozen=True)
class Words:
    """The words of one language.

    Attributes:
        language: ``en`` or ``ja``, also as a host writes it (``ja_JP``); others read English.
    """

    language: str = "en"

    @property
    def all(self) -> Mapping[str, str]:
        return words_ja.WORDS if texts.is_japanese(self.language) else words_en.WORDS

    def say(self, key: str, **values: Any) -> str:
        """The sentence of a key, with values where it has ``{name}``; these are not read as sentences themselves."""
        return self.all[key].format(**values)

    def label(self, name: str) -> str:
        """A setting's label. In Japanese the name it is known by stands beside it, as errors and other pages use it."""
        known, own = texts.label_of(name), texts.label_of(name, self.language)
        return own if own == known or known in own else f"{own} · {known}"

    def help(self, name: str) -> str:
        """What a setting does; where the page does more than the table says, that."""
        return self.all.get(f"help.{name}") or texts.help_of(name, self.language)

    def data(self) -> str:
        """All of them as the value of an HTML attribute."""
        return html.escape(json.dumps(dict(self.all), ensure_ascii=False))


def language_of_machine() -> str:
    """What the environment says its user reads: ``ja`` or ``en``."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "ja" if texts.is_japanese(os.environ[name]) else "en"
    return "en"
