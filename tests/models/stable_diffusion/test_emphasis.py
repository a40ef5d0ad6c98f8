"""Brackets that stress words, as the WebUIs read them; the values are those of AUTOMATIC1111's documentation."""

from __future__ import annotations

import pytest

from trainer.models.stable_diffusion.emphasis import emphasised


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        ("a (b:1.5) c", [("a ", 1.0), ("b", 1.5), (" c", 1.0)]),
        ("(a (b:2))", [("a ", 1.1), ("b", 2.2)]),
        ("((a))", [("a", 1.21)]),
        ("[a]", [("a", 1 / 1.1)]),
        ("(a:0.5) [b", [("a", 0.5), (" ", 1.0), ("b", 1 / 1.1)]),
        ("a) b] c", [("a) b] c", 1.0)]),
        ("time 12:30)", [("time 12:30)", 1.0)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3)", 1.1)]),
        ("a : b \\\\ c", [("a : b \\ c", 1.0)]),
        ("", []),
    ],
)
def test_brackets(text: str, expected: list[tuple[str, float]]) -> None:
    found = emphasised(text)
    assert [piece for piece, _ in found] == [piece for piece, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected])


def test_many_brackets_take_no_time() -> None:
    assert emphasised("(a" * 500_000) == [("(a" * 500_000, 1.0)]
