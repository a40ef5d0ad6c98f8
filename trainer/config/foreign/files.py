"""Any file of settings, whoever has written it: JSON, TOML, YAML, or a command in a script or a note."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from ...errors import UserError
from ...paths import is_file
from ..documents import json_object, read_text, toml_table, yaml_mapping
from ..schema import Parsed
from ..settings import ROWS
from .command_line import is_command, options_of
from .convert import holds_data, program_of, read

_SCRIPTS: Final = (".sh", ".bat", ".cmd", ".ps1", ".txt")


def load(path: Path) -> Parsed:
    """Settings of ours or of another program from a file.

    Raises:
        UserError: it cannot be read, holds none, or trains what Trainyard does not.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    values = mapping_of(read_text(path), str(path))
    return read(values, str(path))


def load_command(text: str) -> Parsed:
    """Settings from a command that was pasted.

    Raises:
        UserError: it trains what Trainyard does not.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    return read(_somebodys(_of_command(text, ""), ""))


def mapping_of(text: str, where: str) -> Mapping[str, Any]:
    """What a text holds, by what it looks like and by the ending of its name.

    Raises:
        UserError: it can be read as none of them.
    """
    ending = PureWindowsPath(where).suffix.lower()
    if ending == ".toml":
        return _somebodys(toml_table(text, where), where)
    if ending in (".yaml", ".yml"):
        return _somebodys(yaml_mapping(text, where), where)
    if is_command(text):
        try:
            return _somebodys(_of_command(text, where), where)
        except UserError as error:
            raise error.at(where) from error
    if ending in _SCRIPTS and not text.lstrip().startswith("{"):
        raise UserError("foreign.no_command", where=where)
    return json_object(text, where)


def _of_command(text: str, where: str) -> Mapping[str, Any]:
    """A command's options; where it takes its settings from a file, what that says and they do not."""
    options = options_of(text)
    name = str(options.pop("config_file", ""))
    if not name:
        return options
    name = name if name.lower().endswith(".toml") else f"{name}.toml"  # as sd-scripts takes it
    path = next((each for each in (Path(name), Path(where).parent / name) if is_file(each)), None)
    if path is None:
        raise UserError("foreign.no_config_file", path=name)
    return {**toml_table(read_text(path), str(path)), **options}


def _somebodys(values: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The same, unless nobody's settings are among them: then the defaults alone would be trained."""
    known = {name for row in ROWS for name in (row.name, row.key)}
    if program_of(values) is None and not holds_data(values) and not known & values.keys():
        raise UserError("foreign.nobodys", where=where)
    return values
