"""What iLECO does to pictures, counted by the judge on the embedded checkpoint.

Trains from the command line and samples with the product's own sampler. As a program it prints the table that
``docs/ileco.md`` holds: ``PYTHONPATH=.:tests python -m ileco_study``, with one torch thread.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from toy.judge import Verdict, judge
from toy.world import BACKGROUNDS, COLOURS, SHAPES, SIZES
from trainer.cli import main
from trainer.models.base import Bundle
from trainer.models.placement import place_for_pictures
from trainer.models.registry import load_bundle
from trainer.models.sample import Request, sample
from trainer.networks.read import network_from_file

CHECKPOINT = Path(__file__).parent / "toy" / "toy-sd1.safetensors"
SEEDS = (0, 1, 2)
GOOD = {
    "network_rank": "16", "network_alpha": "32", "network_element": "CrossAttention", "train_iterations": "400",
    "train_batch_size": "2", "train_learning_rate": "2e-3", "train_loss_function": "L1", "save_precision": "fp32",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One thing asked of iLECO.

    Attributes:
        other: another colour, which is to stay.
        changes: settings laid over the shipped preset; none: the preset as it is.
    """

    name: str
    colour: str
    target: str
    other: str
    original_prompt: str
    target_prompt: str
    changes: tuple[tuple[str, str], ...] = ()


def pair(colour: str, target: str, other: str, *, preset: bool = False) -> Case:
    changes = () if preset else tuple(GOOD.items())
    return Case(f"{colour} → {target}", colour, target, other, colour, target, changes)


CASES = (pair("blue", "yellow", "red"), pair("red", "blue", "green"))
PRESET_CASES = (pair("blue", "yellow", "red", preset=True), pair("red", "blue", "green", preset=True))
ERASED = Case("red erased", "red", "", "green", "red", "", tuple(GOOD.items()))


def train(case: Case, seed: int, folder: Path) -> tuple[Path, float]:
    """Train one case from the command line; the LoRA and the seconds it took."""
    name = f"{case.original_prompt}-{case.target_prompt or 'erased'}-{len(case.changes)}-{seed}".replace(" ", "_")
    arguments = [
        "train", "iLECO", "--model", str(CHECKPOINT), "--image-size", "64", "--train-seed", str(seed),
        "--original-prompt", case.original_prompt, "--target-prompt", case.target_prompt, "--save-lora-name", name,
        "--data-dir", str(folder), "--device", "cpu", "--effect-strip", "false",
    ]  # fmt: skip
    for key, value in case.changes:
        arguments += ["--set", f"{key}={value}"]
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # the table has the standard output to itself
        assert main(arguments) == 0
    return folder / "loras" / f"{name}.safetensors", time.perf_counter() - start


def prompts(*colours: str) -> list[str]:
    """24 prompts: every size, shape and background, with these colours in turn or (empty) without one."""
    things = product(SIZES, SHAPES, BACKGROUNDS)
    return [
        " ".join(f"a {size} {colour} {shape} on a {background} background".split())
        for (size, shape, background), colour in zip(things, turns(*colours), strict=True)
    ]


def turns(*colours: str) -> list[str]:
    """The colour of each of :func:`prompts`; the step of 5 takes each colour to every background and size."""
    return [colours[(number * 5 + number // 4) % len(colours)] for number in range(24)]


def others(case: Case) -> tuple[str, ...]:
    """The colours that nobody asked to change."""
    return tuple(colour for colour in COLOURS if colour not in (case.colour, case.target))


def shapes() -> list[str]:
    """The shapes that :func:`prompts` ask for, in the same order."""
    return [shape for _, shape, _ in product(SIZES, SHAPES, BACKGROUNDS)]


class Studio:
    """The embedded checkpoint, ready to draw with a LoRA or without."""

    def __init__(self) -> None:
        self.bundle: Bundle = load_bundle(CHECKPOINT)
        place_for_pictures(self.bundle, torch.device("cpu"))

    def verdicts(
        self, prompts: list[str], lora: Path | None = None, strength: float = 1.0, first_seed: int = 0
    ) -> list[Verdict]:
        """What the judge sees in one picture a prompt, 10 steps, guidance 4."""
        requests = [
            Request(prompt, seed=first_seed + number, steps=10, cfg=4.0, size=(64, 64))
            for number, prompt in enumerate(prompts)
        ]
        if lora is None:
            return [judge(picture) for picture in sample(self.bundle, requests)]
        network = network_from_file(lora, self.bundle)
        network.strength = strength
        with network.attached():
            return [judge(picture) for picture in sample(self.bundle, requests)]


@dataclass
class Counts:
    """Pictures that are what they should be, of how many."""

    became: int = 0
    remained: int = 0
    kept: int = 0
    rest: int = 0
    shapes: int = 0
    of: int = 0
    seconds: float = 0.0

    def add(self, other: Counts) -> None:
        for name in ("became", "remained", "kept", "rest", "shapes", "of", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def measure(studio: Studio, case: Case, lora: Path | None, seed: int = 0) -> Counts:
    """24 pictures each of the original concept, of another colour, and of all colours nobody asked to change."""
    changed = studio.verdicts(prompts(case.colour), lora, first_seed=100 * seed)
    other = studio.verdicts(prompts(case.other), lora, first_seed=100 * seed)
    rest = studio.verdicts(prompts(*others(case)), lora, first_seed=100 * seed)
    right = [verdict.shape == shape for verdict, shape in zip(changed + other, shapes() * 2, strict=True)]
    return Counts(
        became=sum(verdict.colour == case.target for verdict in changed),
        remained=sum(verdict.colour == case.colour for verdict in changed),
        kept=sum(verdict.colour == case.other for verdict in other),
        rest=sum(verdict.colour == colour for verdict, colour in zip(rest, turns(*others(case)), strict=True)),
        shapes=sum(right),
        of=len(changed),
    )


def study(studio: Studio, case: Case, folder: Path, seeds: tuple[int, ...] = SEEDS) -> Counts:
    """Train and measure a case with every seed, pooled."""
    pooled = Counts()
    for seed in seeds:
        lora, seconds = train(case, seed, folder)
        pooled.add(measure(studio, case, lora, seed))
        pooled.seconds += seconds
    return pooled


@dataclass(frozen=True)
class Erasure:
    """Pictures that have the erased colour, of ``of``: with the word, before and after; the base without the word."""

    before: int
    after: int
    without_word: int
    kept: int
    of: int
    seconds: float


def study_erasing(studio: Studio, case: Case, folder: Path, seeds: tuple[int, ...] = SEEDS) -> Erasure:
    counts = [0, 0, 0, 0]
    seconds = 0.0
    for seed in seeds:
        lora, taken = train(case, seed, folder)
        seconds += taken
        first = 100 * seed
        seen = [
            studio.verdicts(prompts(case.colour), None, first_seed=first),
            studio.verdicts(prompts(case.colour), lora, first_seed=first),
            studio.verdicts(prompts(""), None, first_seed=first),
        ]
        for number, verdicts in enumerate(seen):
            counts[number] += sum(verdict.colour == case.colour for verdict in verdicts)
        other = studio.verdicts(prompts(case.other), lora, first_seed=first)
        counts[3] += sum(verdict.colour == case.other for verdict in other)
    return Erasure(*counts, of=24 * len(seeds), seconds=seconds)


def table(folder: Path) -> str:
    """The table of ``docs/ileco.md``."""
    studio = Studio()
    lines = [
        "| case | settings | became the target | original left | another kept | all others | shape kept | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in CASES + PRESET_CASES:
        base, counts = Counts(), study(studio, case, folder)
        for seed in SEEDS:
            base.add(measure(studio, case, None, seed))
        named = "as below" if case.changes else "shipped preset"
        of = counts.of
        lines.append(
            f"| {case.name} | {named} | {counts.became}/{of} | {counts.remained}/{of} | {case.other} "
            f"{counts.kept}/{of} (base {base.kept}) | {counts.rest}/{of} (base {base.rest}) | "
            f"{counts.shapes}/{2 * of} (base {base.shapes}) | {counts.seconds / len(SEEDS):.0f} |"
        )
    lines += [
        "",
        "| erased | with the word, base | with the word, LoRA | without the word, base | another kept | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    erased = study_erasing(studio, ERASED, folder)
    lines.append(
        f"| {ERASED.colour} | {erased.before}/{erased.of} | {erased.after}/{erased.of} | "
        f"{erased.without_word}/{erased.of} | {ERASED.other} {erased.kept}/{erased.of} | "
        f"{erased.seconds / len(SEEDS):.0f} |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        print(table(Path(scratch)))
