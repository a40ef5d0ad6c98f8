"""What a table of synonyms is made of: a program's keys, our settings, and how a value is turned into one of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ...text.messages import Message

_TRUE, _FALSE = ("true", "1", "on", "yes"), ("false", "0", "off", "no", "none", "")


@dataclass(frozen=True)
class Turned:
    """What a value of another program is in our settings."""

    settings: Mapping[str, Any]
    """Short name -> value, as a settings file may have it."""
    note: Message | None = None
    """What of it differs from what the program would do; None if nothing does."""


@dataclass(frozen=True)
class Given:
    """All that a file says, by the table's keys."""

    values: Mapping[str, Any]
    defaults: Mapping[str, Any]
    """What the program takes where the file says nothing."""

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def value(self, key: str) -> Any:
        """What is given, or what the program takes; None for nothing."""
        return self.values.get(key, self.defaults.get(key))

    def text(self, key: str) -> str:
        value = self.value(key)
        return "" if value is None else str(value).strip()

    def flag(self, key: str) -> bool:
        return is_on(self.value(key))

    def number(self, key: str) -> float | None:
        """A number; None if there is none, or if it cannot be read, which is said of the key's own row."""
        return as_number(self.value(key))


Turn = Callable[[Any, Given], "Turned | Mapping[str, Any]"]


@dataclass(frozen=True)
class Synonym:
    """A key of another program."""

    key: str
    settings: tuple[str, ...] = ()
    """Our settings that say the same, by their short names; none: Trainyard has none of the kind."""
    turn: Turn | None = None
    """How the value is turned into ours; None: it stays as it is."""
    default: Any = None
    """What the program takes where nothing is given, if that has to be set here."""
    note: str = ""
    """The key of a text: what differs, or why there is nothing to set."""
    about: str = ""
    """The key of a text for the documentation: how the value is turned, where that is not plain."""
    is_idle: bool = False
    """Nothing of what is trained depends on it, or Trainyard sees to it by itself."""

    def turned(self, value: Any, given: Given) -> Turned:
        if self.turn is None:
            return Turned(dict.fromkeys(self.settings, value))
        found = self.turn(value, given)
        return found if isinstance(found, Turned) else Turned(found)


def same(key: str, setting: str = "", default: Any = None, note: str = "") -> Synonym:
    """The same value under our name."""
    return Synonym(key, (setting or key,), None, default, note)


def switch(key: str, setting: str = "", default: bool = False, note: str = "") -> Synonym:
    """The same switch under our name, off where it isn't given."""
    return Synonym(key, (setting or key,), lambda value, _given: {setting or key: is_on(value)}, default, note)


def turns(key: str, settings: str, turn: Turn, default: Any = None, about: str = "") -> Synonym:
    """A value that is turned into one or several of our settings, named with spaces between."""
    return Synonym(key, tuple(settings.split()), turn, default, about=about)


def missing(*keys: str, default: Any = None, note: str = "") -> tuple[Synonym, ...]:
    """Keys that nothing here corresponds to."""
    return tuple(Synonym(key, default=default, note=note) for key in keys)


def idle(*keys: str) -> tuple[Synonym, ...]:
    """Keys that change nothing of what is trained."""
    return tuple(Synonym(key, is_idle=True) for key in keys)


@dataclass(frozen=True)
class Program:
    """A program that writes settings."""

    name: str
    """As its users call it."""
    rows: tuple[Synonym, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What it always does, in our settings."""
    own_names: Mapping[str, str] = field(default_factory=dict)
    """Its own name for a key -> the table's, where several programs share a table."""
    unset: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Key of the table -> values that stand for nothing given."""
    refuse: Callable[[Given], None] | None = None
    """Raises UserError where the file trains what Trainyard does not."""
    unseen: tuple[str, ...] = ()
    """Keys of the table that its users do not write: they are made from others when a file is read."""
    by_key: Mapping[str, Synonym] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", MappingProxyType({row.key: row for row in self.rows}))

    def shown(self, key: str) -> str:
        """A key of the table as the program's users know it."""
        return next((own for own, shared in self.own_names.items() if shared == key), key)

    def given(self, flat: Mapping[str, Any]) -> Given:
        """What a file says, without what it leaves empty."""
        values = {}
        for own, value in flat.items():
            key = self.own_names.get(own, own)
            if not is_empty(value) and not any(is_same(value, each) for each in self.unset.get(key, ())):
                values[key] = value
        return Given(values, {row.key: row.default for row in self.rows if row.default is not None})


def is_same(value: Any, other: Any) -> bool:
    """Whether two values are one, a number and the text of it, too."""
    number = as_number(value)
    return value == other or (number is not None and number == as_number(other))


def is_empty(value: Any) -> bool:
    """Whether a value is none: what forms write for an empty field."""
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)


def is_on(value: Any) -> bool:
    """A switch of any program: true, 1, "true", "True" …"""
    if isinstance(value, str):
        return value.strip().lower() in _TRUE
    return bool(value)


def is_off(value: Any) -> bool:
    """Whether a value means that what it is for is not used: empty, false, 0, "none"."""
    if isinstance(value, str) and value.strip().lower() in _FALSE:
        return True
    return is_empty(value) or value is False or as_number(value) == 0


def as_number(value: Any) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_list(value: Any) -> list[Any]:
    """The parts of a list, or of a text with spaces between, quotes around some of them."""
    if isinstance(value, str):
        return [part.strip("\"'") for part in value.split()]
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def pairs_of(value: Any) -> dict[str, Any]:
    """``["a=1", "b=(2, 3)"]``, ``"a=1 b=2"`` or a mapping as a mapping."""
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    parts: list[str] = []
    for part in map(str, as_list(value)):
        if "=" in part or not parts:
            parts.append(part)
        else:  # a tuple written with a space in it
            parts[-1] += part
    return {key.strip(): inner.strip() for key, equals, inner in (part.partition("=") for part in parts) if equals}
