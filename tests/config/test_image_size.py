"""The size a pair is trained at: 512 as TrainTrain's files have it in every mode, and 512 that somebody chose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.config import presets
from trainer.config.choices import MODES
from trainer.config.schema import dump, parse, to_json
from trainer.config.settings import Settings
from trainer.config.size import DEFAULT_SIZE, Size

LONG = "image_size(height, width)"
PAIRS = [name for name, mode in MODES.items() if mode.images == "pair"]
OTHERS = [name for name, mode in MODES.items() if mode.images != "pair"]


def again(settings: Settings) -> Settings:
    return parse(json.loads(dump(settings))).settings


@pytest.mark.parametrize("mode", PAIRS)
def test_512_under_the_long_key_is_nothing_chosen_and_is_written_back(mode: str) -> None:
    for written in ("512", 512, "512,512"):
        settings = parse({"mode": mode, LONG: written}).settings
        assert settings.image_size is None
        assert to_json(settings)[LONG] == "512"
        assert again(settings) == settings


@pytest.mark.parametrize("mode", PAIRS)
def test_512_can_be_chosen_under_the_short_key_and_stays_chosen(mode: str) -> None:
    settings = parse({"mode": mode, "image_size": "512"}).settings
    assert settings.image_size == DEFAULT_SIZE
    written = to_json(settings)
    assert written["image_size"] == "512"
    assert LONG not in written
    assert again(settings) == settings


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", ["image_size", LONG])
def test_another_size_is_meant_under_either_key_and_written_under_the_long_one(mode: str, key: str) -> None:
    settings = parse({"mode": mode, key: "768,640"}).settings
    assert settings.image_size == Size(640, 768)
    assert to_json(settings)[LONG] == "768,640"
    assert again(settings) == settings


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("written", ["", "0", 0, None])
def test_nothing_or_0_chooses_none(mode: str, written: Any) -> None:
    assert parse({"mode": mode, "image_size": written}).settings == Settings(mode=mode)


@pytest.mark.parametrize("mode", OTHERS)
def test_other_modes_train_at_512_and_write_it_as_traintrain_does(mode: str) -> None:
    for settings in (Settings(mode=mode), parse({"mode": mode, "image_size": 512}).settings):
        assert settings.size == again(settings).size == DEFAULT_SIZE
        assert to_json(settings)[LONG] == "512"


def test_a_preset_of_another_mode_does_not_choose_a_size_for_a_pair() -> None:
    folder = Path(__file__).resolve().parents[2] / "presets"
    preset = presets.load("LoRA", [folder]).settings
    assert parse({"mode": "ADDifT"}, base=preset).settings.image_size is None
