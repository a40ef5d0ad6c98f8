"""Prompts around a concept: only its own words change, and its neighbours are of its kind."""

from __future__ import annotations

import re
from random import Random

import pytest

from trainer.modes.anchors import KINDS, Anchors, held_prompts, pool, pool_of_erased


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[ ,]+", text) if word not in ("", "a", "an", "on")]


@pytest.mark.parametrize(
    ("concept", "target", "slot"),
    [
        ("red", "green", "colour"), ("large", "small", "size"), ("a triangle", "a star", "thing"),
        ("gray background", "cyan background", "background"), ("left", "right", "position"),
        ("anime style", "photo", "position"), ("hatsune miku", "", "thing"), ("red hair", "blue hair", "thing"),
    ],
)  # fmt: skip
def test_a_concept_stands_where_its_kind_does_and_nothing_else_changes(concept: str, target: str, slot: str) -> None:
    assert Anchors(concept, [target]).slot == slot
    described = pool(concept, [target], 60, Random(1))
    assert described[0] == (concept, target)
    bare = concept.removeprefix("a ")
    for before, after in described:
        assert before.count(bare) == 1
        rest = before.replace(bare, target.removeprefix("a "))
        assert _words(rest) == _words(after)
    assert len(set(described)) > 20


@pytest.mark.parametrize(("concept", "kind"), [("red", "colour"), ("circles", "shape"), ("a huge", "size")])
def test_neighbours_are_of_the_same_kind_and_never_the_concept(concept: str, kind: str) -> None:
    anchors, rng = Anchors(concept, []), Random(2)
    found = {anchors.neighbour(rng).removeprefix("a ") for _ in range(300)}
    assert found == {word for word in KINDS[kind] if word not in concept}


def test_only_words_that_change_are_replaced() -> None:
    anchors, rng = Anchors("a woman in a red dress", ["a woman in a blue dress"]), Random(3)
    found = {anchors.neighbour(rng) for _ in range(300)}
    assert found == {f"a woman in a {colour} dress" for colour in KINDS["colour"] if colour != "red"}


def test_prompts_are_drawn_by_the_seed_alone_and_never_the_original() -> None:
    first, again, other = (held_prompts("red", ["green"], 40, Random(seed), {"red"}) for seed in (1, 1, 2))
    assert first == again != other
    assert all("red" not in prompt.split() for prompt in first)


def test_what_is_erased_becomes_other_words_of_its_kind() -> None:
    described = pool_of_erased("a huge", 300, Random(4), but=["a huge", "tiny"])
    assert {after for before, after in described if before == "a huge"} == {"a small", "a large"}
    for before, after in described:
        assert [after.replace(word, "huge", 1) for word in ("small", "large") if word in after] == [before]


def test_what_is_erased_leaves_its_place_empty_where_nothing_is_of_its_kind() -> None:
    sizes = list(KINDS["size"])
    for concept, but in (("hatsune miku", ["hatsune miku"]), ("tiny", sizes)):
        described = pool_of_erased(concept, 60, Random(4), but)
        assert described[0] == (concept, "")
        for before, after in described:
            assert _words(before.replace(concept, "")) == _words(after)


def test_no_concept_of_a_run_is_held_for_another() -> None:
    concepts = ["a circle", "square", "Star"]
    found = held_prompts("a circle", ["a red circle", "a blue circle"], 200, Random(5), concepts)
    said = {word for prompt in found for word in re.split(r"[ ,]+", prompt)}
    assert said.isdisjoint({"circle", "square", "star"})
    assert {"triangle", "heart", "cube"} <= said


@pytest.mark.parametrize(
    ("concept", "ends"),
    [
        ("cup", ("a young cup", "an old cup")),
        ("cup", ("cup on a gray background", "a cup on a red background")),
        ("cup", ("cup, left", "cup, right")),
    ],
)
def test_the_ends_of_a_slider_are_described_in_the_order_of_words(concept: str, ends: tuple[str, str]) -> None:
    """Size, age, colour, thing, background, position; each of them once."""
    before = r"(an? )?((small|large|tiny|huge) )?((young|old) )?((?!on\b)\w+ )?"
    order = re.compile(before + r"cup( on an? \w+ background)?(, (?!\w+ on\b)[\w ]+)*")
    for prompts in pool(concept, ends, 200, Random(6)):
        assert all(order.fullmatch(prompt) for prompt in prompts), prompts
