"""What Trainyard says when something is wrong: one clear sentence, never a traceback.

Every error a user can cause is a :class:`UserError`. It says what is wrong, where, and what to do.
The command line prints it and exits with 2, the tab shows it, the queue goes on with the next job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UserError(Exception):
    """Something the user can mend.

    Args:
        what: what is wrong, without a full stop at the end.
        where: the setting's label, the file or the step it concerns; may be empty.
        do: what to do about it, a sentence without a full stop; may be empty.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what = what
        self.where = where
        self.do = do
        super().__init__(str(self))

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.what}." if self.where else f"{self.what}."
        return f"{sentence} {self.do}." if self.do else sentence


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


class DivergedError(UserError):
    """Training broke down: a loss that is not a number."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one setting."""

    key: str
    """The setting's JSON key."""
    label: str
    """The label the user knows the setting by."""
    what: str
    """What is wrong and what to do, without a full stop at the end."""

    def __str__(self) -> str:
        return f"{self.label}: {self.what}"


class SettingsError(UserError):
    """One or more settings are wrong; all of them are named at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class Stopped(Exception):
    """The user asked the run to stop. Not an error: it unwinds the run wherever it is."""
