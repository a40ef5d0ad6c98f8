"""The line below the buttons that answers a click."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ...errors import UserError
from ...job import Account
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

    def told(self, key: str, account: Account, **values: Any) -> str:
        """A text with the account of a job's data; it stays for a while, or where something is odd, until the user does
        something else."""
        language = self._context.language
        rows = [f"<span>{html.escape(self._context.say(key, **values))}</span>"]
        for row in account.rows:
            heading, text = (html.escape(each.text(language)) for each in (row.heading, row.text))
            kind = "odd" if row.is_odd else "row"
            rows.append(f'<span class="{PREFIX}-account-{kind}"><b>{heading}</b> <span>{text}</span></span>')
        stays = any(row.is_odd for row in account.rows)
        return _shown("".join(rows), "account" if stays else "answer")

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
    return _shown(html.escape(words), kind, role)


def _shown(content: str, kind: str, role: str = "status") -> str:
    return f'<p class="{PREFIX}-{kind}" role="{role}" data-at="{time.time_ns()}">{content}</p>'
