"""Every text of every room: once in each language, with the same values, and used."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from string import Formatter

import pytest

from trainer.text.catalogue import ENGLISH, JAPANESE

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.stem for path in (ROOT / "trainer" / "text" / "en").glob("*.py"))
SOURCES = [
    *(path for path in (ROOT / "trainer").rglob("*.py") if path.parent.name not in ("en", "ja")),
    *(ROOT / "javascript").glob("*.js"),
]
KEY = re.compile(r"""["'`]([a-z_]+\.[\w\- ]+)["'`]""")
BEGUN = re.compile(r"""["'`]([a-z_]+\.[\w\-]*)(?:\$?\{|["'`] \+)""")
"""A key that is put together: what it begins with."""
ASKED = re.compile(r"""\b(?:message|say|Warned|Detail|WrongValue|\w*Error)\(\s*["']([a-z_]+\.[\w\- ]+)["']""")
RAISED = re.compile(r"""\b(?:WrongValue|(?!FileError|ArgumentType)\w*Error)\(\s*["']([a-z_]+\.[\w\- ]+)["']""")
"""Of these a text stands behind what it is of and a colon, or alone; of a file's behind its name in one sentence."""
PARTS = frozenset(("error.problem", "error.problems", "config.sample_problem"))
FRAGMENTS = ("config.sample_no_", "config.sample_outside", "hosts.model_", "hosts.other_unet", "models.config")
NAMES = frozenset(("Trainyard", "LoRA", "VAE", "U-Net", "ControlNet", "IP-Adapter"))
"""What a Japanese text may say without a Japanese letter."""
CHARACTERS = re.compile("[ぁ-んァ-ン一-龥]")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in SOURCES)


def test_both_languages_have_the_same_texts_with_the_same_values() -> None:
    assert ENGLISH.keys() == JAPANESE.keys()
    assert {key for key in ENGLISH if placeholders(ENGLISH[key]) != placeholders(JAPANESE[key])} == set()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_key_stands_in_one_room(language: str) -> None:
    counts: Counter[str] = Counter()
    for room in ROOMS:
        counts.update(importlib.import_module(f"trainer.text.{language}.{room}").TEXTS.keys())
    assert [key for key, count in counts.items() if count > 1] == []
    assert counts.keys() == (ENGLISH if language == "en" else JAPANESE).keys()


def test_every_text_that_is_asked_for_exists() -> None:
    asked = set(ASKED.findall(sources()))
    assert len(asked) > 100
    assert asked - ENGLISH.keys() == set()


def test_what_is_raised_is_said_in_whole_sentences() -> None:
    """ "original prompt: is empty" is none."""
    raised = set(RAISED.findall(sources())) - PARTS
    raised |= {key for key in ENGLISH if key.startswith("config.no_")}
    assert len(raised) > 200
    assert {key for key in raised if ENGLISH[key][0].islower() and not key.startswith(FRAGMENTS)} == set()


def test_no_text_is_left_over() -> None:
    text = sources()
    named, begun = set(KEY.findall(text)), tuple(set(BEGUN.findall(text)))
    assert {key for key in ENGLISH if key not in named and not key.startswith(begun)} == set()


def test_no_text_is_left_in_the_other_language() -> None:
    assert {key for key, text in ENGLISH.items() if CHARACTERS.search(text)} == set()
    words = {key: re.sub(r"\{.*?\}", "", text) for key, text in JAPANESE.items()}
    latin = {key: set(re.findall("[A-Za-z-]+", text)) for key, text in words.items() if not CHARACTERS.search(text)}
    assert {key: said - NAMES for key, said in latin.items() if said - NAMES} == {}
