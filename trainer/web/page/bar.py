"""The line at the top: what this is, its guide, how much of the form is shown, and a search over all settings."""

from __future__ import annotations

import html
import json
import zlib

import gradio as gr

from ...config.settings import ROWS
from ..services.context import PageContext
from ..services.guide import START
from .form import PREFIX, Form

_ID = f"{PREFIX}_bar"
_TITLE = "Trainyard"


def place(context: PageContext, version: str) -> None:
    """Place it; the page's script handles its buttons and its search."""
    words = {key: html.escape(context.say(f"bar.{key}")) for key in ("guide", "view", "basic", "all", "helps", "find")}
    start = START.get(context.language[:2], START["en"])
    views = "".join(
        f'<button type="button" class="{PREFIX}-button" data-view="{view}" aria-pressed="false">{words[view]}</button>'
        for view in ("basic", "all")
    )
    form = zlib.crc32(" ".join([version, *(row.name for row in ROWS)]).encode())  # another one has other fields
    folds = html.escape(json.dumps(Form.folds_of()))
    gr.HTML(
        f'<div id="{_ID}" data-form="{form}" data-folds="{folds}">'
        f"<h1>{_TITLE} <small>{version}</small></h1>"
        f'<a href="trainyard/v1/guide/{start}" target="_blank" rel="noopener">{words["guide"]}</a>'
        f'<span class="{PREFIX}-find"><input type="search" class="{PREFIX}-input" id="{_ID}_find" role="combobox" '
        f'aria-expanded="false" aria-controls="{_ID}_found" aria-autocomplete="list" autocomplete="off" '
        f'aria-label="{words["find"]}" placeholder="{words["find"]}">'
        f'<ul id="{_ID}_found" role="listbox" aria-label="{words["find"]}" hidden></ul></span>'
        f'<span class="{PREFIX}-views" role="group" aria-label="{words["view"]}">{views}</span>'
        f'<button type="button" class="{PREFIX}-button" id="{_ID}_help" aria-pressed="false">{words["helps"]}</button>'
        f'<p id="{_ID}_gone" role="alert" hidden></p></div>',
        elem_classes=[f"{PREFIX}-bare"],
    )
