"""Random descriptions in the place of captions that images do not have."""

from __future__ import annotations

from dataclasses import replace

import torch

from trainer.config.settings import Settings
from trainer.diffusion.random import StepRandom
from trainer.modes.descriptions import Descriptions

CPU = torch.device("cpu")
MANY = replace(Settings(), train_seed=3, diff_descriptions=96)


def drawn(settings: Settings, *sides: list[str], steps: int = 40) -> list[tuple[str | None, ...]]:
    descriptions = Descriptions(settings)
    return [descriptions.of_step(StepRandom.of_step(5, step, CPU), *sides).prompts for step in range(1, steps + 1)]


def test_half_of_the_samples_are_described_each_as_often_as_the_others() -> None:
    for count in (1, 2, 3, 4):
        found = drawn(MANY, [""] * count, [""] * count)
        often = [sum(step[place] is not None for step in found) for place in range(count)]
        assert often == [len(found) // 2] * count


def test_many_descriptions_are_drawn_by_seed_and_step() -> None:
    said = {each for step in drawn(MANY, [""] * 4, steps=400) for each in step if each}
    assert said == set(Descriptions(MANY).all)
    assert len(said) > 80
    assert all(said)
    assert drawn(MANY, [""] * 4) == drawn(MANY, [""] * 4)
    assert set(Descriptions(replace(MANY, train_seed=4)).all) != said


def test_captions_of_either_side_stay() -> None:
    assert drawn(MANY, ["a cat", "", " "], ["", "a dog", ""])[3] == (None, None, None)
    found = drawn(MANY, ["a cat", "", " "], ["", "a dog", ""])
    assert [any(step[place] for step in found) for place in range(3)] == [False, False, True]


def test_the_trigger_word_alone_is_no_caption() -> None:
    found = drawn(replace(MANY, lora_trigger_word="zorp"), ["zorp", "zorp, red"])
    assert all(step[1] is None for step in found)
    said = [step[0] for step in found if step[0]]
    assert len(said) == 20
    assert all(each.startswith("zorp, ") for each in said)


def test_none_are_drawn_where_none_are_asked_for() -> None:
    assert not any(any(step) for step in drawn(Settings(), [""] * 4))
