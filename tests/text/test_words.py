"""The page's words: one sentence a key, the same keys in both languages, and no key that nobody has words for."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from string import Formatter

import pytest

from trainer.config.settings import ROWS
from trainer.text.catalogue import ENGLISH as ALL_ENGLISH
from trainer.text.catalogue import JAPANESE as ALL_JAPANESE
from trainer.text.en import gallery as en_gallery
from trainer.text.en import page as en_page
from trainer.text.ja import gallery as ja_gallery
from trainer.text.ja import page as ja_page
from trainer.text.language import language_of_machine
from trainer.text.words import Words

ENGLISH, JAPANESE = ({**one.TEXTS, **other.TEXTS} for one, other in ((en_page, en_gallery), (ja_page, ja_gallery)))
"""What the page carries."""
ROOT = Path(__file__).resolve().parents[2]
SAID = re.compile(r"""\bsay\(\s*["'`]([\w.\- ]+)["'`]""")
KEY = re.compile(r"""["'`]([a-z]+\.[\w.\- ]+)["'`]""")
SOURCES = [*(ROOT / "trainer" / "web").rglob("*.py"), *(ROOT / "javascript").glob("*.js")]


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    assert JAPANESE.keys() == ENGLISH.keys()
    for key in ENGLISH:
        names = [{name for _, name, _, _ in Formatter().parse(words[key]) if name} for words in (ENGLISH, JAPANESE)]
        assert names[0] == names[1], key


def test_every_sentence_that_is_asked_for_exists() -> None:
    said = {key for path in SOURCES for key in SAID.findall(path.read_text("utf-8"))}
    assert len(said) > 40
    assert said - ALL_ENGLISH.keys() == set()


def test_no_sentence_is_left_over() -> None:
    named = {key for path in SOURCES for key in KEY.findall(path.read_text("utf-8"))}
    made = {
        "bar",
        "mode",
        "section",
        "phase",
        "page_help",
        "queue",
        "status",
        "plot",
        "draw",
        "try",
        "vary",
        "describe",
        "gallery",
        "end",
    }  # with a key put together from parts
    assert {key for key in ENGLISH if key not in named and key.split(".")[0] not in made} == set()


def test_japanese_labels_carry_the_name_a_setting_is_known_by() -> None:
    words = Words("ja_JP")
    assert words.label("train_iterations") == "学習ステップ数 · train iterations"
    for row in ROWS:
        name, _, _explained = row.key.partition("(")  # what TrainTrain says of BASE there, the box says
        name = name.replace("timsteps", "timesteps")  # TrainTrain's spelling
        assert name.replace("_", " ").casefold() in words.label(row.name).casefold()
        assert words.help(row.name) != Words("en").help(row.name)


def test_the_help_says_what_stands_in_the_trigger_words_place_where_nothing_is_given() -> None:
    assert "If empty, common things" in Words("en").help("train_self_reg_filler")
    assert "空欄なら、ありふれたもの" in Words("ja").help("train_self_reg_filler")


@pytest.mark.parametrize("unnatural", ["両方とも下げ", "」は働かず", "これを無効にするか"])
def test_japanese_says_it_as_a_native_writer_would(unnatural: str) -> None:
    assert [key for key, text in ALL_JAPANESE.items() if unnatural in text] == []


def test_a_value_is_not_read_as_a_sentence() -> None:
    assert Words().say("run.started", name="{place} <b>") == "Started {place} <b>."


def test_the_page_carries_the_words_as_text() -> None:
    assert json.loads(html.unescape(Words("ja").data())) == JAPANESE
    assert not set(Words().data()) & set('"<>')


@pytest.mark.parametrize(
    ("environment", "language"),
    [({"LANG": "ja_JP.UTF-8"}, "ja"), ({"LANG": "C"}, "en"), ({"LC_ALL": "de_DE", "LANG": "ja"}, "en"), ({}, "en")],
)
def test_the_language_is_that_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language_of_machine() == language


def test_the_page_has_capitals_as_a_webui_has() -> None:
    named = ("train_iterations", "save_lora_name", "vae", "train_lr_scheduler")
    assert [Words().title(name) for name in named] == [
        "Train iterations",
        "Save LoRA name",
        "VAE",
        "Train LR scheduler",
    ]
    assert Words("ja").title("train_iterations") == Words("ja").label("train_iterations")
