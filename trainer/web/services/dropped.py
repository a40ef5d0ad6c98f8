"""A file dropped on the page: what a job needs of it is kept, since the browser's copy does not last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ...config.schema import Parsed
from ...config.settings import ROWS, Settings
from ...errors import SettingsError, UserError
from ...job import Account, AccountRow
from ...jobs.admission import admitted
from ...networks.files.settings import load_settings
from ...paths import Folders, candidates, open_file, reason_of, write_unless_there
from ...text.messages import Message, message

FOLDER: Final = "datasets"
"""Of the data folder: where dropped dataset files are kept."""
_WAITS: Final = 5.0
"""Seconds that a drop may take to look at the data."""


@dataclass(frozen=True)
class Dropped:
    """What a dropped file holds.

    Attributes:
        parsed: its settings, which name the kept copy where they name the file.
        notes: what there is to say of a dataset file, in sentences.
        account: of its data.
    """

    parsed: Parsed
    notes: tuple[Message, ...] = ()
    account: Account = field(default_factory=Account)


def read_dropped(path: Path, folders: Folders) -> Dropped:
    """Settings from a dropped file; if the file says what is trained, it is kept in the data folder.

    Args:
        path: the browser's copy, with the file's own name.

    Raises:
        UserError: it cannot be read, or holds no settings; names the file as the user knows it.
        OutputError: the data folder cannot be written to.
    """
    try:
        parsed = load_settings(path, folders.presets)
    except SettingsError:
        raise
    except UserError as error:
        raise error.at(path.name) if str(error.where) == str(path) else error from error
    named = [row.name for row in ROWS if row.kind == "path" and getattr(parsed.settings, row.name) == str(path)]
    if not named:
        return Dropped(parsed)
    kept = keep(path, folders.data / FOLDER)
    changes: dict[str, Any] = dict.fromkeys(named, str(kept))
    settings = replace(parsed.settings, **changes)
    return Dropped(replace(parsed, settings=settings), tuple(_notes(path.name, kept)), _account_of(settings, folders))


def keep(path: Path, folder: Path) -> Path:
    """A copy of a file in a folder, under its own name or, if that is another file's, with a number appended. The same
    content is kept once under a name.

    Raises:
        UserError: the file cannot be read.
        OutputError: the folder cannot be written to.
    """
    content = _content_of(path)
    for candidate in candidates(folder / path.name):
        if write_unless_there(candidate, [content]) or _is(candidate, content):
            return candidate
    raise UserError("paths.no_free_name", where=str(folder / path.name))


def _content_of(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise UserError("config.file_unreadable", where=path.name, reason=reason_of(error)) from error


def _is(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and _content_of(path) == content
    except (OSError, UserError):
        return False


def _notes(name: str, kept: Path) -> Iterator[Message]:
    from ...data.dataset_file import relative_paths

    yield message("web.dataset_kept", name=name, path=kept)
    if relative_paths(kept):
        yield message("web.paths_relative", name=name, here=Path.cwd(), beside=kept.parent)


def _account_of(settings: Settings, folders: Folders) -> Account:
    """Of the data; what is wrong with it is a row, since the form is filled all the same."""
    try:
        return admitted(settings, folders, seconds=_WAITS)
    except UserError as error:
        return Account((AccountRow(message("data.heading_note"), error.whole, is_odd=True),))
