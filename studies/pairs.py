"""What the modes are asked for, and how the judge counts what came of it.

Pairs of values of every attribute of the toy world are split by a seed: presets are chosen on the train pairs, and
tables show the test pairs. Of an attribute with few values both halves have the same pair, in opposite orders.
``python -m studies.pairs`` prints them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from pathlib import Path
from random import Random
from typing import Literal

from safetensors import safe_open

from tests.toy.judge import Verdict
from tests.toy.world import ATTRIBUTES, BACKGROUNDS, COLOURS, PLACES, SHAPES, SIZES, Scene, subset_caption

Half = Literal["train", "test"]
SPLIT_SEED = 15
PAIRS_A_HALF = {"colour": 3, "shape": 2, "size": 1, "background": 2, "place": 2}


@dataclass(frozen=True)
class Pair:
    """Two values of an attribute: what is there, and what it is to become; an empty ``target`` erases."""

    attribute: str
    original: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.original} → {self.target or 'nothing'}"

    @property
    def words(self) -> tuple[str, str]:
        """Both as prompts; nothing where it is erased."""
        return words(self.attribute, self.original), words(self.attribute, self.target) if self.target else ""

    @property
    def other_values(self) -> tuple[str, ...]:
        """Those nobody asked to change."""
        return tuple(value for value in ATTRIBUTES[self.attribute] if value not in (self.original, self.target))


def words(attribute: str, value: str) -> str:
    """A value as captions say it."""
    return f"{value} background" if attribute == "background" else value


# ---- the split ------------------------------------------------------------------------------------------------------


def _split(attribute: str) -> dict[Half, list[Pair]]:
    rng = Random(f"{SPLIT_SEED} {attribute}")
    ordered = list(permutations(ATTRIBUTES[attribute], 2))
    rng.shuffle(ordered)
    chosen: dict[Half, list[Pair]] = {"train": [], "test": []}
    taken: list[tuple[str, str]] = []
    for half in ("test", "train"):
        for _ in range(PAIRS_A_HALF[attribute]):
            left = [pair for pair in ordered if pair not in taken]
            found = next((pair for pair in left if pair[::-1] not in taken), left[0])
            taken.append(found)
            chosen[half].append(Pair(attribute, *found))
    return chosen


def _split_erased(attribute: str) -> dict[Half, list[Pair]]:
    test, train = Random(f"{SPLIT_SEED} {attribute} erased").sample(ATTRIBUTES[attribute], 2)
    return {"test": [Pair(attribute, test, "")], "train": [Pair(attribute, train, "")]}


_PAIRS = {attribute: _split(attribute) for attribute in ATTRIBUTES}
_ERASED = {attribute: _split_erased(attribute) for attribute in ATTRIBUTES}


def pairs(half: Half, attributes: Collection[str] = tuple(ATTRIBUTES)) -> list[Pair]:
    """The pairs of a half, the attributes in turn: the first of each, then the second of each."""
    return _in_turn(_PAIRS[attribute][half] for attribute in ATTRIBUTES if attribute in attributes)


def erased(half: Half, attributes: Collection[str] = tuple(ATTRIBUTES)) -> list[Pair]:
    """What is erased: one value an attribute."""
    return _in_turn(_ERASED[attribute][half] for attribute in ATTRIBUTES if attribute in attributes)


def sliders(half: Half, attributes: Collection[str] = tuple(ATTRIBUTES)) -> list[Pair]:
    """The negative and the positive end: the first pair of each attribute."""
    return [_PAIRS[attribute][half][0] for attribute in ATTRIBUTES if attribute in attributes]


def _in_turn(lists: Iterable[list[Pair]]) -> list[Pair]:
    columns = list(lists)
    return [column[row] for row in range(max(map(len, columns))) for column in columns if row < len(column)]


def told_by(checkpoint: Path) -> tuple[str, ...]:
    """The attributes that a toy checkpoint's captions named: its prompts are about no others."""
    with safe_open(checkpoint, "pt") as file:
        made_by = json.loads(file.metadata()["trainyard_made_by"])
    return tuple(made_by.get("told", ATTRIBUTES))


def slider_prompts(pair: Pair) -> tuple[list[str], list[str], list[str]]:
    """The concepts a slider acts on, one a line, and their positive and negative ends.

    The world has no word for all its things, as "person" is one: the shapes stand for it, of a shape the colours.
    """
    by = "shape" if pair.attribute != "shape" else "colour"
    plain = Scene("red", "circle", "large", "white", "centre")
    scenes = [replace(plain, **{by: value}) for value in ATTRIBUTES[by]]
    positive, negative = (
        [subset_caption(replace(scene, **{pair.attribute: value}), (by, pair.attribute)) for scene in scenes]
        for value in (pair.target, pair.original)
    )
    return list(ATTRIBUTES[by]), positive, negative


# ---- prompts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Prompts, and the scenes they are about, one each.

    Attributes:
        named: the attributes that the prompts name.
    """

    scenes: tuple[Scene, ...]
    named: tuple[str, ...]

    @property
    def prompts(self) -> list[str]:
        return [subset_caption(scene, self.named) for scene in self.scenes]


def spread_scenes() -> list[Scene]:
    """24 scenes: every size, shape and background, and over them all colours and places, evenly."""
    colours, places = list(COLOURS), list(PLACES)
    return [
        Scene(colours[(3 * i + 2 * j + k) % 6], shape, size, background, places[(i + j + k) % 3])
        for (i, size), (j, shape), (k, background) in product(
            enumerate(SIZES), enumerate(SHAPES), enumerate(BACKGROUNDS)
        )
    ]


def with_values(attribute: str, values: Sequence[str]) -> tuple[Scene, ...]:
    """The scenes with these values in turn; the step of 5 takes each to every background and size."""
    return tuple(
        replace(scene, **{attribute: values[(number * 5 + number // 4) % len(values)]})
        for number, scene in enumerate(spread_scenes())
    )


def of_original(pair: Pair, told: Sequence[str] = tuple(ATTRIBUTES)) -> Asked:
    """24 prompts that name the original value, and everything else that the checkpoint knows."""
    return Asked(with_values(pair.attribute, [pair.original]), tuple(told))


def of_others(pair: Pair, told: Sequence[str] = tuple(ATTRIBUTES)) -> Asked:
    """24 prompts that name the other values of the attribute in turn; none where there are no others."""
    return Asked(with_values(pair.attribute, pair.other_values) if pair.other_values else (), tuple(told))


def left_open(pair: Pair, told: Sequence[str] = tuple(ATTRIBUTES)) -> Asked:
    """The prompts of :func:`of_original` without a word about the attribute; its value in the scenes says nothing."""
    named = tuple(name for name in told if name != pair.attribute)
    return Asked(with_values(pair.attribute, [pair.original]), named)


# ---- counting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """Images that are as they should be.

    Attributes:
        count: how many.
        of: of how many; of what is to be kept, those that the base shows as the prompt says, with the same noise.
        base: how many the base shows so.
        images: how many were made.
    """

    count: int = 0
    of: int = 0
    base: int = 0
    images: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(*(a + b for a, b in zip(self.numbers, other.numbers, strict=True)))

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        return self.count, self.of, self.base, self.images

    def __str__(self) -> str:
        """As tables have it: the count, the share, and the base's own."""
        if not self.of:
            return "–"
        return f"{self.count}/{self.of} ({100 * self.count / self.of:.0f} %; base {self.base}/{self.images})"


def shown(value: str, attribute: str, base: Sequence[Verdict], seen: Sequence[Verdict]) -> Share:
    """The images that show a value, and how many of the base's did."""
    count = sum(getattr(verdict, attribute) == value for verdict in seen)
    return Share(count, len(seen), sum(getattr(verdict, attribute) == value for verdict in base), len(base))


def kept(attribute: str, asked: Asked, base: Sequence[Verdict], seen: Sequence[Verdict]) -> Share:
    """Of the images of which the base shows the attribute as the prompt says, those that still do."""
    wanted = [getattr(scene, attribute) for scene in asked.scenes]
    right = [getattr(verdict, attribute) == value for verdict, value in zip(base, wanted, strict=True)]
    still = [getattr(verdict, attribute) == value for verdict, value in zip(seen, wanted, strict=True)]
    return Share(sum(a and b for a, b in zip(right, still, strict=True)), sum(right), sum(right), len(right))


def kept_attributes(pair: Pair, asked: Asked, base: Sequence[Verdict], seen: Sequence[Verdict]) -> dict[str, Share]:
    """:func:`kept` of every attribute that the prompts name, but the pair's."""
    return {name: kept(name, asked, base, seen) for name in asked.named if name != pair.attribute}


def _listed() -> str:
    lines = ["| attribute | train | test |", "| --- | --- | --- |"]
    for attribute in ATTRIBUTES:
        halves = (
            ", ".join(pair.name for pair in (*pairs(half, [attribute]), *erased(half, [attribute])))
            for half in ("train", "test")
        )
        lines.append(f"| {attribute} | {' | '.join(halves)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(_listed())
