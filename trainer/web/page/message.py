"""The line below the buttons that answers a click."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ...errors import UserError
from ...text.messages import Message as Text
from ..services.context import PageContext
from ..services.messages import in_words
from .form import PREFIX


class Message:
    """Holds HTML: its class tells the page's script when to remove it, ``data-at`` that it is new."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self.component = gr.HTML("", elem_id=f"{PREFIX}_message")

    def answer(self, key: str, **values: Any) -> str:
        """A text that disappears after a while."""
        return _paragraph(self._context.say(key, **values), "answer")

    def ending(self, key: str) -> str:
        """A text that stays until the run has stopped or paused."""
        return _paragraph(self._context.say(key), "ending")

    def account(self, lines: Sequence[Text]) -> str:
        """Several texts, one a line, which stay until the user does something else."""
        return _paragraph("\n".join(line.text(self._context.language) for line in lines), "account")

    def wrong(self, error: UserError) -> str:
        """An error, which stays until the user does something else."""
        return _paragraph(in_words(error, self._context.language), "wrong", "alert")


def _paragraph(words: str, kind: str, role: str = "status") -> str:
    return f'<p class="{PREFIX}-{kind}" role="{role}" data-at="{time.time_ns()}">{html.escape(words)}</p>'
