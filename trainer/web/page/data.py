"""The preview of a folder's data: its button, and the place where the script shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ...errors import UserError
from ..services.context import PageContext
from ..services.preview import FIELDS, FROM_FOLDER
from .compat import on
from .form import PREFIX, Form, mode_classes, shown_value


def place(context: PageContext) -> Any:
    """Place the button within the form; its click needs the form's values."""
    with gr.Column(elem_classes=[f"{PREFIX}-data", f"{PREFIX}-field", *mode_classes(FROM_FOLDER)]):
        button = gr.Button(context.say("data.look"), size="sm", elem_id=f"{PREFIX}_data_look")
        gr.HTML(f'<div id="{PREFIX}_data"></div>')
    return button


def connect(context: PageContext, form: Form, button: Any) -> None:
    """Connect the button, once the form is complete."""

    def look(*values: Any) -> None:
        asked, concerned = _concerned(form, values)
        try:
            context.preview.look(form.settings(concerned), asked)
        except UserError as error:  # shown where the data would be
            context.preview.refuse(error, asked)

    on(button.click, look, form.components, [])


def _concerned(form: Form, values: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
    """The values of the fields that the data depends on, by name; and all values, with defaults for the others."""
    asked, concerned = {}, list(values)
    for place, each in enumerate(form.fields):
        if not each.second and each.row.name in FIELDS:
            asked[each.row.name] = values[place]
        elif each.second or each.row.name != "data_cache":  # which is heeded, but changes nothing that is found
            concerned[place] = shown_value(each.row.default, each.row)
    return asked, concerned
