"""The account of a run's data as lines of text."""

from __future__ import annotations

from ..job import Account
from ..text.columns import columns, padded


def lines_of(account: Account, language: str = "en") -> list[str]:
    """A line for each row, the texts in one column after their headings, as a terminal shows them."""
    headings = [row.heading.text(language) for row in account.rows]
    headings = [f"{heading}:" if heading else "" for heading in headings]
    width = max(map(columns, headings), default=0) + 1
    return [
        f"{padded(heading, width)}{row.text.text(language)}"
        for heading, row in zip(headings, account.rows, strict=True)
    ]


def text_of(account: Account) -> str:
    """The same in English, as a file."""
    return "".join(f"{line}\n" for line in lines_of(account))
