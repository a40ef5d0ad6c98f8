"""What the modes of image pairs do to images, counted by the judge on the embedded checkpoint.

A pair shows one scene twice, with one attribute changed; prompts that leave this attribute open show what the LoRA does
with it at strength +1 and -1. As a program it prints the table that ``docs/differences.md`` holds:
``python -m studies.addift``, with one torch thread.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studies.studio import SEEDS, Studio, print_table, train_lora
from tests.toy.judge import Verdict, judge
from tests.toy.world import ATTRIBUTES, BACKGROUNDS, COLOURS, PLACES, SHAPES, SIZES, Scene, picture, subset_caption
from trainer.models.latents import encode_images

STRENGTHS = (1.0, -1.0)
PLAIN = Scene("red", "circle", "large", "white", "centre")


@dataclass(frozen=True)
class Case:
    """One thing asked of a mode of pairs.

    Attributes:
        kind: the attribute that differs.
        original: the scene of the original image; the others of a folder of pairs differ from it in all else.
        value: what the attribute becomes in the target image.
        settings: laid over the shipped preset.
        pairs: which of :func:`open_scenes` a folder of pairs shows.
        captioned: whether captions name what the images show, without the change and the place.
    """

    name: str
    kind: str
    original: Scene
    value: str
    settings: tuple[tuple[str, str], ...] = ()
    preset: str = "ADDifT_Action_SD1.5"
    mode: str = "ADDifT"
    pairs: tuple[int, ...] = (0, 5, 10, 15, 17, 20)
    captioned: bool = False

    @property
    def target(self) -> Scene:
        return replace(self.original, **{self.kind: self.value})

    @property
    def before(self) -> str:
        return str(getattr(self.original, self.kind))


# ---- training -------------------------------------------------------------------------------------------------------


def write_pair(case: Case, folder: Path) -> tuple[Path, Path]:
    """The two images of a pair, the same but for the attribute."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "original.png", folder / "target.png"
    for path, scene in zip(paths, (case.original, case.target), strict=True):
        picture(scene).save(path)
    return paths


def write_pairs(case: Case, folder: Path) -> Path:
    """Pairs that differ from one another in everything but the change; each jitters, both sides alike."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = open_scenes(case.kind)
    for number, scene in enumerate(scenes[place] for place in case.pairs):
        if case.captioned:
            (folder / f"{number}.txt").write_text(pair_caption(scene, case.kind), encoding="utf-8")
        for suffix, value in (("", case.before), ("_changed", case.value)):
            shown = replace(scene, **{case.kind: value})
            picture(shown, np.random.default_rng(number)).save(folder / f"{number}{suffix}.png")
    return folder


def train(case: Case, seed: int, folder: Path) -> tuple[Path, float]:
    """Train one case from the command line; the LoRA and the seconds it took."""
    if case.mode == "Multi-ADDifT":
        folder_name = f"{len(case.pairs)}-pairs{'-captioned' * case.captioned}"
        pictures = write_pairs(case, folder / f"{case.before}-{case.value}" / folder_name)
        inputs = {"lora_data_directory": str(pictures), "diff_target_name": "_changed", "image_size": "64",
                  "image_min_length": "64", "image_buckets_step": "64"}  # fmt: skip
    else:
        original, target = write_pair(case, folder / f"{case.kind}-{case.value}")
        caption = pair_caption(case.original, case.kind) if case.captioned else ""
        inputs = {"original_image": str(original), "target_image": str(target), "original_prompt": caption,
                  "target_prompt": caption}  # fmt: skip
    given = {"mode": case.mode, **inputs, "save_overwrite": "true", **dict(case.settings)}
    return train_lora(case.preset, given, case.name, seed, folder)


# ---- measuring ------------------------------------------------------------------------------------------------------


def open_scenes(kind: str) -> list[Scene]:
    """24 scenes with all attributes but ``kind`` spread evenly; what that one holds does not matter."""
    things = list(product(SIZES, SHAPES, BACKGROUNDS))
    places, colours = list(PLACES), list(COLOURS)
    return [
        Scene(colours[(number * 5 + number // 4) % 6], shape, size, background, places[(number + number // 3) % 3])
        for number, (size, shape, background) in enumerate(things)
    ]


def open_prompt(scene: Scene, kind: str) -> str:
    """A caption that names every attribute but ``kind``."""
    return subset_caption(scene, [name for name in ATTRIBUTES if name != kind])


def pair_caption(scene: Scene, kind: str) -> str:
    """What is not measured, word for word: a caption that names neither ``kind`` nor the place."""
    return subset_caption(scene, [name for name in ATTRIBUTES if name not in (kind, "place")])


@dataclass
class Counts:
    """Images of prompts that leave the attribute open, of how many; pooled over seeds by ``+=``.

    Attributes:
        base, plus, minus: that show the target's value without the LoRA, at +1, at -1.
        minus_original: that show the original's value at -1.
        up, down: whose latents lie nearer to the target at +1, farther from it at -1.
        shift_up, shift_down: how far, in sum, in units of the way from the original to the target.
        kept: for +1 and -1, for each other attribute, that show what the prompt says.
    """

    of: int = 0
    base: int = 0
    plus: int = 0
    minus: int = 0
    minus_original: int = 0
    up: int = 0
    down: int = 0
    shift_up: float = 0.0
    shift_down: float = 0.0
    kept: dict[float, dict[str, int]] = field(default_factory=lambda: {1.0: {}, -1.0: {}})
    seconds: float = 0.0

    def __iadd__(self, other: Counts) -> Counts:
        for name, value in vars(other).items():
            if name == "kept":
                for strength, counts in other.kept.items():
                    for key, count in counts.items():
                        self.kept[strength][key] = self.kept[strength].get(key, 0) + count
            else:
                setattr(self, name, getattr(self, name) + value)
        return self

    def least_kept(self, strength: float = 1.0) -> int:
        """Of the attributes that were not to change, the one kept in the fewest images."""
        return min(self.kept[strength].values())


def measure(studio: Studio, case: Case, lora: Path, seed: int = 0) -> Counts:
    """One image a prompt without the LoRA, at +1 and at -1, from the same noise."""
    scenes = open_scenes(case.kind)
    prompts = [open_prompt(scene, case.kind) for scene in scenes]
    first = 100 * seed
    base = _without(studio, tuple(prompts), first)
    found = {strength: studio.pictures(prompts, lora, strength=strength, first_seed=first) for strength in STRENGTHS}
    verdicts = {strength: [judge(one) for one in pictures] for strength, pictures in found.items()}
    shifts = {strength: _shifts(studio, case, scenes, base, found[strength]) for strength in STRENGTHS}
    return Counts(
        of=len(prompts),
        base=_count([judge(one) for one in base], case.kind, case.value),
        plus=_count(verdicts[1.0], case.kind, case.value),
        minus=_count(verdicts[-1.0], case.kind, case.value),
        minus_original=_count(verdicts[-1.0], case.kind, case.before),
        up=int((shifts[1.0] > 0).sum()),
        down=int((shifts[-1.0] < 0).sum()),
        shift_up=float(shifts[1.0].sum()),
        shift_down=float(shifts[-1.0].sum()),
        kept={strength: _kept(verdicts[strength], scenes, case.kind) for strength in STRENGTHS},
    )


@cache
def _without(studio: Studio, prompts: tuple[str, ...], first: int) -> list[Image.Image]:
    return studio.pictures(prompts, first_seed=first)


def study(studio: Studio, case: Case, folder: Path, seeds: tuple[int, ...] = SEEDS) -> Counts:
    """Train and measure a case with every seed, pooled; the seconds are those of one run."""
    pooled = Counts()
    for seed in seeds:
        lora, seconds = train(case, seed, folder)
        pooled += measure(studio, case, lora, seed)
        pooled.seconds += seconds / len(seeds)
    return pooled


def _count(verdicts: list[Verdict], kind: str, value: str) -> int:
    return sum(getattr(verdict, kind) == value for verdict in verdicts)


def _kept(verdicts: list[Verdict], scenes: list[Scene], kind: str) -> dict[str, int]:
    return {
        name: sum(
            getattr(verdict, name) == getattr(scene, name) for verdict, scene in zip(verdicts, scenes, strict=True)
        )
        for name in ATTRIBUTES
        if name != kind
    }


@torch.no_grad()
def _shifts(
    studio: Studio, case: Case, scenes: list[Scene], base: list[Image.Image], changed: list[Image.Image]
) -> np.ndarray:
    """``<z_changed - z_base, w> / <w, w>`` of each image, ``w`` the way from its scene's original to its target."""
    way = _latents(studio, [picture(replace(scene, **{case.kind: case.value})) for scene in scenes])
    way -= _latents(studio, [picture(replace(scene, **{case.kind: case.before})) for scene in scenes])
    moved = _latents(studio, changed) - _latents(studio, base)
    return ((moved * way).sum((1, 2, 3)) / (way * way).sum((1, 2, 3))).numpy()


def _latents(studio: Studio, pictures: list[Image.Image]) -> Tensor:
    pixels = torch.from_numpy(np.stack([np.asarray(one) for one in pictures])).permute(0, 3, 1, 2).float() / 127.5 - 1
    return encode_images(studio.bundle, pixels)


# ---- the table ------------------------------------------------------------------------------------------------------

_COLUMNS = (
    "difference", "settings", "steps", "seconds", "target, base", "target at +1", "target at -1", "original at -1",
    "nearer at +1", "farther at -1", "others kept at +1", "others kept at -1",
)  # fmt: skip
HEAD = (f"| {' | '.join(_COLUMNS)} |", f"| {' | '.join('---' for _ in _COLUMNS)} |")


def row(case: Case, counts: Counts, steps: str) -> str:
    """A case in the table's columns; of the attributes that were not to change, the one kept least."""
    of = counts.of
    plus, minus = (min(counts.kept[strength], key=counts.kept[strength].__getitem__) for strength in STRENGTHS)
    cells = [
        f"{case.before} → {case.value}", case.name, steps, f"{counts.seconds:.0f}", f"{counts.base}/{of}",
        f"{counts.plus}/{of}", f"{counts.minus}/{of}", f"{counts.minus_original}/{of}",
        f"{counts.up}/{of} ({counts.shift_up / of:+.2f})", f"{counts.down}/{of} ({counts.shift_down / of:+.2f})",
        f"{counts.kept[1.0][plus]}/{of} ({plus})", f"{counts.kept[-1.0][minus]}/{of} ({minus})",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


TOY = {
    "train_optimizer": "AdamW", "train_lr_scheduler": "cosine", "train_lr_scheduler_settings": "", "network_rank": 4,
    "network_alpha": 4, "train_iterations": 60, "train_learning_rate": 5e-3, "save_precision": "fp32",
}  # fmt: skip
"""Over the preset for actions: rates and steps that show on a model of three million parameters."""
PAIRS = {**TOY, "train_batch_size": 2}
STEADY = {**TOY, "train_batch_size": 4, "train_learning_rate": 4e-3}


def pair(kind: str, value: str, name: str, changes: Mapping[str, object], **scene: str) -> Case:
    mode = name.partition(",")[0]
    return Case(name, kind, replace(PLAIN, **scene), value, texts(changes), mode=mode)


def captioned(kind: str, value: str, name: str, changes: Mapping[str, object], **scene: str) -> Case:
    return replace(pair(kind, value, name, changes, **scene), captioned=True)


def texts(changes: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in changes.items())


def table(folder: Path, cases: tuple[Case, ...]) -> str:
    """The rows of ``docs/differences.md`` that these cases make; each is printed as it is done."""
    studio, lines = Studio(), list(HEAD)
    for case in cases:
        steps = dict(case.settings).get("train_iterations", "as shipped")
        lines.append(row(case, study(studio, case, folder), steps))
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


STRONGEST = (
    pair("colour", "blue", "ADDifT, batch 4, rate 4e-3", STEADY, colour="yellow"),
    pair("background", "black", "ADDifT", TOY),
    pair("colour", "blue", "Multi-ADDifT, batch 4", {**TOY, "train_batch_size": 4}, colour="yellow"),
)  # fmt: skip
GENTLE = {**TOY, "train_batch_size": 4, "train_learning_rate": 2e-3}
CAPTIONED = (
    captioned("colour", "blue", "Multi-ADDifT, captions, batch 4, rate 2e-3", GENTLE),
    captioned("size", "large", "Multi-ADDifT, captions, batch 4, rate 2e-3, mirrored, t from 600, strength 0.8",
              {**GENTLE, "train_iterations": 100, "train_min_timesteps": 600, "network_strength": 0.8,
               "image_mirroring": True}, size="small"),
)  # fmt: skip
PRESETS = tuple(
    replace(pair("colour", "blue", f"ADDifT, preset {preset}", {}), preset=preset)
    for preset in ("ADDifT_Action_SD1.5", "ADDifT_Style_SD1.5")
)
OURS = (
    pair("background", "black", "ADDifT, diff_both_turns", {**TOY, "diff_both_turns": True, "train_iterations": 30}),
    pair("background", "black", "ADDifT, diff_noise_count 4", {**TOY, "diff_noise_count": 4}),
    pair("colour", "blue", "ADDifT, batch 4, rate 4e-3, mask", {**STEADY, "diff_use_diff_mask": True}, colour="yellow"),
    pair("colour", "blue", "ADDifT, batch 4, rate 4e-3, mask, diff_keep_outside 1",
         {**STEADY, "diff_use_diff_mask": True, "diff_keep_outside": 1}, colour="yellow"),
)  # fmt: skip
SHORT_OF_IT = (
    captioned("shape", "square", "Multi-ADDifT, captions, batch 4, rate 3e-3, mirrored, t from 600",
              {**GENTLE, "train_iterations": 100, "train_learning_rate": 3e-3, "train_min_timesteps": 600,
               "image_mirroring": True}),
    pair("size", "large", "Multi-ADDifT, mirrored, t from 600, strength 1.9, shapes kept",
         {**PAIRS, "train_batch_size": 4, "train_iterations": 100, "train_learning_rate": 3e-3,
          "train_min_timesteps": 600, "network_strength": 1.9, "image_mirroring": True,
          "keep_prompts": "circle;square;triangle", "keep_weight": 0.1}, size="small"),
    pair("colour", "blue", "ADDifT, batch 4, strength 1.5", {**STEADY, "train_learning_rate": 5e-3,
                                                             "network_strength": 1.5}),
    pair("colour", "blue", "Multi-ADDifT, strength 1.5", {**PAIRS, "network_strength": 1.5}),
    pair("shape", "square", "Multi-ADDifT, strength 1.5", {**PAIRS, "network_strength": 1.5}),
    pair("shape", "square", "Multi-ADDifT, batch 4", {**TOY, "train_batch_size": 4, "train_iterations": 100}),
)  # fmt: skip


if __name__ == "__main__":
    print_table(lambda folder: table(folder, (*STRONGEST, *CAPTIONED, *PRESETS, *OURS, *SHORT_OF_IT)))
