"""Texts of JSON, TOML and YAML as mappings."""

from __future__ import annotations

import builtins
import sys

import pytest

from trainer.config.documents import json_object, toml_table, yaml_mapping
from trainer.errors import UserError


def test_each_language_is_read() -> None:
    assert json_object('{"a": [1, "b"]}', "x") == {"a": [1, "b"]}
    assert toml_table('a = 1\r\n[b]\r\nc = "d"\r\n', "x") == {"a": 1, "b": {"c": "d"}}
    assert yaml_mapping("a:\n  - b: 1\n  - c\n", "x") == {"a": [{"b": 1}, "c"]}


@pytest.mark.parametrize(
    ("read", "text", "key"),
    [
        (json_object, "{", "config.file_not_json"),
        (json_object, "[1]", "config.file_no_object"),
        (json_object, "[" * 100_000, "config.file_strange_json"),
        (toml_table, "a = ", "config.file_not_toml"),
        (toml_table, "a = 1\na = 2", "config.file_not_toml"),
        (yaml_mapping, "a: [", "config.file_not_yaml"),
        (yaml_mapping, "- a", "config.file_no_mapping"),
        (yaml_mapping, "a: !!python/object/apply:os.getcwd []", "config.file_not_yaml"),
        (yaml_mapping, "a: 2020-99-99", "config.file_strange_yaml"),
    ],
)
def test_what_is_wrong_is_said_at_the_file(read, text: str, key: str) -> None:
    with pytest.raises(UserError) as caught:
        read(text, "x.file")
    assert caught.value.message.key == key
    assert str(caught.value).startswith("x.file: ")


def test_a_few_lines_of_yaml_do_not_stand_for_gigabytes() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(
        f"{this}: &{this} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, this in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(UserError, match="aliases are not read"):
        yaml_mapping(bomb, "x.yaml")


def test_without_a_reader_of_toml_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a WebUI on Python 3.10 that nothing is installed into."""
    whole = builtins.__import__

    def without(name: str, *arguments, **named):
        if name in ("tomllib", "tomli"):
            raise ModuleNotFoundError(name)
        return whole(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "tomllib", raising=False)
    with pytest.raises(UserError, match="pip install tomli"):
        toml_table("a = 1", "x.toml")
