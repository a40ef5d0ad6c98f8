"""Every text that the sources name by its key is given the values it has placeholders for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from trainer import errors
from trainer.text.catalogue import ENGLISH

ROOT = Path(__file__).resolve().parents[2] / "trainer"
ERRORS = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
MAKERS = {*ERRORS, "message", "say", "told", "Warned", "Detail", "warn", "detail"}
"""What takes a key first and its values by name."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def sites() -> Iterator[tuple[str, str, set[str] | None]]:
    """Where a key is named, the key, and the names of its values; None where some come from a mapping."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if name in MAKERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                given = {each.arg for each in node.keywords}
                values = None if None in given else {each for each in given if each}
                yield f"{path.relative_to(ROOT)}:{node.lineno}", first.value, values


def test_every_key_is_in_the_catalogue_with_its_values() -> None:
    found = list(sites())
    assert len(found) > 200
    wrong = []
    for where, key, values in found:
        if "." not in key or " " in key:
            continue  # a text of its own, not a key
        if key not in ENGLISH:
            wrong.append(f"{where}: there is no {key}")
        elif values is not None and not placeholders(ENGLISH[key]) <= values:
            wrong.append(f"{where}: {key} is given {sorted(values)}, but has {sorted(placeholders(ENGLISH[key]))}")
    assert not wrong, "\n".join(wrong)
