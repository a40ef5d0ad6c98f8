"""A text a user reads, as a key with values until it is known in which language.

The texts themselves are in ``text/en`` and ``text/ja``, one file a room; a key begins with its file's name unless it
belongs to the page. A placeholder is written ``{name}``; in English ``{count:image|images}`` writes the number with
the word that goes with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        values: name and value of each placeholder: a message itself, a text, a number, or a tuple of values.
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
        """As a line of JSON, to be kept; :func:`from_json` reads it back, in English if the key is gone by then."""
        return json.dumps({**_as_json(self), "text": self.text()}, ensure_ascii=False)


def message(key: str, /, **values: Any) -> Message:
    """The message of a key with its values; any that is no message, number or sequence is kept as its text.

    So a message holds no exception, whose traceback would keep a run's tensors alive.
    """
    return Message(key, tuple((name, _kept(value)) for name, value in values.items()))


def literal(text: str) -> Message:
    """A text without a key: a library's, or one kept by an older version."""
    return Message(_LITERAL, (("text", text),))


def label(name: str) -> Message:
    """The label of a setting, by its short name."""
    return Message(f"label.{name}")


def from_json(text: str) -> Message:
    """What :meth:`Message.as_json` wrote; any other text becomes a literal."""
    try:
        kept = json.loads(text)
        english = kept["text"]
    except (ValueError, KeyError, TypeError):
        return literal(text)
    try:
        found = _revived(kept)
        found.text()
    except (KeyError, TypeError, AttributeError):  # written by another version
        return literal(english)
    return found


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


def _kept(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_kept(each) for each in value)
    return value if isinstance(value, Message | str | int | float) else str(value)


def _written(value: Any, language: str) -> Any:
    if isinstance(value, Message):
        return value.text(language)
    if isinstance(value, tuple):
        return ("、" if is_japanese(language) else ", ").join(str(_written(each, language)) for each in value)
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, Message):
        return {"key": value.key, "values": {name: _as_json(each) for name, each in value.values}}
    return [_as_json(each) for each in value] if isinstance(value, tuple) else value


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Message(value["key"], tuple((name, _revived(each)) for name, each in value["values"].items()))
    return tuple(_revived(each) for each in value) if isinstance(value, list) else value
