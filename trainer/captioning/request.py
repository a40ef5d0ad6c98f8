"""What captions are asked for: every field of the command and of the page, checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

from ..config.values import shown
from ..errors import Problem, SettingsError, WrongValue
from ..text.messages import Message, literal, message
from .local_captioner import DETAILS
from .merging import MISSING, MODES
from .tag_choice import TagChoice, unwanted_in
from .work import Plan

CPU: Final = "cpu"
DEVICES: Final = ("auto", CPU)
_LONGEST: Final = 20_000
"""Characters of a field."""


@dataclass(frozen=True)
class CaptionRequest:
    """What is asked for.

    Attributes:
        captioner: the name or the folder of a tagger or captioner, the name of an interrogator of the WebUI, or the
            address of a server; empty where only one is found.
        mode: what becomes of captions that are there, one of :data:`~.merging.MODES`.
        trigger: put in front of every caption that is written.
        threshold, character_threshold: see :class:`TagChoice`.
        unwanted: tags that are left out, between commas.
        rating, underscores, escape: see :class:`TagChoice`.
        prompt: what a server is asked, or what a BLIP caption begins with.
        detail: of :data:`~.local_captioner.DETAILS`.
        most_tokens: of a caption; 0 for what suits the captioner.
        server_model: the model's name at a server's address; empty for its first one.
        device: ``auto``, or ``cpu`` to leave the device to others.
    """

    captioner: str = ""
    mode: str = MISSING
    trigger: str = ""
    threshold: float = TagChoice.threshold
    character_threshold: float = TagChoice.character_threshold
    unwanted: str = ""
    rating: bool = False
    underscores: bool = False
    escape: bool = False
    prompt: str = ""
    detail: str = DETAILS[1]
    most_tokens: int = 0
    server_model: str = ""
    device: str = DEVICES[0]

    @property
    def plan(self) -> Plan:
        choice = TagChoice(
            self.threshold,
            self.character_threshold,
            unwanted_in(self.unwanted),
            self.rating,
            self.underscores,
            self.escape,
        )
        return Plan(self.mode, self.trigger, choice)


def field_label(name: str) -> Message:
    """What the user knows a field by."""
    return message(f"describe.{name}")


def request_from(given: Mapping[str, Any]) -> CaptionRequest:
    """A request from what was typed; what is not given has its default, and so has what is left empty.

    Raises:
        SettingsError: with every value that is wrong, by its label.
    """
    names = [each.name for each in fields(CaptionRequest)]
    unknown = message("data.field_unknown", known=names)
    problems = [Problem(key, literal(str(key)), unknown) for key in given if key not in names]
    values: dict[str, Any] = {}
    for name in names:
        value = given.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            values[name] = _READERS[name](value)
        except WrongValue as error:
            problems.append(Problem(name, field_label(name), error.message))
    if problems:
        raise SettingsError(problems)
    return CaptionRequest(**values)


def _text(value: Any) -> str:
    text = str(value).strip()
    if len(text) > _LONGEST:
        raise WrongValue("captioning.field_too_long", most=_LONGEST)
    if any(not letter.isprintable() and letter not in "\n\t" for letter in text):
        raise WrongValue("captioning.field_no_text")
    return text


def _path(value: Any) -> str:
    return _text(value).strip("\"'")


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise WrongValue("data.field_no_choice", choices=choices, value=shown(value))
        return str(value)

    return read


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise WrongValue("data.field_not_between", least="0", most="1", value=shown(value))
    return number


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = _number(value)
        if not least <= number <= most or number != int(number):
            raise WrongValue("data.field_not_whole", least=least, most=most, value=shown(value))
        return int(number)

    return read


def _number(value: Any) -> float:
    """A number as it is typed, with a decimal comma or in full-width digits, too."""
    try:
        return float(unicodedata.normalize("NFKC", str(value)).replace(",", "."))
    except ValueError:
        raise WrongValue("data.field_no_number", value=shown(value)) from None


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValue("data.field_no_truth", value=shown(value))
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "captioner": _path,
        "mode": _one_of(*MODES),
        "trigger": _text,
        "threshold": _share,
        "character_threshold": _share,
        "unwanted": _text,
        "rating": _truth,
        "underscores": _truth,
        "escape": _truth,
        "prompt": _text,
        "detail": _one_of(*DETAILS),
        "most_tokens": _whole(0, 1000),
        "server_model": _text,
        "device": _one_of(*DEVICES),
    }
)
