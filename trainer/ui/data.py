"""Looking at the data of a folder before it is trained: its button, and the place where the script shows it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..errors import UserError
from .compat import on
from .desk import Desk
from .form import PREFIX, Form
from .preview import MODES


def place(desk: Desk) -> Any:
    """The button, within the form; pressed, it needs the form's values."""
    classes = [f"{PREFIX}-field", *(f"{PREFIX}-for-{mode.lower()}" for mode in MODES)]
    with gr.Column(elem_classes=[f"{PREFIX}-data", *classes]):
        button = gr.Button(desk.say("data.look"), size="sm", elem_id=f"{PREFIX}_data_look")
        gr.HTML(f'<div id="{PREFIX}_data"></div>')
    return button


def connect(desk: Desk, form: Form, button: Any) -> None:
    """Make the button look at what the form says, once the form is whole."""

    def look(*values: Any) -> None:
        try:
            desk.preview.look(form.settings(values))
        except UserError as error:  # shown where the data would be
            desk.preview.refuse(str(error))

    on(button.click, look, form.components, [])
