"""Test pairs are not what presets were chosen on, and the judge's counts are what tables say they are."""

from __future__ import annotations

from collections import Counter

import pytest

from studies.pairs import (
    PAIRS_A_HALF,
    Pair,
    Share,
    erased,
    kept,
    left_open,
    of_original,
    of_others,
    pairs,
    shown,
    sliders,
    spread_scenes,
)
from tests.toy.judge import Verdict
from tests.toy.world import ATTRIBUTES

FEW_VALUES = ("shape", "size", "place")
"""So few that every pair of a half is not of another pair's values."""


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_halves_do_not_share_a_pair(attribute: str) -> None:
    train, test = pairs("train", [attribute]), pairs("test", [attribute])
    assert len(train) == len(test) == PAIRS_A_HALF[attribute]
    assert not set(train) & set(test)
    values = [{frozenset((pair.original, pair.target)) for pair in half} for half in (train, test)]
    assert all(len(each) == PAIRS_A_HALF[attribute] for each in values), "a pair twice in one half"
    possible = len(ATTRIBUTES[attribute]) * (len(ATTRIBUTES[attribute]) - 1) // 2
    assert len(values[0] | values[1]) == min(2 * PAIRS_A_HALF[attribute], possible)
    assert (attribute in FEW_VALUES) == bool(values[0] & values[1])
    assert erased("train", [attribute]) != erased("test", [attribute])


def test_the_split_stays_what_the_tables_show() -> None:
    assert [pair.name for pair in pairs("test")] == [
        "yellow → blue", "square → circle", "small → large", "cyan → white", "centre → left",
        "green → purple", "circle → triangle", "black → gray", "right → left", "orange → blue",
    ]  # fmt: skip
    assert [pair.name for pair in erased("test")] == [
        "orange → nothing", "square → nothing", "small → nothing", "white → nothing", "centre → nothing",
    ]  # fmt: skip
    assert sliders("test") == pairs("test")[:5]


def test_prompts_say_what_is_asked_and_nothing_the_checkpoint_does_not_know() -> None:
    background = Pair("background", "black", "gray")
    assert background.words == ("black background", "gray background")
    known = tuple(name for name in ATTRIBUTES if name != "place")
    assert of_original(background, known).prompts[0] == "a small red circle on a black background"
    assert left_open(background).prompts[0] == "a small red circle, left"
    assert left_open(background).named == ("colour", "shape", "size", "place")
    assert Counter(scene.background for scene in of_others(background).scenes) == {"white": 12, "cyan": 12}
    assert of_others(Pair("size", "small", "large")).prompts == []


def test_scenes_are_spread_evenly() -> None:
    scenes = spread_scenes()
    assert len(set(scenes)) == 24
    for attribute, values in ATTRIBUTES.items():
        counts = Counter(getattr(scene, attribute) for scene in scenes)
        assert set(counts.values()) == {24 // len(values)}


def test_what_the_base_does_not_show_is_not_counted_as_lost() -> None:
    asked = of_original(Pair("colour", "yellow", "blue"))
    right = [Verdict(shape=scene.shape) for scene in asked.scenes]
    wrong = Verdict(shape=None)
    base = [wrong, wrong, *right[2:]]
    seen = [right[0], wrong, *right[2:-3], wrong, wrong, wrong]
    assert kept("shape", asked, base, seen) == Share(19, 22, 22, 24)


def test_what_is_shown_is_counted_beside_the_base() -> None:
    blue, red = Verdict(colour="blue"), Verdict(colour="red")
    share = shown("blue", "colour", [red, blue, red], [blue, blue, red])
    assert share == Share(2, 3, 1, 3)
    assert str(share + Share(2, 3, 1, 3)) == "4/6 (67 %; base 2/6)"
