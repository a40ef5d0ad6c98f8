"""What variations are asked for: every field of the Image tab, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from ..config.filenames import name_problem
from ..config.values import shown
from ..errors import Problem, SettingsError, WrongValue
from ..paths import path_problem
from ..text.messages import Message, literal, message
from .make import SIDES, Ranges

MOST, MOST_ANGLE = 1000, 180.0


@dataclass(frozen=True)
class Recipe:
    """What is to be made.

    Attributes:
        source: an image's path, or a folder's; its sub-folders are included.
        folder: where to; empty is beside the image, for a folder a new one beside it.
        name: what the files are called; empty is as their images.
        number: variations of each image.
        seed: -1 draws one.
        captions: whether each variation gets a copy of its image's caption file.
    """

    source: str = ""
    folder: str = ""
    name: str = ""
    fixed_side: str = "none"
    number: int = 5
    most_angle: float = MOST_ANGLE
    least_scale: float = 0.4
    seed: int = -1
    captions: bool = True

    @property
    def ranges(self) -> Ranges:
        return Ranges(self.most_angle, self.least_scale, self.fixed_side)


def field_label(name: str) -> Message:
    """What the user knows a field of a recipe by."""
    return message(f"vary.{name}")


def recipe_from(given: Mapping[str, Any]) -> Recipe:
    """A recipe from what was typed; what is not given has its default, and so has what is left empty.

    Raises:
        SettingsError: with every value that is wrong, by its label.
    """
    values: dict[str, Any] = {}
    names = [each.name for each in fields(Recipe)]
    unknown = message("data.field_unknown", known=names)
    problems = [Problem(key, literal(str(key)), unknown) for key in given if key not in names]
    for each in fields(Recipe):
        value = given.get(each.name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            values[each.name] = _READERS[each.name](value)
        except WrongValue as error:
            problems.append(Problem(each.name, field_label(each.name), error.message))
    if "source" not in values and not any(problem.key == "source" for problem in problems):
        problems.append(Problem("source", field_label("source"), message("data.no_source")))
    if problems:
        raise SettingsError(problems)
    return Recipe(**values)


def _text(value: Any) -> str:
    text = str(value).strip().strip('"').strip()
    problem = path_problem(text)
    if problem is not None:
        raise WrongValue(problem)
    return text


def _name(value: Any) -> str:
    name = str(value).strip()
    problem = name_problem(name)
    if problem is not None:
        raise WrongValue(problem)
    return name


def _side(value: Any) -> str:
    if value not in SIDES:
        raise WrongValue("data.field_no_choice", choices=SIDES, value=shown(value))
    return str(value)


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = _number(value)
        if number != int(number) or not least <= number <= most:
            raise WrongValue("data.field_not_whole", least=least, most=most, value=shown(value))
        return int(number)

    return read


def _between(least: float, most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = _number(value)
        if not least <= number <= most:
            raise WrongValue("data.field_not_between", least=f"{least:g}", most=f"{most:g}", value=shown(value))
        return number

    return read


def _number(value: Any) -> float:
    try:
        number = float(value)
        int(number)
    except (TypeError, ValueError, OverflowError):
        raise WrongValue("data.field_no_number", value=shown(value)) from None
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValue("data.field_no_truth", value=shown(value))
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "source": _text,
        "folder": _text,
        "name": _name,
        "fixed_side": _side,
        "number": _whole(1, MOST),
        "most_angle": _between(0, MOST_ANGLE),
        "least_scale": _between(0.01, 1),
        "seed": _whole(-1, 2**53),
        "captions": _truth,
    }
)
