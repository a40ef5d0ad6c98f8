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
from ..services.messages import in_words, settings_of
from .form import PREFIX


class Message:
    """Holds HTML: its class tells the page's script when to remove it, ``data-at`` that it is new."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self.component = gr.HTML("", elem_id=f"{PREFIX}_message")

    def answer(self, key: str, **values: Any) -> str:
        """A text that disappears after a while."""
        return _paragraph(self._context.say(key, **values), "answer")

    def told(self, key: str, account: Account, *, job: int, **values: Any) -> str:
        """A text on a job with the account of its data; it stays until the job runs, at most for a while, or where
        something is odd, until the user does something else.

        Args:
            job: its number.
        """
        rows = [_line(self._context.say(key, **values)), *self._rows(account)]
        stays = any(row.is_odd for row in account.rows)
        return _shown("".join(rows), "account" if stays else "answer", job=job)

    def _rows(self, account: Account) -> list[str]:
        rows = []
        for row in account.rows:
            heading, text = (html.escape(each.text(self._context.language)) for each in (row.heading, row.text))
            kind = "odd" if row.is_odd else "row"
            rows.append(f'<span class="{PREFIX}-account-{kind}"><b>{heading}</b> <span>{text}</span></span>')
        return rows

    def ending(self, key: str) -> str:
        """A text that stays until the run has stopped or paused."""
        return _paragraph(self._context.say(key), "ending")

    def fitted(self, lines: Sequence[Text], *, fits: bool) -> str:
        """What was changed for a GPU's memory, or why not; stays until the user does something else.

        Args:
            fits: whether the run fits now.
        """
        content = "".join(_line(line.text(self._context.language)) for line in lines)
        return _shown(content, "account") if fits else _shown(content, "wrong", "alert")

    def loaded(self, lines: Sequence[Text], taken: Sequence[Text], account: Account) -> str:
        """What became of a file, with the account of its data; stays until the user does something else. Long lists
        come last, folded.

        Args:
            lines: a text each.
            taken: the settings that were simply taken over.
        """
        idle = [line for line in lines if line.key == "foreign.idle"]
        plain = [_line(line.text(self._context.language)) for line in lines if line not in idle]
        folds = [("preset.taken", taken), *(("preset.idle", dict(line.values)["entries"]) for line in idle)]
        return _shown("".join([*plain, *self._rows(account), *(self._fold(*fold) for fold in folds)]), "account")

    def _fold(self, heading: str, entries: Sequence[Text | str]) -> str:
        """Entries below their number; nothing if there are none."""
        if not entries:
            return ""
        words = [each.text(self._context.language) if isinstance(each, Text) else each for each in entries]
        rows = "".join(f"<li>{html.escape(each.strip())}</li>" for each in words)
        title = html.escape(self._context.say(heading, count=len(words)))
        return f"<details><summary>{title}</summary><ul>{rows}</ul></details>"

    def wrong(self, error: UserError) -> str:
        """An error, which stays until the user does something else, or has changed all settings it is about, which are
        ``data-settings``."""
        content = html.escape(in_words(error, self._context.language))
        return _shown(content, "wrong", "alert", settings=settings_of(error))


def _line(words: str) -> str:
    return f'<span class="{PREFIX}-line">{html.escape(words)}</span>'


def _paragraph(words: str, kind: str, role: str = "status") -> str:
    return _shown(html.escape(words), kind, role)


def _shown(content: str, kind: str, role: str = "status", job: int | None = None, settings: Sequence[str] = ()) -> str:
    about = f' data-settings="{" ".join(settings)}"' if settings else ""
    of_job = "" if job is None else f' data-job="{job}"'
    classes = f"{PREFIX}-told {PREFIX}-{kind}"
    return f'<div class="{classes}" role="{role}" data-at="{time.time_ns()}"{of_job}{about}>{content}</div>'
