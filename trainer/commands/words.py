"""The language of the command line: the machine's."""

from __future__ import annotations

from typing import Any

from ..job import Account
from ..reports.account import lines_of
from ..text.language import language_of_machine
from ..text.messages import Message, say


def told(text: str | Message, /, **values: Any) -> str:
    """The text of a key with its values, or a message, in the language of the machine."""
    language = language_of_machine()
    return text.text(language) if isinstance(text, Message) else say(text, language, **values)


def phase_line(phase: Message) -> str:
    """What is being done now, as a line of its own."""
    name = told(phase)
    return f"{name[0].upper()}{name[1:]} …"


def account_lines(account: Account) -> list[str]:
    """The account of a run's data, a line for each row."""
    return lines_of(account, language_of_machine())
