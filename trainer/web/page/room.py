"""The data room: its tab, and its place beside the form. The script fills both and asks the routes."""

from __future__ import annotations

import gradio as gr

from ..services.context import PageContext
from ..services.preview import FROM_FOLDER
from .form import PREFIX, mode_classes


def build(context: PageContext) -> None:
    """Fill the tab that is being built."""
    gr.HTML(f'<p class="{PREFIX}-lead">{context.say("room.lead")}</p>')
    gr.HTML(f'<div id="{PREFIX}_room"></div>')


def place() -> None:
    """Place what is offered beside the form: images to drop, and sets to choose."""
    with gr.Column(elem_classes=[f"{PREFIX}-room-place", f"{PREFIX}-field", *mode_classes(FROM_FOLDER)]):
        gr.HTML(f'<div id="{PREFIX}_room_pick"></div>')
