"""What is said of a run before its first step, beside its data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trainer.config.presets import load_file
from trainer.config.settings import Settings, effective
from trainer.data.look import Look
from trainer.engine.account import account_before

OURS = Path(__file__).resolve().parents[2] / "presets" / "trainyard"


def notes(settings: Settings) -> list[str]:
    return [str(row.text) for row in account_before(effective(settings), Look(None), None).rows if row.is_odd]


def test_a_concept_that_the_preset_for_erasing_changes_is_not_erased() -> None:
    erasing = replace(load_file(OURS / "erase-concept.json").settings, original_prompt="a dog\nred")
    assert notes(erasing) == notes(replace(erasing, target_prompt="\n")) == []
    (note,) = notes(replace(erasing, target_prompt="\na blue circle"))
    assert note == (
        '"red" is not erased but becomes "a blue circle", since that is its target prompt. To erase it, leave target '
        "prompt empty. To change it, set ileco scale to 1, or it goes beyond the target."
    )


def test_a_change_that_ends_at_its_target_is_what_it_says() -> None:
    erasing = load_file(OURS / "erase-concept.json").settings
    assert notes(replace(erasing, original_prompt="red", target_prompt="blue", ileco_scale=1.0)) == []


def test_what_erases_because_a_field_is_empty_says_so() -> None:
    slider = replace(load_file(OURS / "concept-slider.json").settings, original_prompt="circle")
    (note,) = notes(slider)
    assert note == (
        '"circle" is erased, since there is no target prompt. To change it into something else, write target prompt. '
        "For a slider, write slider positive and slider negative."
    )
    assert notes(replace(slider, slider_positive="large circle")) == []
    assert notes(replace(slider, target_prompt="square")) == []


def test_prompts_that_name_the_change_of_a_pair_are_told() -> None:
    pair = replace(load_file(OURS / "action-from-pair.json").settings, original_prompt="a red circle")
    assert notes(pair) == notes(replace(pair, target_prompt="a red circle")) == []
    (note,) = notes(replace(pair, target_prompt="a blue circle"))
    assert note == (
        "The prompts of the two images differ. What they name the model knows already, so less of it is learned. "
        "Write the same for both, without what changes."
    )
