"""What each mode does: a sentence, and a drawing of what goes in."""

from __future__ import annotations

import html
from collections.abc import Mapping

import gradio as gr

from ...config.choices import MODES
from ...text.words import Words
from .form import PREFIX

_ARROW = '<path d="M{x} 24h14m-5-5 5 5-5 5"/>'


def _image(x: int, y: int = 12, *, changed: bool = False) -> str:
    """An image: hills below a sun, or below a star where it is the changed one."""
    points = "l1.5 3 3.5.4-2.6 2.3.8 3.3-3.2-1.7-3.2 1.7.8-3.3-2.6-2.3 3.5-.4z"
    star = f'<path class="{PREFIX}-new" d="M{x + 17} {y + 4}{points}"/>'
    sun = f'<circle cx="{x + 17}" cy="{y + 8}" r="2.5"/>'
    frame = f'<rect x="{x}" y="{y}" width="26" height="24" rx="3"/>'
    return f'{frame}<path d="M{x + 2} {y + 20}l7-8 5 5 3-3 7 6"/>{star if changed else sun}'


def _prompt(x: int, *, changed: bool = False) -> str:
    """A prompt: lines in a speech bubble."""
    kind = f' class="{PREFIX}-new"' if changed else ""
    outline = "h30a4 4 0 0 1 4 4v16a4 4 0 0 1-4 4h-20l-6 6v-6h-4a4 4 0 0 1-4-4v-16a4 4 0 0 1 4-4z"
    return f'<path{kind} d="M{x + 4} 10{outline}"/><path d="M{x + 7} 19h24M{x + 7} 25h15"/>'


_DRAWINGS: Mapping[str, str] = {
    "lora": f'<path d="M12 8h26M8 4h26"/>{_image(4)}{_ARROW.format(x=36)}{_image(56, changed=True)}',
    "ileco": f"{_prompt(2)}{_ARROW.format(x=45)}{_prompt(64, changed=True)}",
    "difference": f'{_image(4)}<text x="17" y="46">1</text>{_ARROW.format(x=36)}{_image(56, changed=True)}'
    '<text x="69" y="46">2</text>',
    "addift": f"{_image(4)}{_ARROW.format(x=36)}{_image(56, changed=True)}",
    "multi-addift": "".join(
        f'<g transform="translate({x} {y}) scale(.5)">{_image(0, 0)}{_image(34, 0, changed=True)}</g>'
        for x in (4, 44, 84)
        for y in (8, 26)
    ),
}
"""By a mode's slug; lines of an image 48 high, in the colour of the text."""
_WIDTHS: Mapping[str, int] = {"ileco": 108, "multi-addift": 120}
"""Of those that are wider than the others."""


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
    # Within the page itself: a few hundred bytes, and nothing to be fetched from wherever the page stands.
    drawing = _DRAWINGS.get(mode, "")
    width = _WIDTHS.get(mode, 86)
    image = f'<svg viewBox="0 0 {width} 48" aria-hidden="true">{drawing}</svg>' if drawing else ""
    sentence = html.escape(words.say(f"mode.{mode}"))
    return f'<div class="{PREFIX}-field {PREFIX}-for-{mode}">{image}<p>{sentence}</p></div>'
