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
MADE = 32
"""Regularisation images."""
SETTINGS = {**COMMON, "network_blocks": NO_TEXT, "train_iterations": "200"}
CASES = ("without", "with")


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


def write_data(studio: Studio, folder: Path, case: str) -> Path:
    """A project as kohya_ss has it; only one of the two has regularisation images."""
    write_images(folder / case / "img" / f"4_{LEARNED}")
    if case == "with":
        write_class(studio, folder / case / "reg" / f"1_{CLASS}")
    return folder / case / "img"


def study(studio: Studio, folder: Path, case: str = "", seeds: Sequence[int] = SEEDS, *, count: int = 24) -> Counts:
    """Train and measure a case with every seed, pooled; without a case the base is measured."""
    found = Counts()
    data = write_data(studio, folder, case) if case else None
    for seed in seeds:
        lora = None
        if data is not None:
            lora, _ = train_lora("LoRA", {**SETTINGS, "lora_data_directory": str(data)}, f"reg {case}", seed, folder)
        first = 100 * seed
        learned, of_class = (studio.verdicts([prompt] * count, lora, first_seed=first) for prompt in (LEARNED, CLASS))
        found.learned += sum((each.colour, each.shape) == (COLOUR, CLASS) for each in learned)
        found.of_class += sum((each.colour, each.shape) == (COLOUR, CLASS) for each in of_class)
        found.of += count
    return found


def table(folder: Path) -> str:
    """The table of ``docs/lora.md``."""
    studio = Studio()
    lines = [
        f'| regularisation images | "{LEARNED}" makes a {COLOUR} circle | "{CLASS}" makes a {COLOUR} circle |',
        "| --- | --- | --- |",
    ]
    for case in ("", *CASES):
        found = study(studio, folder, case)
        lines.append(f"| {case or 'the untouched model'} | {found.learned}/{found.of} | {found.of_class}/{found.of} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print_table(table)
