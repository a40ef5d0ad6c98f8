"""The texts of optimizer and scheduler settings."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.config.key_values import parse_literals, split_prompts
from trainer.errors import WrongValue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" \n;; ", {}),
        ("eta_min=0.00001", {"eta_min": 0.00001}),
        ("eta_min=0.00001,", {"eta_min": 0.00001}),
        ("betas=0.9,0.99", {"betas": (0.9, 0.99)}),
        ("betas=0.9,0.99,;weight_decay = 1e-2", {"betas": (0.9, 0.99), "weight_decay": 0.01}),
        ("betas=(0.9,\n 0.99)\nd_coef=2", {"betas": (0.9, 0.99), "d_coef": 2}),
        (
            "use_bias_correction=True\r\nsafeguard_warmup=false",
            {"use_bias_correction": True, "safeguard_warmup": False},
        ),
        ("mode=triangular2; gamma=none", {"mode": "triangular2", "gamma": None}),
        ("mode='a;b'", {"mode": "a;b"}),
        ("milestones=[100, 200]", {"milestones": [100, 200]}),
        ("factor=-0.5", {"factor": -0.5}),
        ("tag='a=b'", {"tag": "a=b"}),
    ],
)
def test_literals(text: str, expected: dict[str, Any]) -> None:
    assert parse_literals(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("weight_decay", "has no ="),
        ("=3", "is not a name"),
        ("weight decay=3", "is not a name"),
        ("a=", "a has no value"),
        ("a=1;a=2", "a is given twice"),
        ("betas=(0.9,0.99", "The value of betas"),
        ("a=__import__('os').system('x')", "The value of a"),
        ("a=1+x", "The value of a"),
        ("a=1 b=2", "Put each key=value on a line of its own"),
        ("a=1e999", "finite"),
        ("a=nan", "The value of a"),
        ("a=(1, 1e999)", "finite"),
        ("a=" + "(" * 5000, "The value of a"),
    ],
)
def test_unreadable_literals(text: str, words: str) -> None:
    with pytest.raises(WrongValue) as caught:
        parse_literals(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ;\n; ", ()),
        ("a red circle, left", ("a red circle, left",)),
        (" circle;square \r\ntriangle;circle;", ("circle", "square", "triangle")),
        ("(a, b:1.2)\n[c", ("(a, b:1.2)", "[c")),
    ],
)
def test_prompts(text: str, expected: tuple[str, ...]) -> None:
    assert split_prompts(text) == expected
