"""What regularisation images keep, counted on the embedded checkpoint.

Blue circles are learned as "zorp circle", the way sd-scripts' guides begin: no captions but a folder's name. Without
regularisation images the class goes with them, and "circle" alone comes out blue as well. As a program it prints the
table that ``docs/lora.md`` holds: ``python -m studies.regularisation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from studies.lora import COMMON, NO_TEXT
from studies.studio import SEEDS, Studio, print_table, train_lora
from tests.toy.world import BACKGROUNDS, COLOURS, PLACES, SIDE, SIZES, coverage, paint

LEARNED, CLASS, COLOUR = "zorp circle", "circle", "blue"
MADE, PROMPTED = 32, 24
"""Regularisation images, and images of each prompt that are judged."""


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        has_reg: whether there are regularisation images.
        changes: settings, laid over those of all studies of LoRA.
    """

    name: str
    has_reg: bool
    changes: tuple[tuple[str, str], ...]


_SHORT = (("network_blocks", NO_TEXT), ("train_iterations", "200"))
_LONG = (("train_iterations", "500"), ("train_textencoder_learning_rate", "3e-3"))
WITHOUT = Case("without, with the text encoder, 500 steps", False, _LONG)
WITH = Case("with, with the text encoder, 500 steps", True, _LONG)
CASES = (
    WITHOUT,
    WITH,
    Case("without, U-Net only, 200 steps", False, _SHORT),
    Case("with, U-Net only, 200 steps", True, _SHORT),
)


def write_images(folder: Path) -> None:
    """Blue circles: both sizes on all four backgrounds, all places."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (size, background) in enumerate(product(SIZES, BACKGROUNDS)):
        x = PLACES[list(PLACES)[number % 3]] + rng.uniform(-1, 1)
        mask = coverage(CLASS, x, SIDE / 2 + rng.uniform(-2, 2), SIZES[size])
        Image.fromarray(paint(mask, COLOURS[COLOUR], BACKGROUNDS[background])).save(folder / f"{number}.png")


def write_class(studio: Studio, folder: Path) -> None:
    """Images that the untouched model makes of the class, as the guides recommend; their seeds are not measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(studio.pictures([CLASS] * MADE, first_seed=10_000)):
        picture.save(folder / f"{number}.png")


@dataclass
class Counts:
    """Images of each prompt that show a blue circle."""

    learned: int = 0
    of_class: int = 0
    of: int = 0

    def add(self, other: Counts) -> None:
        self.learned += other.learned
        self.of_class += other.of_class
        self.of += other.of


def write_data(studio: Studio, folder: Path, case: Case) -> Path:
    """A project as kohya_ss has it."""
    project = folder / case.name
    write_images(project / "img" / f"4_{LEARNED}")
    if case.has_reg:
        write_class(studio, project / "reg" / f"1_{CLASS}")
    return project / "img"


def study(studio: Studio, folder: Path, case: Case, seeds: Sequence[int]) -> Counts:
    """Train and measure a case with every seed, pooled."""
    data = write_data(studio, folder, case)
    found = Counts()
    for seed in seeds:
        settings = {**COMMON, **dict(case.changes), "lora_data_directory": str(data)}
        lora, _ = train_lora("LoRA", settings, case.name, seed, folder)
        found.add(measured(studio, seed, lora))
    return found


def measured(studio: Studio, seed: int, lora: Path | None = None) -> Counts:
    """What the two prompts make, with a LoRA or without."""

    def blue(prompt: str) -> int:
        verdicts = studio.verdicts([prompt] * PROMPTED, lora, first_seed=100 * seed)
        return sum((each.colour, each.shape) == (COLOUR, CLASS) for each in verdicts)

    return Counts(blue(LEARNED), blue(CLASS), PROMPTED)


def table(folder: Path) -> str:
    """The table of ``docs/lora.md``."""
    studio, base = Studio(), Counts()
    for seed in SEEDS:
        base.add(measured(studio, seed))
    rows = [("the untouched model", base), *((case.name, study(studio, folder, case, SEEDS)) for case in CASES)]
    lines = [
        f'| regularisation images | "{LEARNED}" makes a {COLOUR} circle | "{CLASS}" makes a {COLOUR} circle |',
        "| --- | --- | --- |",
        *(f"| {name} | {found.learned}/{found.of} | {found.of_class}/{found.of} |" for name, found in rows),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print_table(table)
