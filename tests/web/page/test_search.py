"""The search over all settings: what people call a setting finds it, the best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainer.config.schema import describe

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).resolve().parents[3] / "javascript" / "trainyard_bar.js"


@pytest.fixture(scope="module")
def search(browser: Any) -> Iterator[Callable[..., list[str]]]:
    """The names of the settings that a text finds, by the page's own script, which needs no server for it."""
    page = browser.new_page()
    page.evaluate("window.trainyard = {}")
    page.evaluate(SCRIPT.read_text("utf-8"))

    def found(text: str, language: str = "en") -> list[str]:
        code = "([all, text]) => window.trainyard.searchSettings(all, text).map((each) => each.short)"
        return page.evaluate(code, [describe(language), text])  # type: ignore[no-any-return]

    yield found
    page.close()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("steps", "train_iterations"),
        ("how many", "train_iterations"),
        ("Number of  STEPS", "train_iterations"),
        ("max_train_steps", "train_iterations"),
        ("epochs", "train_epochs"),
        ("epoch", "train_epochs"),
        ("LR", "train_learning_rate"),
        ("\uff2c\uff32", "train_learning_rate"),  # typed in full width
        ("learning rate", "train_learning_rate"),
        ("batch", "train_batch_size"),
        ("rank", "network_rank"),
        ("dim", "network_rank"),
        ("resolution", "image_size"),
        ("seed", "train_seed"),
        ("image size", "image_size"),
        ("steps save per", "save_per_steps"),
        ("timesteps in batch", "train_fixed_timsteps_in_batch"),
        ("timsteps", "train_fixed_timsteps_in_batch"),
    ],
)
def test_what_people_call_a_setting_finds_it_first(search: Callable[..., list[str]], text: str, first: str) -> None:
    assert search(text)[0] == first


@pytest.mark.parametrize(
    ("text", "first"),
    [("ステップ数", "train_iterations"), ("学習率", "train_learning_rate"), ("steps", "train_iterations")],
)
def test_in_japanese_too(search: Callable[..., list[str]], text: str, first: str) -> None:
    assert search(text, "ja")[0] == first


def test_names_come_before_help(search: Callable[..., list[str]]) -> None:
    found = search("noise")
    named = ["noise" in name for name in found]
    assert len(found) > sum(named) > 0, "some have it in their help only"
    assert named == sorted(named, reverse=True)


def test_whole_words_come_before_parts_of_some(search: Callable[..., list[str]]) -> None:
    found = search("steps")
    assert found.index("sample_every_steps") < found.index("train_min_timesteps")


@pytest.mark.parametrize("text", ["", "  ", "zorp quux"])
def test_nothing_is_found_for_nothing(search: Callable[..., list[str]], text: str) -> None:
    assert search(text) == []
