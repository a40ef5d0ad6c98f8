"""Mistakes in the page's words."""

from __future__ import annotations

from typing import Any

from ...config.settings import ROWS, Settings
from ...errors import DataError, Problem, SettingsError, UserError
from ...text import problems_ja, warnings_ja
from ...text.language import is_japanese
from ...text.messages import Message, label, literal, message
from ..api.core import problem_of


def told(error: UserError, language: str = "en") -> str:
    """A mistake in words, one line for each setting it concerns."""
    if isinstance(error, SettingsError):
        lines = (
            message("config.problem", problem=message("error.at", where=each.label, message=each.message))
            for each in error.problems
        )
        return "\n".join(line.text(language) for line in lines)
    return problems_ja.error_in_japanese(str(error)) if is_japanese(language) else str(error)


def said(text: str, language: str = "en") -> str:
    """A sentence of a run's or of the queue's: a warning, or why it failed."""
    if not is_japanese(language):
        return text
    return problems_ja.error_in_japanese(warnings_ja.warning_in_japanese(text))


def file_problem(what: str, done: str, language: str = "en") -> tuple[str, str]:
    """What is wrong with a file of the data, and what is done about it."""
    return warnings_ja.file_in_japanese(what, done) if is_japanese(language) else (what, done)


def value_problem(name: str, value: Any, language: str = "en") -> str:
    """What is wrong with one value, to be written beside its field; empty if nothing is.

    Raises:
        UserError: there is no such setting.
    """
    problem = problem_of(name, value) or _folder_problem(name, value)
    if problem is None:
        return ""
    text = problem.text(language)
    return problems_ja.in_japanese(text) if is_japanese(language) and text == str(problem) else text  # BRIDGE


def require_folder(settings: Settings) -> None:
    """Known before the job waits in the queue, and not when its turn has come.

    Raises:
        SettingsError: the mode learns from a folder, and it is not there.
    """
    name = "lora_data_directory"
    row = next(each for each in ROWS if each.name == name)
    problem = _folder_problem(name, settings.lora_data_directory) if settings.mode in row.modes else None
    if problem is not None:
        raise SettingsError([Problem(row.key, label(name), problem)])


def _folder_problem(name: str, value: Any) -> Message | None:
    from ...data.files import existing_folder

    written = str(value or "").strip('" \t\r\n')
    if name != "lora_data_directory" or not written:
        return None
    try:
        existing_folder(written)
    except DataError as error:
        return literal(f"{error.what}; {error.do[:1].lower()}{error.do[1:]}")  # BRIDGE
    return None
