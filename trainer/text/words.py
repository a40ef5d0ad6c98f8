"""What the page says, in the language it is read in; its script gets the same words through the page."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any

from .catalogue import texts_of
from .en import gallery, page
from .messages import say

_WRITTEN = {
    "lora": "LoRA",
    "loras": "LoRAs",
    "ileco": "iLECO",
    "snr": "SNR",
    "ema": "EMA",
    "vae": "VAE",
    "lr": "LR",
    "csv": "CSV",
    "json": "JSON",
}


@dataclass(frozen=True)
class Words:
    """The words of one language.

    Attributes:
        language: ``en`` or ``ja``, also as a host writes it (``ja_JP``); others read English.
    """

    language: str = "en"

    def say(self, key: str, **values: Any) -> str:
        """The text of a key, with values where it has ``{name}``; these are not read as texts themselves."""
        return say(key, self.language, **values)

    def label(self, name: str) -> str:
        """A setting's label. In Japanese the name it is known by stands beside it, as errors and other pages use it."""
        known, own = say(f"label.{name}"), self.say(f"label.{name}")
        return own if own == known or known in own else f"{own} · {known}"

    def title(self, name: str) -> str:
        """A setting's label as the page shows it: in English with capitals, as the labels of a WebUI have them."""
        label = self.label(name)
        if label != say(f"label.{name}"):
            return label
        words = [_WRITTEN.get(word, word) for word in label.split(" ")]
        return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])

    def help(self, name: str) -> str:
        """What a setting does; where the page does more than the table says, that."""
        own = texts_of(self.language).get(f"page_help.{name}")
        return own or self.say(f"help.{name}")

    def data(self) -> str:
        """The page's own texts as the value of an HTML attribute."""
        texts = texts_of(self.language)
        return html.escape(json.dumps({key: texts[key] for key in (*page.TEXTS, *gallery.TEXTS)}, ensure_ascii=False))
