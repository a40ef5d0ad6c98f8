"""Texts of JSON, TOML and YAML as mappings, and what is said of a text that is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..paths import open_file, reason_of

MOST_BYTES = 4 * 2**20
"""Settings take some kilobytes; a checkpoint given by mistake must not be read whole."""


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file: UTF-8 with or without byte order mark, or UTF-16 with one, as old Windows editors write it.

    Raises:
        UserError: the file cannot be read, is larger than ``most`` bytes, or is no such text.
    """
    try:
        with open_file(path) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UserError("config.file_unreadable", where=str(path), reason=reason_of(error)) from error
    if len(data) > most:
        raise UserError("config.file_too_large", where=str(path))
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("config.file_not_utf8", where=str(path)) from error


def json_object(text: str, where: str) -> dict[str, Any]:
    """The object in a text of JSON.

    Raises:
        UserError: it is no JSON, or no object.
    """
    value = json_value(text, where)
    if not isinstance(value, dict):
        raise UserError("config.file_no_object", where=where)
    return value


def json_value(text: str, where: str) -> Any:
    """What a text of JSON holds.

    Raises:
        UserError: it is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = {"line": error.lineno, "column": error.colno}
        raise UserError("config.file_not_json", where=where, reason=error.msg, **at) from error
    except (ValueError, RecursionError) as error:  # a number with thousands of digits, thousands of brackets
        raise UserError("config.file_strange_json", where=where) from error


def toml_table(text: str, where: str) -> dict[str, Any]:
    """The table in a text of TOML.

    Raises:
        UserError: it is no TOML, or nothing here reads it: Python does from 3.11 on.
    """
    try:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    except ModuleNotFoundError as error:
        raise UserError("config.no_toml_reader", where=where) from error
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise UserError("config.file_not_toml", where=where, reason=error) from error


def yaml_mapping(text: str, where: str) -> dict[str, Any]:
    """The mapping in a text of YAML.

    Raises:
        UserError: it is no YAML, or no mapping.
    """
    import yaml

    try:
        value = yaml.load(text, Loader=_yaml_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        at = {"line": mark.line + 1, "column": mark.column + 1} if mark is not None else {"line": 1, "column": 1}
        raise UserError("config.file_not_yaml", where=where, reason=reason, **at) from error
    except (ValueError, RecursionError) as error:  # an impossible date, thousands of brackets
        raise UserError("config.file_strange_yaml", where=where) from error
    if not isinstance(value, dict):
        raise UserError("config.file_no_mapping", where=where)
    return value


def _yaml_loader() -> Any:
    """PyYAML's safe loader without aliases: ten lines of them can stand for gigabytes, and no settings have any."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark
                raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
            return super().compose_node(parent, index)

    return Loader
