"""Settings kept in files: presets by name, any JSON file by its path, and what a LoRA says of its own training."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import OutputError, UserError
from ..models.checkpoint.header import read_header
from ..paths import write_whole
from .filenames import name_problem
from .redact import at_home
from .schema import Parsed, dump, parse
from .settings import Settings
from .values import closest

LORA_SETTINGS_KEY = "trainyard_settings"
_ENDING = ".json"
_LORA_ENDING = ".safetensors"
_MOST_BYTES = 4 * 2**20  # settings take some kilobytes; a checkpoint given by mistake must not be read whole


def list_presets(folders: Iterable[Path]) -> list[str]:
    """The names of all presets in these folders, each once, in alphabetical order. A missing folder has none."""
    names = {path.stem for folder in folders for path in folder.glob(f"*{_ENDING}") if not path.name.startswith(".")}
    return sorted(names, key=lambda name: (name.casefold(), name))


def load(name_or_path: str | os.PathLike[str], folders: Iterable[Path]) -> Parsed:
    """Settings from a preset's name, a JSON file's path, or a LoRA file that carries its settings.

    Args:
        name_or_path: a name is looked for in ``folders`` first, with or without ``.json``.
        folders: where presets are; the first that has the name gives it.

    Raises:
        UserError: there is no such preset or file, or it cannot be read.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    wanted = os.fspath(name_or_path)
    folders = list(folders)
    path = _preset_path(wanted, folders)
    if path is None:
        path = Path(wanted).expanduser()
        if not _is_file(path):
            raise _not_found(wanted, list_presets(folders))
    return load_from_lora(path) if path.name.lower().endswith(_LORA_ENDING) else load_file(path)


def _preset_path(wanted: str, folders: Iterable[Path]) -> Path | None:
    name = wanted.removesuffix(_ENDING)
    if _preset_name_problem(name):
        return None
    if wanted != name and _is_file(Path(wanted)):  # a file named in full is meant, even if a preset has its name
        return None
    return next((path for folder in folders if _is_file(path := folder / f"{name}{_ENDING}")), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for the system, or with a null character in it
        return False


def _preset_name_problem(name: str) -> str:
    if not name.strip():
        return "is empty; write a name"
    if "/" in name:
        return "must not contain /; presets have no sub-folders"
    return name_problem(name)


def _not_found(wanted: str, names: list[str]) -> UserError:
    near = closest(wanted.removesuffix(_ENDING), names)
    perhaps = f"Perhaps you mean {near}. " if near else ""
    there_are = f"The presets are: {', '.join(names)}" if names else "There are no presets here; write a file's path"
    return UserError("there is no such preset or file", where=wanted or "preset", do=f"{perhaps}{there_are}")


def load_file(path: Path) -> Parsed:
    """Settings from a JSON file, UTF-8 with or without byte order mark.

    Raises:
        UserError: the file cannot be read, is no JSON or no object.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > _MOST_BYTES:
        raise UserError("is too large to be settings", where=str(path), do="Choose a settings file (.json)")
    try:
        # Old Windows editors write UTF-16; its byte order mark tells.
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", where=str(path), do="Save it as UTF-8") from error
    return parse(_object(text, str(path)))


def load_from_lora(path: Path) -> Parsed:
    """The settings a LoRA was trained with, from its own header; the tensors are not read.

    Raises:
        UserError: the file is no model file, or holds no settings of ours.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    text = read_header(path).metadata.get(LORA_SETTINGS_KEY)
    if text is None:
        raise UserError(
            "holds no settings; it was not trained with Trainyard",
            where=str(path),
            do="Choose a preset or a .json file",
        )
    # That it was allowed to replace a file once is no leave to replace this one.
    parsed = parse({**_object(text, f"{path}, {LORA_SETTINGS_KEY}"), "save_overwrite": False})
    return replace(parsed, settings=at_home(parsed.settings))


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot be read ({error.strerror or error})", where=str(path), do="Choose another file")


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"is not JSON: {error.msg} at {place}", where=where, do="Mend that place") from error
    except (ValueError, RecursionError) as error:  # a number with thousands of digits, thousands of brackets
        raise UserError("is JSON that no settings need", where=where, do="Choose another file") from error
    if not isinstance(value, dict):
        raise UserError(
            "is JSON, but not an object of settings", where=where, do='It should look like {"mode": "LoRA"}'
        )
    return value


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
    if problem:
        raise UserError(problem, where="preset name")
    path = folder / f"{name}{_ENDING}"
    if path.exists() and not overwrite:
        raise OutputError("there is a preset of that name", where=name, do="Choose another name, or delete it first")
    return write_whole(path, [dump(settings).encode("utf-8")], overwrite=overwrite)


def delete(name: str, folder: Path, shipped: Iterable[Path] = ()) -> Path:
    """Delete a preset of the user's own.

    Args:
        folder: where the user's presets are.
        shipped: where others are, which stay.

    Raises:
        UserError: there is none of that name in ``folder``, or it cannot be deleted.
    """
    name = name.removesuffix(_ENDING)
    path = folder / f"{name}{_ENDING}"
    if _preset_name_problem(name) or not _is_file(path):
        if name in list_presets(shipped):
            raise UserError("is not one of your own presets, so it stays", where=name)
        raise UserError("there is no preset of that name", where=name or "preset name")
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"cannot be deleted ({error.strerror or error})", where=str(path)) from error
    return path
