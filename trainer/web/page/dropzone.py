"""Places to drop an image on; the script does what happens there, and the field beside holds the image's path."""

from __future__ import annotations

import html

import gradio as gr

from .form import PREFIX


def place(name: str, field: str, label: str) -> None:
    """A place to drop on.

    Args:
        name: its id, without what all of ours begin with; the script knows them all.
        field: likewise, of the text field for the path.
    """
    data = f'data-field="{field}" data-label="{html.escape(label)}"'
    gr.HTML(f'<div id="{PREFIX}_{name}" class="{PREFIX}-drop-place" {data}></div>', elem_classes=[f"{PREFIX}-bare"])
