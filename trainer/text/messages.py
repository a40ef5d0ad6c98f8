"""A text a user reads, as a key with values until it is known in which language.

The texts themselves are in ``text/en`` and ``text/ja``, one file a room; a key begins with its file's name unless it
belongs to the page. A placeholder is written ``{name}``; in English ``{count:image|images}`` writes the number with
the word that goes with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from .catalogue import texts_of
from .language import is_japanese

_LITERAL = "literal"


@dataclass(frozen=True)
class Message:
    """One text by its key, with the values for its placeholders.

    Attributes:
        key: of the catalogue.
        values: name and value of each placeholder. A value may be a message itself, or a list of values; any other is
            written as :class:`str` writes it.
    """

    key: str
    values: tuple[tuple[str, Any], ...] = ()

    def text(self, language: str = "en") -> str:
        """The text in ``language``; English for one that is not known.

        Raises:
            KeyError: the catalogue lacks the key, or the message lacks a value.
        """
        values = {name: _written(value, language) for name, value in self.values}
        if self.key == _LITERAL:
            return str(values["text"])
        return _FORMATTER.vformat(texts_of(language)[self.key], (), values)

    def __str__(self) -> str:
        return self.text()

    def as_json(self) -> str:
        """As a line of JSON, to be kept; :func:`from_json` reads it back."""
        return json.dumps(_plain(self), ensure_ascii=False)


def message(key: str, /, **values: Any) -> Message:
    """The message of a key with its values."""
    return Message(key, tuple(values.items()))


def literal(text: str) -> Message:
    """A text that somebody else wrote: a library's, or one kept by an older version."""
    return Message(_LITERAL, (("text", text),))


def label(name: str) -> Message:
    """The label of a setting, by its short name."""
    return Message(f"label.{name}")


def from_json(text: str) -> Message:
    """What :meth:`Message.as_json` wrote; any other text becomes a literal, also one whose key no longer exists."""
    try:
        found = _revived(json.loads(text))
        if isinstance(found, Message):
            found.text()
            return found
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return literal(text)


def say(key: str, language: str = "en", /, **values: Any) -> str:
    """The text of a key in a language."""
    return message(key, **values).text(language)


class _Formatter(Formatter):
    """``{count:image|images}`` chooses the word by the number; numbers and texts are written as they are otherwise."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return f"{value} {one if str(value) == '1' else many}"
        written: str = super().format_field(value, format_spec)
        return written


_FORMATTER = _Formatter()


def _written(value: Any, language: str) -> Any:
    if isinstance(value, Message):
        return value.text(language)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ("、" if is_japanese(language) else ", ").join(str(_written(each, language)) for each in value)
    return value if isinstance(value, int | float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return {"key": value.key, "values": {name: _plain(each) for name, each in value.values}}
    if isinstance(value, Sequence | Path) and not isinstance(value, str):
        return str(value) if isinstance(value, Path) else [_plain(each) for each in value]
    return value if isinstance(value, int | float | str) else str(value)


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Message(value["key"], tuple((name, _revived(each)) for name, each in value["values"].items()))
    return [_revived(each) for each in value] if isinstance(value, list) else value
