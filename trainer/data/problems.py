"""What is wrong with a file of the user's, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ..errors import DataError, UserError
from ..text.messages import Message, message

_MOST_NAMED: Final = 3
COUNTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "data.small": "data.small_many",
        "data.extreme_shape": "data.extreme_shape_many",
        "data.skipped_size": "data.skipped_size_many",
        "data.smaller_than_frames": "data.smaller_than_frames_many",
        "data.caption_empty": "data.caption_empty_many",
        "data.caption_alone": "data.caption_alone_many",
        "data.transparent": "data.transparent_many",
        "data.empty_file": "data.empty_file_many",
    }
)
"""What may be wrong with many files, with the text for all of them together."""


class FileError(DataError):
    """A file that cannot be used.

    Attributes:
        problem: what is wrong with it, to be put behind its name: without a full stop.
    """

    def __init__(self, problem: Message, where: str | Path | Message) -> None:
        super().__init__("error.problem", problem=problem, where=where if isinstance(where, Message) else str(where))
        self.problem = problem

    @property
    def whole(self) -> Message:
        """As what is said of the files of a folder: the name, and behind it what is wrong."""
        return message("data.file_error", file=self.where, problem=self.problem) if self.where else self.message

    def at(self, where: str | Message) -> UserError:
        return FileError(self.problem, where)


@dataclass(frozen=True)
class FileProblem:
    """Something about one file that its owner should know.

    Attributes:
        name: its path inside the folder.
        what: what is wrong, to be put behind the name.
        done: what is done about it: that it is left out, or how it is used all the same.
        left_out: whether it is not used.
        amount: what the smallest and the largest of several are known by, such as the area of an image.
    """

    name: str
    what: Message
    done: Message
    left_out: bool = False
    amount: float = 0

    @property
    def message(self) -> Message:
        """The whole of it."""
        return message("data.file_problem", name=self.name, what=self.what, done=self.done)

    def text(self, language: str = "en") -> str:
        return self.message.text(language)

    def __str__(self) -> str:
        return self.text()


def summed_up(problems: Iterable[FileProblem]) -> list[Message]:
    """A line for each kind of problem: how many files have it, from what to what, and the first of their names."""
    kinds: dict[tuple[str, ...], list[FileProblem]] = {}
    for problem in problems:
        kinds.setdefault((*_keys(problem.what), *_keys(problem.done)), []).append(problem)
    return [kind[0].message if len(kind) == 1 else _together(kind) for kind in kinds.values()]


def _keys(text: Message) -> tuple[str, ...]:
    """The key of a text and those of the texts in it."""
    return (text.key, *(key for _, value in text.values if isinstance(value, Message) for key in _keys(value)))


def _together(problems: Sequence[FileProblem]) -> Message:
    first, *others = problems
    if first.what.key not in COUNTED:
        return message("data.likewise", problem=first.message, names=_first_names(others))
    by_amount = sorted(problems, key=lambda problem: problem.amount)
    values = _ranges([problem.what for problem in by_amount])
    what = message(COUNTED[first.what.key], **{**values, "count": len(problems)})
    done = message(first.done.key, **_ranges([problem.done for problem in by_amount]))
    return message("data.problem_of_many", what=what, done=done, names=_first_names(problems))


def _first_names(problems: Sequence[FileProblem]) -> list[str | Message]:
    names: list[str | Message] = [problem.name for problem in problems[:_MOST_NAMED]]
    if len(problems) > _MOST_NAMED:
        names.append(message("data.and_more", count=len(problems) - _MOST_NAMED))
    return names


def _ranges(texts: Sequence[Message]) -> dict[str, Any]:
    """The values of texts of one key: one where all have the same, else from the first to the last; numbers by their
    size."""
    found: dict[str, Any] = {}
    for name, value in texts[0].values:
        values = [dict(text.values)[name] for text in texts]
        if all(isinstance(each, int | float) for each in values):
            values.sort()
        same = all(each == value for each in values)
        found[name] = value if same else message("data.range", least=values[0], most=values[-1])
    return found
