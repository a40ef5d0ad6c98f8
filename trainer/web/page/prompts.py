"""Images of iLECO's prompts, as the model makes them before any training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ...engine.image_request import ImageRequest
from ..api import images
from ..services.context import PageContext
from .compat import on
from .form import PREFIX, Form, shown_number


class Prompts:
    """Three buttons, the fields that their images share, and the place for the images."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        say = context.say
        # Without an id: beside that class, only a setting's own field has one.
        with gr.Column(elem_classes=[f"{PREFIX}-field", f"{PREFIX}-for-ileco", f"{PREFIX}-generate"]):
            with gr.Row(elem_id=f"{PREFIX}_generate_buttons"):
                self._buttons = {
                    which: gr.Button(say(f"draw.{which}"), size="sm", elem_id=f"{PREFIX}_generate_{which}")
                    for which in ("original", "target", "both")
                }
            with gr.Row(elem_id=f"{PREFIX}_generate_fields"):
                self._fields = {
                    name: gr.Textbox(shown_number(value), label=say(f"draw.{name}"), elem_id=f"{PREFIX}_draw_{name}")
                    for name, value in (
                        ("seed", ImageRequest.seed),
                        ("steps", ImageRequest.steps),
                        ("cfg", ImageRequest.cfg),
                    )
                }
            gr.HTML(f'<div id="{PREFIX}_prompts"></div>')

    def connect(self, form: Form) -> None:
        """Connect the buttons, once the form is complete."""
        for which, button in self._buttons.items():
            on(button.click, self._generating(form, which), [*self._fields.values(), *form.components], [])

    def _generating(self, form: Form, which: str) -> Callable[..., None]:
        def generate(*values: Any) -> None:
            asked = dict(zip(self._fields, values, strict=False))
            images.draw_prompts(self._context, lambda: form.settings(values[len(asked) :]), which, asked)

        return generate
