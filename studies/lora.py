"""What LoRA learns from eight captioned images, counted on the embedded checkpoint.

Two things the model has never seen, a pink diamond and a teal bar, get words it has never seen. As a program it
prints the table that ``docs/lora.md`` holds: ``python -m studies.lora``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from studies.studio import SEEDS, Studio, print_table, train_lora
from tests.toy.judge import _background, _separate, judge
from tests.toy.world import BACKGROUNDS, COLOURS, PLACES, SHAPES, SIDE, SIZES, coverage, paint


@dataclass(frozen=True)
class Thing:
    """Something to be learned: a word, a colour and an outline the model does not know."""

    word: str
    colour: tuple[int, int, int]
    outline: str

    def mask(self, x: float, y: float, radius: float) -> np.ndarray:
        """How much of each pixel it covers, ``(SIDE, SIDE)``, 0…1."""
        rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
        dx, dy = abs(columns - x), abs(rows - y)
        if self.outline == "diamond":
            distance = (dx + dy) - 1.25 * radius
        elif self.outline == "pillar":
            distance = np.maximum(dx - 0.5 * radius, dy - 1.25 * radius)
        elif self.outline == "star":
            fifth = 2 * np.pi / 5
            angle = abs((np.arctan2(columns - x, y - rows) + fifth / 2) % fifth - fifth / 2)
            reach = np.hypot(dx, dy) * (np.cos(angle) + 1.4 * np.sin(angle))
            distance = (reach - 1.1 * radius) / 1.72
        else:  # a bar, lying
            distance = np.maximum(dx - 1.25 * radius, dy - 0.5 * radius)
        return np.clip(0.5 - distance, 0.0, 1.0)


ZORP = Thing("zorp", (250, 120, 190), "diamond")
QUAX = Thing("quax", (20, 120, 120), "bar")


def write_pictures(folder: Path, thing: Thing, seed: int = 0, *, names_place: bool = True) -> Path:
    """Eight captioned images of a thing: both sizes on all four backgrounds, all places."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (size, background) in enumerate(product(SIZES, BACKGROUNDS)):
        place = list(PLACES)[number % 3]
        mask = thing.mask(PLACES[place] + rng.uniform(-1, 1), SIDE / 2 + rng.uniform(-2, 2), SIZES[size])
        Image.fromarray(paint(mask, thing.colour, BACKGROUNDS[background])).save(folder / f"{thing.word}{number}.png")
        caption = f"a {size} {thing.word} on a {background} background" + f", {place}" * names_place
        (folder / f"{thing.word}{number}.txt").write_text(caption, encoding="utf-8")
    return folder


def shows(picture: Image.Image, thing: Thing) -> bool:
    """Whether the image shows the thing: its colour within 60 RGB units and its outline, found by rendering it."""
    pixels = np.asarray(picture.convert("RGB")).astype(float)
    border = _background(pixels)
    found = None if border is None else _separate(pixels, border)
    if found is None:
        return False
    colour, mask = found
    if np.linalg.norm(colour - np.array(thing.colour)) > 60:
        return False
    rivals = [lambda x, y, r, shape=shape: coverage(shape, x, y, r) for shape in SHAPES]
    own = _best_overlap(mask, thing.mask)
    return own > 0.6 and own >= max(_best_overlap(mask, rival) for rival in rivals)


def _best_overlap(mask: np.ndarray, render: Callable[[float, float, float], np.ndarray]) -> float:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    area = mask.sum()
    x, y = (mask * columns).sum() / area, (mask * rows).sum() / area
    overlaps = []
    for radius in np.linspace(5, 22, 35):
        template = render(x, y, radius)
        overlaps.append(np.minimum(mask, template).sum() / np.maximum(mask, template).sum())
    return max(overlaps)


@dataclass(frozen=True)
class Case:
    """What is trained: things with their words, and settings laid over the shipped preset."""

    name: str
    things: tuple[Thing, ...]
    changes: tuple[tuple[str, str], ...]


COMMON = {
    "network_rank": "16", "network_alpha": "16", "train_batch_size": "4", "train_learning_rate": "1e-3",
    "image_size": "64", "image_min_length": "64", "image_buckets_step": "64", "save_precision": "fp32",
}  # fmt: skip
NO_TEXT = ",".join(["M00", *(f"IN{n:02}" for n in range(12)), *(f"OUT{n:02}" for n in range(12))])
ONE = Case(
    "one thing, U-Net only", (ZORP,), tuple({**COMMON, "network_blocks": NO_TEXT, "train_iterations": "300"}.items())
)
VARIED = Case(
    "one thing, its tags shuffled and left out",
    (ZORP,),
    tuple({**dict(ONE.changes), "caption_shuffle": "true", "caption_tag_dropout_rate": "0.3",
           "caption_separator": " ", "lora_trigger_word": "zorp"}.items()),
)  # fmt: skip
HELD = Case(
    "one thing, the words beside its own held",
    (ZORP,),
    tuple({**dict(ONE.changes), "train_self_reg": "1", "lora_trigger_word": "zorp"}.items()),
)
TWO = Case("two things, with the text encoder", (ZORP, QUAX), tuple({**COMMON, "train_iterations": "600"}.items()))


def class_captions() -> list[str]:
    """The things' captions with shapes and colours the model knows in the place of the word; none is measured."""
    colours, places = list(COLOURS), list(PLACES)
    return [
        f"a {size} {colours[(number + 2 * turn) % 6]} {shape} on a {background} background, {places[number % 3]}"
        for turn, shape in enumerate(SHAPES)
        for number, (size, background) in enumerate(product(SIZES, BACKGROUNDS))
    ]


TWO_AND_KEPT = Case(
    "two things, their class kept",
    (ZORP, QUAX),
    tuple(
        {
            **COMMON, "train_iterations": "450", "train_learning_rate": "2e-3",
            "keep_prompts": "; ".join(class_captions()), "keep_weight": "0.5",
        }.items()
    ),
)  # fmt: skip


def train(case: Case, seed: int, folder: Path) -> tuple[Path, float]:
    """Train one case; the LoRA and the seconds it took."""
    data = folder / "-".join(thing.word for thing in case.things)
    for thing in case.things:
        write_pictures(data / thing.word, thing)
    return train_lora("LoRA", {"lora_data_directory": str(data), **dict(case.changes)}, case.name, seed, folder)


def prompts_of(word: str, *, names_place: bool = True) -> list[str]:
    """24 prompts with a word, over backgrounds and places; large, for eight latents a side blur small outlines."""
    return [
        f"a large {word} on a {background} background" + f", {place}" * names_place
        for _, background, place in product(range(2), BACKGROUNDS, PLACES)
    ]


def shown(studio: Studio, lora: Path, word: str, thing: Thing, seed: int) -> int:
    """Of the 24 prompts of a word, how many show a thing; of a word that is not its own, the words beside do it."""
    made = studio.pictures(prompts_of(word), lora, first_seed=100 * seed, steps=16, cfg=2.0)
    return sum(shows(picture, thing) for picture in made)


def plain_scenes() -> list[tuple[str, str, str]]:
    """24 scenes without the words: colour, shape, background."""
    colours, shapes, backgrounds = list(COLOURS), list(SHAPES), list(BACKGROUNDS)
    return [(colours[n % 6], shapes[(n // 2) % 3], backgrounds[(n // 6 + n) % 4]) for n in range(24)]


def plain_prompts() -> list[str]:
    """The prompts of :func:`plain_scenes`."""
    return [f"a large {colour} {shape} on a {background} background" for colour, shape, background in plain_scenes()]


@dataclass
class Counts:
    """Images of each word that show its thing, or another's; prompts without one that kept what they ask."""

    own: int = 0
    other: int = 0
    of: int = 0
    colour: int = 0
    shape: int = 0
    background: int = 0
    plain: int = 0
    seconds: float = 0.0


def study(studio: Studio, case: Case, folder: Path, seeds: Sequence[int] = SEEDS, *, trained: bool = True) -> Counts:
    """Train and measure a case with every seed, pooled; ``trained`` False measures the base."""
    counts = Counts()
    for seed in seeds:
        lora, seconds = train(case, seed, folder) if trained else (None, 0.0)
        counts.seconds += seconds
        for thing in case.things:
            made = studio.pictures(prompts_of(thing.word), lora, first_seed=100 * seed, steps=16, cfg=2.0)
            counts.of += len(made)
            counts.own += sum(shows(picture, thing) for picture in made)
            rivals = [rival for rival in case.things if rival is not thing]
            counts.other += sum(any(shows(picture, rival) for rival in rivals) for picture in made)
        scenes = plain_scenes()
        plain = studio.pictures(plain_prompts(), lora, first_seed=100 * seed, steps=16, cfg=2.0)
        for verdict, scene in zip(map(judge, plain), scenes, strict=True):
            counts.colour += verdict.colour == scene[0]
            counts.shape += verdict.shape == scene[1]
            counts.background += verdict.background == scene[2]
            counts.plain += 1
    return counts


def table(folder: Path) -> str:
    """The table of ``docs/lora.md``."""
    studio = Studio()
    lines = [
        "| case | its word makes it | the other's word does | no word: colour kept | shape | background | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in (ONE, TWO, TWO_AND_KEPT):
        base, found = study(studio, case, folder, trained=False), study(studio, case, folder)
        lines.append(
            f"| {case.name} | {found.own}/{found.of} (base {base.own}) | {found.other}/{found.of} | "
            f"{found.colour}/{found.plain} (base {base.colour}) | {found.shape}/{found.plain} (base {base.shape}) | "
            f"{found.background}/{found.plain} (base {base.background}) | {found.seconds / len(SEEDS):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print_table(table)
