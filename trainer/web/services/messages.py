"""Checks of what was typed on the page, and messages as the page shows them."""

from __future__ import annotations

from typing import Any

from ...config.settings import ROWS, Settings, effective
from ...config.values import read_value
from ...errors import SettingsError, UserError, WrongValue
from ...job import Account
from ...text.messages import Message, label, message

_FOLDER = "lora_data_directory"


def in_words(told: Message | UserError, language: str = "en") -> str:
    """A message or an error in a language; a line for each setting that is wrong."""
    if isinstance(told, SettingsError):
        return "\n".join(message("error.problem", problem=each.whole).text(language) for each in told.problems)
    return told.text(language)


def settings_of(error: UserError) -> list[str]:
    """The short names of the settings that an error is about; none where it is about something else."""
    places = [each.label for each in error.problems] if isinstance(error, SettingsError) else [error.where]
    names = {label(row.name): row.name for row in ROWS}
    return [names[place] for place in places if isinstance(place, Message) and place in names]


def account_rows(account: Account) -> list[dict[str, Any]]:
    """As JSON has it."""
    return [{"heading": row.heading, "text": row.text, "odd": row.is_odd} for row in account.rows]


def value_problem(name: str, value: Any) -> Message | None:
    """What is wrong with one value, to be written beside its field; None if nothing is.

    Raises:
        UserError: there is no such setting.
    """
    problem = problem_of(name, value)
    error = None
    if problem is None and name == _FOLDER and not _is_dataset_file(value):
        error = _folder_error(value)
    if error is not None:
        return error.message
    return None if problem is None else message("error.problem", problem=problem)


def problem_of(name: str, value: Any) -> Message | None:
    """What is wrong with a value of the setting with this short name, whatever is on the disk; None if nothing is.

    Raises:
        UserError: there is no such setting.
    """
    row = next((each for each in ROWS if each.name == name), None)
    if row is None:
        raise UserError("web.no_such_setting", where=name)
    try:
        read_value(value, row)
    except WrongValue as error:
        return error.message
    return None


def require_folder(settings: Settings) -> None:
    """Reported before the job waits in the queue, and not only when it begins.

    Raises:
        UserError: the mode learns from a folder or a dataset file, and it is not there.
    """
    from ...data.dataset_file import dataset_file

    row = next(each for each in ROWS if each.name == _FOLDER)
    if settings.mode not in row.modes or dataset_file(effective(settings)) is not None:
        return
    error = _folder_error(settings.lora_data_directory)
    if error is not None:
        raise error.at(label(_FOLDER))


def _is_dataset_file(value: Any) -> bool:
    """Whether a file is given in place of a folder."""
    from ...data.dataset_file import dataset_file

    try:
        return dataset_file(Settings(lora_data_directory=str(value or ""))) is not None
    except UserError:
        return False


def _folder_error(value: Any) -> UserError | None:
    from ...data.files import existing_folder

    written = str(value or "").strip('" \t\r\n')
    if written:
        try:
            existing_folder(written)
        except UserError as error:
            return error
    return None
