"""Every place in the sources that names a text: its key exists, its values are the text's placeholders, it renders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pytest

from trainer.text.catalogue import ENGLISH, texts_of
from trainer.text.messages import message

ROOT = Path(__file__).resolve().parents[2] / "trainer"
SOURCES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py"))}
FUNCTIONS = {"message", "say", "told", "warn", "detail"}
"""What takes a key first and its values by name."""
OF_ERRORS = {"UserError", "WrongValue", "NotPlainError", "Warned", "Detail"}
"""The same, and everything that derives from these."""
KEY = re.compile(r"[a-z0-9_]+\.[\w.\- ]+")


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def classes() -> set[str]:
    """The names of all kinds of errors and events that are made from a key."""
    bases = {node.name: {name_of(base) for base in node.bases}
             for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}  # fmt: skip
    found = set(OF_ERRORS)
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found - {"SettingsError"}  # made from problems


MAKERS = FUNCTIONS | classes()


class Site(NamedTuple):
    where: str
    text: ast.expr
    values: set[str] | None
    """The names of the values it is given; None where some come from a mapping."""


def sites() -> Iterator[Site]:
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and name_of(node.func) in MAKERS:
                given = {each.arg for each in node.keywords}
                values = None if None in given else {each for each in given if each}
                if values and name_of(node.func) not in FUNCTIONS:
                    values.discard("where")  # an error's place, which is no part of its text
                yield Site(f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0], values)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def named(text: ast.expr) -> list[str]:
    """The keys that an expression may be: one, either of two, or those that fit one put together from parts."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return [text.value]
    if isinstance(text, ast.IfExp):
        return [*named(text.body), *named(text.orelse)]
    if isinstance(text, ast.JoinedStr):
        parts = (re.escape(str(each.value)) if isinstance(each, ast.Constant) else r"[\w\- ]+" for each in text.values)
        form = re.compile("".join(parts))
        return [key for key in ENGLISH if form.fullmatch(key)] or [ast.unparse(text)]
    return []  # a message, or a key that comes from elsewhere


def test_there_are_sites_of_every_kind() -> None:
    found = list(sites())
    assert len(found) > 400
    assert {"ModelError", "DataError", "NotThereError", "DamagedError"} <= MAKERS
    assert sum(bool(named(site.text)) for site in found) > 400


def test_every_key_is_in_the_catalogue() -> None:
    missing = [f"{site.where}: there is no {key}" for site in sites() for key in named(site.text) if key not in ENGLISH]
    assert missing == []


def test_every_text_is_given_exactly_its_values() -> None:
    wrong = []
    for site in sites():
        if isinstance(site.text, ast.JoinedStr) or site.values is None:
            continue
        for key in named(site.text):
            wanted = placeholders(ENGLISH.get(key, ""))
            spare = set() if isinstance(site.text, ast.IfExp) else site.values - wanted  # one of two may need fewer
            if wanted - site.values or spare:
                wrong.append(f"{site.where}: {key} is given {sorted(site.values)}, but has {sorted(wanted)}")
    assert wrong == []


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_text_renders_with_all_its_values(language: str) -> None:
    texts = texts_of(language)
    for key in ENGLISH:
        fields = [(name, spec) for _, name, spec, _ in Formatter().parse(texts[key]) if name]
        numbers = {name for name, spec in fields if spec and "|" not in spec}
        values = {name: 100 + place if name in numbers else f"<{name}>" for place, (name, _) in enumerate(fields)}
        rendered = message(key, **values).text(language)
        assert all(str(value) in rendered for value in values.values()), key
        assert not re.search(r"\{\w", rendered), key
