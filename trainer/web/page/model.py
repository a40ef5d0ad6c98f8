"""The model's row: checkpoint and VAE, and below them a note on what will be trained on."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from ..services.advice import Advice
from ..services.context import PageContext
from .compat import offered
from .form import PREFIX, Form

_NO_VAE = "None"


class Model:
    """Both fields, their lists, and the note."""

    def __init__(self, form: Form, context: PageContext) -> None:
        self._context = context
        words = context.words
        with gr.Column(elem_classes=[f"{PREFIX}-grid", f"{PREFIX}-models"]):
            self.model = gr.Dropdown(
                offered(context.catalogue.models(), context.catalogue.proposed()),
                value=context.catalogue.proposed(),
                label=words.title("model"),
                info=context.catalogue.advice().text(context.language),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_model",
            )
            self.vae = gr.Dropdown(
                self._vaes(),
                value=_NO_VAE,
                label=words.title("vae"),
                info=words.help("vae"),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_vae",
            )
        self.note = gr.HTML("", elem_id=f"{PREFIX}_model_note")
        form.place("model", self.model)
        form.place("vae", self.vae)

    @property
    def components(self) -> list[Any]:
        return [self.model, self.vae]

    def names(self, model: str) -> tuple[list[str], list[str]]:
        """What there is to choose from now; an empty choice too, unless a model is chosen."""
        return offered(self._context.catalogue.models(), model), self._vaes()

    def lists(self, model: str) -> list[Any]:
        """Updates of the lists; what is chosen stays, even if it is chosen meanwhile."""
        return [gr.update(choices=names) for names in self.names(model)]

    def told(self, advice: Advice | None, number: int, *, is_named: bool) -> str:
        """The note. Its number tells the page's script whether the answer on the model has changed since.

        Args:
            is_named: whether a model is chosen; otherwise a host without a loaded one is not an error yet.
        """
        if advice is None:
            words, kind = self._context.say("model.looking"), "note"
        elif advice.problem is not None:
            words, kind = advice.problem.text(self._context.language), "wrong" if is_named else "note"
        else:
            words, kind = self._context.say("model.is", label=advice.label), "note"
        told = (
            ""
            if advice is None
            else "".join(
                f'<p class="{PREFIX}-{style}">{html.escape(each.text(self._context.language))}</p>'
                for style, messages in (("note", advice.facts), ("wrong", advice.doubts))
                for each in messages
            )
        )
        return f'<p class="{PREFIX}-{kind}" data-advice="{number}">{html.escape(words)}</p>{told}'

    def _vaes(self) -> list[str]:
        return [_NO_VAE, *self._context.catalogue.vaes()]
