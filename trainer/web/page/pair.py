"""A pair of images: two drop zones beside the fields with their paths; the script compares the images."""

from __future__ import annotations

import gradio as gr

from ..services.context import PageContext
from . import dropzone
from .form import PREFIX, Form

_CLASSES = [f"{PREFIX}-field", f"{PREFIX}-for-difference", f"{PREFIX}-for-addift"]


def place(form: Form, context: PageContext) -> None:
    """Place them within the form."""
    names = (("original_image", context.say("pair.original")), ("target_image", context.say("pair.target")))
    with gr.Column(elem_classes=[f"{PREFIX}-pair", *_CLASSES]):
        for name, label in names:
            with gr.Column(elem_classes=[f"{PREFIX}-one"]):
                dropzone.place(f"{name}_drop", name, label)
                form.place_one(name).placeholder = context.say("pair.path")
        gr.HTML(f'<div id="{PREFIX}_pair"></div>', elem_classes=[f"{PREFIX}-both", f"{PREFIX}-bare"])
