"""The page's Image tab: variations of an image, or of a folder of images.

The script handles its buttons: it reads the fields and asks the routes, the same way under every version of Gradio.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...variations.make import SIDES
from ...variations.recipe import Recipe, field_label
from ..services.context import PageContext
from . import dropzone
from .form import PREFIX, shown_number

_ID = f"{PREFIX}_vary"


def build(context: PageContext) -> None:
    """Fill the tab that is being built."""
    say, usual = context.say, Recipe()
    gr.HTML(f'<p class="{PREFIX}-lead">{say("vary.lead")}</p>')
    with gr.Row(elem_id=f"{_ID}_row"):
        with gr.Column(scale=4, min_width=280):
            dropzone.place("vary_drop", "vary_source", say("vary.drop"))
            _typed(context, "source", "")
        with gr.Column(scale=7, min_width=280, elem_id=f"{_ID}_fields"):
            with gr.Column(elem_classes=[f"{PREFIX}-grid"]):
                for name in ("number", "most_angle", "least_scale", "seed"):
                    _typed(context, name, shown_number(getattr(usual, name)))
                for name in ("folder", "name"):
                    _typed(context, name, "")
            gr.Radio(list(SIDES), value=usual.fixed_side, **_labelled(context, "fixed_side"))
            gr.Checkbox(value=usual.captions, **_labelled(context, "captions"))
            with gr.Row(elem_id=f"{_ID}_buttons"):
                gr.Button(say("vary.show"), elem_id=f"{_ID}_show")
                gr.Button(say("vary.write"), variant="primary", elem_id=f"{_ID}_write")
                gr.Button(say("vary.stop"), elem_id=f"{_ID}_stop")
    gr.HTML(f'<div id="{_ID}"></div>')


def _typed(context: PageContext, name: str, value: str) -> None:
    gr.Textbox(value=value, lines=1, **_labelled(context, name))


def _labelled(context: PageContext, name: str) -> dict[str, Any]:
    known, own = field_label(name).text(), context.say(f"vary.{name}")
    label = own if own == known else f"{own} · {known}"
    return {"label": label, "info": context.say(f"vary.{name}_help"), "interactive": True, "elem_id": f"{_ID}_{name}"}
