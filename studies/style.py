"""What the presets for styles learn: light that lies over a whole image, from captioned images and from one pair.

A style here is a colour mixed into every pixel. An image is in the style if of all colours and backgrounds of the toy
world, with the style and without it, those of its prompt with it are the nearest to what it shows. Whether the rest has
stayed is what the judge says once the colour is taken out again. Finer things, such as lines or hatching, do not come
through eight latents a side.

Settings are chosen on the style of the train half and reported on those of the test half::

    python -m studies.style
    python -m studies.style --half train --changes "train_iterations=600; train_learning_rate=1e-3"
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from studies.first_press import SMALL
from studies.pairs import SPLIT_SEED, Asked, Half, Share, kept, spread_scenes
from studies.studio import CHECKPOINT, SEEDS, Studio, changes_in, train_lora
from tests.toy.judge import Verdict, _background, _separate, judge
from tests.toy.world import ATTRIBUTES, BACKGROUNDS, COLOURS, Scene, full_caption, picture

IMAGES = 12
"""That LoRA learns from."""
MIXED = 0.5


@dataclass(frozen=True)
class Style:
    """A word that no checkpoint knows, and the colour that is mixed into every pixel."""

    word: str
    colour: tuple[int, int, int]

    def mixed(self, colours: np.ndarray) -> np.ndarray:
        """Colours ``(..., 3)``, 0…255, with the style."""
        return (1 - MIXED) * colours + MIXED * np.array(self.colour)

    def over(self, image: Image.Image) -> Image.Image:
        return _image(self.mixed(np.asarray(image, dtype=np.float64)))

    def taken_off(self, image: Image.Image) -> Image.Image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
        return _image((pixels - MIXED * np.array(self.colour)) / (1 - MIXED))


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def shows(image: Image.Image, style: Style, scene: Scene) -> bool:
    """Whether the scene's colour and background are there, in the style."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    border = _background(pixels)
    found = None if border is None else _separate(pixels, border)
    if border is None or found is None:
        return False
    named = ((found[0], scene.colour, COLOURS), (border, scene.background, BACKGROUNDS))
    return all(_nearest(seen, style, palette) == (value, True) for seen, value, palette in named)


def _nearest(seen: np.ndarray, style: Style, palette: Mapping[str, tuple[int, int, int]]) -> tuple[str, bool]:
    """The value whose colour is the nearest to one that is seen, and whether that is the one with the style."""
    plain = {(value, False): np.array(colour, dtype=np.float64) for value, colour in palette.items()}
    every = {**plain, **{(value, True): style.mixed(colour) for (value, _), colour in plain.items()}}
    return min(every, key=lambda each: float(np.linalg.norm(seen - every[each])))


STYLES: dict[Half, tuple[Style, ...]] = {
    "train": (Style("sepi", (190, 130, 60)),),
    "test": (Style("dusk", (30, 20, 110)), Style("pasl", (255, 200, 215))),
}
PRESETS = {"images": "style-from-images", "pair": "style-from-pair"}
TRAINTRAINS = "ADDifT_Style_SD1.5"
"""Stands beside ours for a pair; it has none for images."""


def train(
    preset: str, style: Style, seed: int, changes: Mapping[str, str], folder: Path, checkpoint: Path = CHECKPOINT
) -> tuple[Path, float]:
    """Train from the command line; the LoRA, and the processor seconds of the whole run."""
    images = folder / "images" / style.word
    images.mkdir(parents=True, exist_ok=True)
    scenes = Random(f"{SPLIT_SEED} {style.word} {seed}").sample(spread_scenes(), IMAGES)
    if preset == PRESETS["images"]:
        for number, scene in enumerate(scenes):
            style.over(picture(scene, np.random.default_rng(number))).save(images / f"{number}.png")
            (images / f"{number}.txt").write_text(full_caption(scene), encoding="utf-8")
        given = {"lora_data_directory": str(images), "lora_trigger_word": style.word}
    else:
        plain = picture(scenes[0], np.random.default_rng(seed))
        both = [plain, style.over(plain)]
        if preset == TRAINTRAINS:  # it swaps the two
            both.reverse()
        for image, name in zip(both, ("original", "target"), strict=True):
            image.save(images / f"{name}.png")
        given = {f"{name}_image": str(images / f"{name}.png") for name in ("original", "target")}
    return train_lora(preset, {**SMALL, **given, **changes}, f"{preset} {style.word}", seed, folder, checkpoint)


@dataclass
class Counts:
    """Of a preset and a style: images in the style, and what they keep.

    Attributes:
        asked: images that show the prompt's colour and background in the style.
        kept: shape, size and place of the same images.
        without: colour, shape and background in prompts without the word, as the base shows them.
    """

    asked: Share = field(default_factory=Share)
    kept: Share = field(default_factory=Share)
    without: Share = field(default_factory=Share)
    seconds: float = 0.0


def measure(studio: Studio, preset: str, style: Style, lora: Path, seed: int) -> Counts:
    """The counts of one LoRA, from 24 prompts with the word and, of one from images, 24 without."""
    asked = Asked(tuple(spread_scenes()), tuple(ATTRIBUTES))
    has_word = preset == PRESETS["images"]
    prompts = [f"{style.word}, {prompt}" for prompt in asked.prompts] if has_word else asked.prompts
    base = studio.pictures(asked.prompts, first_seed=100 * seed)
    made = studio.pictures(prompts, lora, first_seed=100 * seed)

    def in_style(images: Sequence[Image.Image]) -> int:
        return sum(shows(image, style, scene) for image, scene in zip(images, asked.scenes, strict=True))

    def kept_of(names: Sequence[str], seen: Sequence[Verdict]) -> Share:
        return sum((kept(name, asked, known, seen) for name in names), Share())

    known = [judge(image) for image in base]
    off = [judge(style.taken_off(image)) for image in made]
    counts = Counts(
        Share(in_style(made), len(made), in_style(base), len(base)), kept_of(("shape", "size", "place"), off)
    )
    if has_word:
        counts.without = kept_of(
            ("colour", "shape", "background"), studio.verdicts(asked.prompts, lora, first_seed=100 * seed)
        )
    return counts


def rows(
    presets: Sequence[str], half: Half, seeds: Sequence[int], changes: Mapping[str, str], checkpoint: Path
) -> list[str]:
    """A row of the table for each preset and style."""
    studio, lines = Studio(checkpoint), list[str]()
    for preset in presets:
        for style in STYLES[half]:
            pooled = Counts()
            for seed in seeds:
                with tempfile.TemporaryDirectory() as folder:
                    lora, seconds = train(preset, style, seed, changes, Path(folder), checkpoint)
                    counts = measure(studio, preset, style, lora, seed)
                pooled.asked, pooled.kept = pooled.asked + counts.asked, pooled.kept + counts.kept
                pooled.without, pooled.seconds = pooled.without + counts.without, pooled.seconds + seconds
            cells = [preset, style.word, checkpoint.stem, ", ".join(map(str, seeds)), *map(str, (
                pooled.asked, pooled.kept, pooled.without)), f"{pooled.seconds / len(seeds):.0f}"]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m studies.style", description=(__doc__ or "").partition("\n")[0])
    shipped = [*PRESETS.values(), TRAINTRAINS]
    parser.add_argument("--presets", default=",".join(shipped), help="default: %(default)s")
    parser.add_argument("--half", choices=("train", "test"), default="test", help="default: %(default)s")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="default: %(default)s")
    parser.add_argument("--changes", default="", help="settings laid over the presets: key=value; key=value")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="a toy checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(1)
    changes = changes_in(options.changes)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    headings = ["preset", "style", "checkpoint", "seeds", "in the style", "shape, size, place kept",
                "kept without the word", "seconds"]  # fmt: skip
    print(f"| {' | '.join(headings)} |", "| --- " * len(headings) + "|", sep="\n")
    print(*rows(options.presets.split(","), options.half, seeds, changes, options.checkpoint), sep="\n")


if __name__ == "__main__":
    main()
