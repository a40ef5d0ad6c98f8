"""Drop zones for images. The script handles the drop; the field beside holds the image's path."""

from __future__ import annotations

import html

import gradio as gr

from .form import PREFIX


def place(name: str, field: str, label: str) -> None:
    """A drop zone.

    Args:
        name: its id without our prefix; the script has a list of them.
        field: the same of the text field for the path.
    """
    data = f'data-field="{field}" data-label="{html.escape(label)}"'
    gr.HTML(f'<div id="{PREFIX}_{name}" class="{PREFIX}-drop-place" {data}></div>', elem_classes=[f"{PREFIX}-bare"])
