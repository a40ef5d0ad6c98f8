"""What Trainyard says when something is wrong: one clear sentence, never a traceback.

Every error a user can cause is a :class:`UserError`. It says what is wrong, where, and what to do, by a key of the
catalogue in :mod:`trainer.text`. The command line prints it and exits with 2, the tab shows it, the queue continues
with the next job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from .text.messages import Message, message


class UserError(Exception):
    """Something the user can fix.

    Attributes:
        message: what is wrong, and what to do about it.
        where: the setting's label, the file or the step it concerns; may be empty.
    """

    def __init__(self, key: str | Message, /, *, where: str | Message = "", **values: Any) -> None:
        """Args:
        key: of the text, with ``values`` for its placeholders; or the message itself.
        """
        self.message = as_message(key, values)
        self.where = where
        super().__init__(key, where)

    def text(self, language: str = "en") -> str:
        """The whole of it in one language: where, what, and what to do."""
        return self.whole.text(language)

    @property
    def whole(self) -> Message:
        """The same as a message, to be kept or put into another."""
        return message("error.at", where=self.where, message=self.message) if self.where else self.message

    def at(self, where: str | Message) -> UserError:
        """The same error, of the same kind, in another place."""
        return type(self)(self.message, where=where)

    def __str__(self) -> str:
        return self.text()


def as_message(key: str | Message, values: dict[str, Any]) -> Message:
    """The message of a key with its values; a message stays what it is."""
    return key if isinstance(key, Message) else message(key, **values)


class ModelError(UserError):
    """A file given as checkpoint, VAE or text encoder cannot be used as such."""


class DataError(UserError):
    """The folder of images, an image or a caption cannot be used."""


class NetworkError(UserError):
    """A LoRA cannot be built, read or applied as asked."""


class OutputError(UserError):
    """A result cannot be written where it should go."""


class NotBuiltError(UserError):
    """A choice that has its place in Trainyard, but is not built yet."""


class MemoryShortError(UserError):
    """The device's memory, or the machine's, is not enough."""


class StateError(UserError):
    """A run cannot be continued from its state: there is none, it is broken, or it is of something else."""


class ProcessLostError(UserError):
    """Another process of the run has ended, or cannot be reached."""


class DivergedError(UserError):
    """Training broke down: a loss that is not a number."""


class WrongValue(ValueError):
    """A value that a setting cannot have.

    Attributes:
        message: what is wrong and what to write instead, without the setting's name and a full stop at the end.
    """

    def __init__(self, key: str | Message, /, **values: Any) -> None:
        self.message = as_message(key, values)
        super().__init__(str(self.message))


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one setting."""

    key: str
    """The setting's JSON key."""
    label: Message
    """The label the user knows the setting by."""
    message: Message
    """What is wrong and what to do, without a full stop at the end."""

    @property
    def whole(self) -> Message:
        """Both as one message."""
        return message("error.at", where=self.label, message=self.message)

    def text(self, language: str = "en") -> str:
        return self.whole.text(language)

    def __str__(self) -> str:
        return self.text()


class SettingsError(UserError):
    """One or more settings are wrong; all of them are named at once."""

    def __init__(self, problems: Sequence[Problem], also: Message | None = None) -> None:
        """Args:
        also: what else is wrong, in sentences.
        """
        self.problems = tuple(problems)
        *others, last = (problem.whole for problem in self.problems)
        together = reduce(lambda rest, first: message("error.problems", first=first, others=rest), others[::-1], last)
        told = message("error.settings", problems=together)
        super().__init__(told if also is None else message("error.also", first=told, second=also))


class Stopped(Exception):
    """The user asked the run to stop. Not an error: it unwinds the run wherever it is."""
