"""What each mode does: a sentence, and an image before and after."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import gradio as gr

from ...config.choices import MODES
from ...text.words import Words
from .form import PREFIX

_IMAGES = Path(__file__).parent / "images"


def place(words: Words) -> None:
    """Place all of them below the mode's switch; only the current one is visible."""
    shown = "".join(_explained(info.slug, words) for info in MODES.values())
    gr.HTML(f"<style>{rules()}</style>{shown}", elem_id=f"{PREFIX}_mode_words")


def rules() -> str:
    """The page's style for the fields that a mode does not have: they are not shown while it is chosen."""
    return "".join(
        f'#{PREFIX}_form:has(#{PREFIX}_mode input[value="{info.name}"]:checked) '
        f".{PREFIX}-field:not(.{PREFIX}-for-{info.slug}) {{ display: none; }}"
        for info in MODES.values()
    )


def paragraph(words: str, kind: str) -> str:
    """A text as a paragraph of HTML."""
    return f'<p class="{PREFIX}-{kind}">{html.escape(words)}</p>'


def _explained(mode: str, words: Words) -> str:
    # Within the page itself: a few kB, and nothing to be fetched from wherever the page stands.
    file, image = _IMAGES / f"{mode}.webp", ""
    if file.is_file():
        data = base64.b64encode(file.read_bytes()).decode()
        image = f'<img src="data:image/webp;base64,{data}" alt="{html.escape(words.say("mode.image"))}">'
    sentence = html.escape(words.say(f"mode.{mode}"))
    return f'<div class="{PREFIX}-field {PREFIX}-for-{mode}">{image}<p>{sentence}</p></div>'
