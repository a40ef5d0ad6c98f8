"""What variations are asked for: every field of the Image tab, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from ..config.filenames import name_problem
from ..errors import Problem, SettingsError, WrongValue
from ..text.messages import literal
from .make import SIDES, Ranges

MOST, MOST_ANGLE = 1000, 180.0
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "source": "image file or directory",
        "folder": "output directory",
        "name": "output name",
        "fixed_side": "fix side",
        "number": "number of images",
        "most_angle": "max tilting angle",
        "least_scale": "minimum downscale ratio",
        "seed": "seed",
        "captions": "copy captions",
    }
)
"""What the user knows the fields of a recipe by."""


@dataclass(frozen=True)
class Recipe:
    """What is to be made.

    Attributes:
        source: a picture's path, or a folder's; its sub-folders are included.
        folder: where to; empty is beside the picture, for a folder a new one beside it.
        name: what the files are called; empty is as their pictures.
        number: variations of each picture.
        seed: -1 draws one.
        captions: whether each variation gets a copy of its picture's caption file.
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


def recipe_from(given: Mapping[str, Any]) -> Recipe:
    """A recipe from what was typed; what is not given has its default, and so has what is left empty.

    Raises:
        SettingsError: with every value that is wrong, by its label.
    """
    values: dict[str, Any] = {}
    problems = [Problem(key, literal(str(key)), literal("is not known here")) for key in given if key not in LABELS]
    for each in fields(Recipe):
        value = given.get(each.name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            values[each.name] = _READERS[each.name](value)
        except ValueError as error:
            wrong = error.message if isinstance(error, WrongValue) else literal(str(error))
            problems.append(Problem(each.name, literal(LABELS[each.name]), wrong))
    if "source" not in values and not any(problem.key == "source" for problem in problems):
        wrong = literal("is empty; write an image's path, or a folder's")
        problems.append(Problem("source", literal(LABELS["source"]), wrong))
    if problems:
        raise SettingsError(problems)
    return Recipe(**values)


def _text(value: Any) -> str:
    text = str(value).strip().strip('"').strip()
    if any(ord(character) < 32 for character in text):
        raise ValueError("has a line break or another control character in it; write one path")
    return text


def _name(value: Any) -> str:
    name = str(value).strip()
    problem = name_problem(name)
    if problem is not None:
        raise WrongValue(problem)
    return name


def _side(value: Any) -> str:
    if value not in SIDES:
        raise ValueError(f"must be one of {', '.join(SIDES)}, not {value!r}")
    return str(value)


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = _number(value)
        if number != int(number) or not least <= number <= most:
            raise ValueError(f"must be a whole number from {least} to {most}, not {value}")
        return int(number)

    return read


def _between(least: float, most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = _number(value)
        if not least <= number <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}, not {value}")
        return number

    return read


def _number(value: Any) -> float:
    try:
        number = float(value)
        int(number)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'must be a number, not "{value}"') from None
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
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
