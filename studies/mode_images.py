"""What each mode does, in one image: without its LoRA, an arrow, with it. All are trained on the embedded checkpoint.

As a program it makes the images that the page shows beside its modes: ``python -m studies.mode_images``,
with one torch thread; a folder behind it takes them instead of ``trainer/web/page/pictures``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from studies import addift as addift_study
from studies import difference as difference_study
from studies import ileco as ileco_study
from studies import lora as lora_study
from studies.studio import Studio

FOLDER = Path(__file__).parent.parent / "trainer" / "web" / "page" / "pictures"
SIDE, GAP = 256, 56  # px
ARROW = (128, 128, 128, 255)  # to be seen on light pages and on dark ones
FINER = 4  # drawn so much larger, for soft edges


@dataclass(frozen=True)
class Subject:
    """A mode's image.

    Attributes:
        train: gives the LoRA, from a seed and a folder.
        seed: of the noise of both images.
    """

    mode: str
    train: Callable[[int, Path], tuple[Path, float]]
    prompt: str
    seed: int


SUBJECTS = (
    Subject("lora", partial(lora_study.train, lora_study.ONE), "a large zorp on a white background, centre", 2),
    Subject(
        "ileco",
        partial(ileco_study.train, ileco_study.CASES[0]),
        "a large blue triangle on a white background, centre",
        3,
    ),
    Subject(
        "difference",
        partial(addift_study.train, difference_study.STRONGEST[0]),
        "a large circle on a white background, centre",
        0,
    ),
    Subject("addift", partial(addift_study.train, addift_study.OURS[1]), "a large purple square, centre", 16),
    Subject(
        "multi-addift",
        partial(addift_study.train, addift_study.SHORT_OF_IT[1]),
        "a yellow circle on a black background, centre",
        2,
    ),
)
"""Prompts and noises that show the mode's change well, on images that the base draws otherwise."""


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """Both images enlarged to ``SIDE`` px with rounded corners, and an arrow between them; all else transparent."""
    sheet = Image.new("RGBA", (2 * SIDE + GAP, SIDE))
    corners = Image.new("L", (FINER * SIDE, FINER * SIDE))
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, FINER * SIDE - 1, FINER * SIDE - 1), FINER * 12, fill=255)
    mask = corners.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    for picture, left in ((before, 0), (after, SIDE + GAP)):
        large = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        large.putalpha(mask)
        sheet.paste(large, (left, 0))
    arrow = Image.new("RGBA", (FINER * GAP, FINER * GAP), (*ARROW[:3], 0))
    draw, middle = ImageDraw.Draw(arrow), FINER * GAP // 2
    start, tip, barb, width = FINER * 12, FINER * (GAP - 12), FINER * 9, FINER * 3
    draw.line((start, middle, tip, middle), ARROW, width)
    draw.line((tip - barb, middle - barb, tip, middle, tip - barb, middle + barb), ARROW, width, joint="curve")
    sheet.paste(arrow.resize((GAP, GAP), Image.Resampling.LANCZOS), (SIDE, (SIDE - GAP) // 2))
    return sheet


def make(folder: Path) -> None:
    """Train every mode and write its image into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    studio = Studio()
    with tempfile.TemporaryDirectory() as scratch:
        for subject in SUBJECTS:
            lora, _ = subject.train(0, Path(scratch))
            before, after = (
                studio.pictures([subject.prompt], network, first_seed=subject.seed, steps=20, cfg=2.0)[0]
                for network in (None, lora)
            )
            path = folder / f"{subject.mode}.webp"
            side_by_side(before, after).save(path, quality=85, method=6)
            print(path, path.stat().st_size)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
