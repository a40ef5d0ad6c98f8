"""Settings kept in files: presets by name, and any JSON file by its path.

The presets that are shipped hold only what differs from the table, so that a new setting changes none of them:
TrainTrain's eight, and in a folder of their own ours, one for each thing that is wanted. What a user saves is complete:
other programs read it, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import OutputError, UserError
from ..paths import SHIPPED_PRESETS, TRAINYARD_PRESETS, is_file, open_file, path_of, reason_of, write_whole
from ..text.messages import Message, message
from .choices import MODES
from .filenames import name_problem
from .foreign import files as foreign
from .foreign.command_line import is_command
from .schema import Parsed, dump, to_json
from .settings import ROWS, SECOND_PASS_KEY, Settings
from .values import closest

_ENDING = ".json"
_REPLACED = "replaced"
"""The folder below the user's presets for those that others were saved over."""


def list_presets(folders: Iterable[Path]) -> list[str]:
    """The names of all presets in these folders, each once: ours first, then TrainTrain's, then the user's own, in
    alphabetical order in each folder. A missing folder has none."""
    found: dict[str, None] = {}
    for folder in sorted(folders, key=_place):
        names = (path.stem for path in folder.glob(f"*{_ENDING}") if not path.name.startswith("."))
        found.update(dict.fromkeys(sorted(names, key=lambda name: (name.casefold(), name))))
    return list(found)


def _place(folder: Path) -> int:
    shipped = (TRAINYARD_PRESETS, SHIPPED_PRESETS)
    return shipped.index(folder) if folder in shipped else len(shipped)


def told_of(name: str, folders: Iterable[Path]) -> Message | None:
    """What a shipped preset is for, in a sentence or two; None for a user's own, and for what is no preset's name."""
    path = _preset_path(name, folders)
    if path is None or path.parent not in (TRAINYARD_PRESETS, SHIPPED_PRESETS):
        return None
    return message(f"preset_is.{path.stem}")


def load(name_or_path: str | os.PathLike[str], folders: Iterable[Path]) -> Parsed:
    """Settings from a preset's name, a file's path, a mode's name or a pasted command; see :func:`find`."""
    wanted, folders = os.fspath(name_or_path), list(folders)
    if not is_file_or_preset(wanted, folders):
        return foreign.load_command(wanted) if is_command(wanted) else of_mode(_mode_of(wanted))
    return load_file(find(wanted, folders))


def is_file_or_preset(wanted: str, folders: Iterable[Path]) -> bool:
    """Whether a text is to be looked for on the disk: it is no command, and no mode without a preset of its name."""
    if _preset_path(wanted, folders) is not None or is_file(Path(wanted)):
        return True
    return not is_command(wanted) and not _mode_of(wanted)


def _mode_of(wanted: str) -> str:
    return next((name for name in MODES if name.casefold() == wanted.strip().casefold()), "")


def of_ours(name: str) -> Parsed | None:
    """One of ours, of whatever the user's own may have the same name; None if there is none."""
    path = TRAINYARD_PRESETS / f"{name}{_ENDING}"
    return load_file(path) if _preset_name_problem(name) is None and is_file(path) else None


def is_ours(name: str, folders: Iterable[Path]) -> bool:
    """Whether a name stands for one of ours, and not for one of the user's own."""
    return _is_in(TRAINYARD_PRESETS, name, folders)


def is_traintrains(name: str, folders: Iterable[Path]) -> bool:
    """Whether a name stands for one of TrainTrain's, and not for one of the user's own."""
    return _is_in(SHIPPED_PRESETS, name, folders)


def _is_in(folder: Path, name: str, folders: Iterable[Path]) -> bool:
    path = _preset_path(name, folders)
    return path is not None and path.parent == folder


def of_mode(mode: str) -> Parsed:
    """The defaults of a mode: its preset of ours, and for what that leaves out the table's.

    Args:
        mode: one of :data:`.choices.MODES`.
    """
    name = MODES[mode].preset
    if not name:
        return Parsed(Settings(mode=mode), (), frozenset(("mode",)))
    return load_file(TRAINYARD_PRESETS / f"{name}{_ENDING}")


def find(name_or_path: str | os.PathLike[str], folders: Iterable[Path]) -> Path:
    """The file of a preset, or the one at a path.

    Args:
        name_or_path: a name is looked for in ``folders`` first, with or without ``.json``.
        folders: where presets are; the first that has the name gives it.

    Raises:
        UserError: there is no such preset.
    """
    wanted = os.fspath(name_or_path)
    folders = list(folders)
    path = _preset_path(wanted, folders)
    if path is None:
        path = path_of(wanted, message("config.preset"))
        if not is_file(path):
            raise _not_found(wanted, list_presets(folders))
    return path


def _preset_path(wanted: str, folders: Iterable[Path]) -> Path | None:
    name = wanted.removesuffix(_ENDING)
    if _preset_name_problem(name) is not None:
        return None
    if wanted != name and is_file(Path(wanted)):  # a file named in full is meant, even if a preset has its name
        return None
    return next((path for folder in folders if is_file(path := folder / f"{name}{_ENDING}")), None)


def _preset_name_problem(name: str) -> Message | None:
    if not name.strip():
        return message("config.name_empty")
    if "/" in name:
        return message("config.name_with_slash")
    return name_problem(name)


def _not_found(wanted: str, names: list[str]) -> UserError:
    where = wanted or message("config.preset")
    if not names:
        return UserError("config.no_presets", where=where)
    near = closest(wanted.removesuffix(_ENDING), [*names, *MODES])
    if near:
        return UserError("config.no_preset_near", where=where, near=near, names=names)
    return UserError("config.no_preset", where=where, names=names)


def load_file(path: Path) -> Parsed:
    """Settings from a file: ours in JSON, or another program's in whatever it writes, UTF-8 with or without byte order
    mark.

    What one of TrainTrain's presets leaves out counts as given, with the table's default: a model family's own defaults
    do not replace any of it. With ours they do.

    Raises:
        UserError: the file cannot be read, holds no settings, or those of something Trainyard does not train.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    parsed = foreign.load(path)
    if path.resolve().parent == SHIPPED_PRESETS:
        return replace(parsed, given=parsed.given.union(row.name for row in ROWS))
    return parsed


def save(settings: Settings, name: str, folder: Path, overwrite: bool = False) -> Path:
    """Write a preset, whole or not at all.

    Returns:
        Where it is.

    Raises:
        UserError: the name is not a file name.
        OutputError: the name is taken and ``overwrite`` is not set, or the folder cannot be written to.
    """
    name = name.removesuffix(_ENDING)
    problem = _preset_name_problem(name)
    if problem is not None:
        raise UserError("error.problem", where=message("config.preset_name"), problem=problem)
    path = folder / f"{name}{_ENDING}"
    if path.exists() and not overwrite:
        raise OutputError("config.preset_taken", where=name)
    return write_whole(path, [dump(settings).encode("utf-8")], overwrite=overwrite)


def is_taken(name: str, folder: Path) -> bool:
    """Whether the user has a preset of that name."""
    name = name.removesuffix(_ENDING)
    return _preset_name_problem(name) is None and is_file(folder / f"{name}{_ENDING}")


def is_shipped(name: str, folders: Iterable[Path]) -> bool:
    """Whether a preset that comes with Trainyard has that name, in upper or lower case: a user's own would hide it."""
    wanted = name.strip().removesuffix(_ENDING).casefold()
    shipped = [folder for folder in folders if folder in (TRAINYARD_PRESETS, SHIPPED_PRESETS)]
    return wanted in (each.casefold() for each in list_presets(shipped))


def save_over(settings: Settings, name: str, folder: Path) -> Path:
    """Write a preset; one of that name is set aside in the folder ``replaced``, not lost.

    Returns:
        Where it is.

    Raises:
        UserError: as for :func:`save`.
    """
    if is_taken(name, folder):
        path = folder / f"{name.removesuffix(_ENDING)}{_ENDING}"
        aside = path.with_name(_REPLACED) / f"{path.stem}-{datetime.now():%Y%m%d_%H%M%S_%f}{_ENDING}"
        try:
            with open_file(path) as file:
                write_whole(aside, [file.read()])
        except OSError as error:
            raise OutputError("config.preset_undeletable", where=str(path), reason=reason_of(error)) from error
    return save(settings, name, folder, overwrite=True)


def rewrite_shipped(folder: Path = SHIPPED_PRESETS) -> list[Path]:
    """Rewrite the shipped presets, each with nothing but the mode and what differs from the table.

    Returns:
        Those that have changed.
    """
    changed = []
    for path in sorted(
        each for where in (folder, folder / TRAINYARD_PRESETS.name) for each in where.glob(f"*{_ENDING}")
    ):
        data = brief(load_file(path).settings).encode("utf-8")
        if data != path.read_bytes():
            changed.append(write_whole(path, [data], overwrite=True))
    return changed


def brief(settings: Settings) -> str:
    """The text of a settings file with the mode and what differs from the table; read back it is the same."""
    second = settings.second_pass
    default = to_json(replace(Settings(), second_pass=second and Settings()))
    written = to_json(settings)
    if second is not None:
        written[SECOND_PASS_KEY] = _differing(written[SECOND_PASS_KEY], default.pop(SECOND_PASS_KEY))
    found = {"mode": written["mode"], **_differing(written, default)}
    return json.dumps(found, ensure_ascii=False, indent=4) + "\n"


def _differing(written: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if key not in default or value != default[key]}


def delete(name: str, folder: Path, shipped: Iterable[Path] = ()) -> Path:
    """Delete a preset of the user's own.

    Args:
        folder: where the user's presets are.
        shipped: where others are, which stay.

    Raises:
        UserError: ``folder`` has no such preset, or it cannot be deleted.
    """
    name = name.removesuffix(_ENDING)
    path = folder / f"{name}{_ENDING}"
    if _preset_name_problem(name) is not None or not is_file(path):
        if name in list_presets(shipped):
            raise UserError("config.preset_shipped", where=name)
        raise UserError("config.no_own_preset", where=name or message("config.preset_name"))
    try:
        path.unlink()
    except OSError as error:
        raise OutputError("config.preset_undeletable", where=str(path), reason=reason_of(error)) from error
    return path
