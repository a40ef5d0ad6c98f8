"""What is wrong with a file of the user's, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, UserError
from ..text.messages import Message, message


class FileError(DataError):
    """A file that cannot be used.

    Attributes:
        problem: what is wrong with it, to be put behind its name: without a full stop.
    """

    def __init__(self, problem: Message, where: str | Path | Message) -> None:
        super().__init__("error.problem", problem=problem, where=where if isinstance(where, Message) else str(where))
        self.problem = problem

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
    """

    name: str
    what: Message
    done: Message
    left_out: bool = False

    @property
    def message(self) -> Message:
        """The whole of it."""
        return message("data.file_problem", name=self.name, what=self.what, done=self.done)

    def text(self, language: str = "en") -> str:
        return self.message.text(language)

    def __str__(self) -> str:
        return self.text()
