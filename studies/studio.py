"""What the studies of all modes share: train from the command line, draw with the product's own sampler, pool seeds."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from tests.toy.judge import Verdict, judge
from tests.toy.world import SIDE
from trainer.cli import main
from trainer.config.size import Size
from trainer.engine.effect import measure
from trainer.models.base import Bundle
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.sample import sample
from trainer.networks.files.read import network_from_file

CHECKPOINT = Path(__file__).resolve().parents[1] / "tests" / "toy" / "toy-sd1.safetensors"
SEEDS = (0, 1, 2)
"""Every count of a table pools these."""


def train_lora(
    preset: str, settings: Mapping[str, str], case: str, seed: int, folder: Path, checkpoint: Path = CHECKPOINT
) -> tuple[Path, float]:
    """Train from the command line, ``settings`` laid over a shipped preset.

    Returns:
        The LoRA, in ``folder/loras`` and named after the case and the seed, and the processor seconds of the whole run.
    """
    name = "-".join([*re.findall(r"\w+", case), str(seed)])
    arguments = [
        "train", preset, "--model", str(checkpoint), "--train-seed", str(seed), "--save-lora-name", name,
        "--data-dir", str(folder), "--device", "cpu", "--effect-strip", "false",
    ]  # fmt: skip
    for key, value in settings.items():
        arguments += ["--set", f"{key}={value}"]
    start = time.process_time()
    with contextlib.redirect_stdout(sys.stderr):  # a table has the standard output to itself
        assert main(arguments) == 0
    return folder / "loras" / f"{name}.safetensors", time.process_time() - start


def changes_in(text: str) -> dict[str, str]:
    """Settings laid over a preset, written ``key=value; key=value``."""
    return dict(each.strip().split("=", 1) for each in text.split(";") if each.strip())


class Studio:
    """A toy checkpoint, ready to draw with a LoRA or without."""

    def __init__(self, checkpoint: Path = CHECKPOINT) -> None:
        self.checkpoint = checkpoint
        self.bundle: Bundle = load_bundle(checkpoint)
        place_for_images(self.bundle, torch.device("cpu"))

    def pictures(
        self,
        prompts: Sequence[str],
        lora: Path | None = None,
        *,
        strength: float = 1.0,
        first_seed: int = 0,
        steps: int = 10,
        cfg: float = 4.0,
    ) -> list[Image.Image]:
        """One image a prompt, each with its own seed, the first with ``first_seed``."""
        requests = [
            ImageSpec(prompt, seed=first_seed + number, steps=steps, cfg=cfg, size=Size(SIDE, SIDE))
            for number, prompt in enumerate(prompts)
        ]
        if lora is None:
            return sample(self.bundle, requests)
        network = network_from_file(lora, self.bundle)
        network.strength = strength
        with network.attached():
            return sample(self.bundle, requests)

    def verdicts(
        self, prompts: Sequence[str], lora: Path | None = None, *, strength: float = 1.0, first_seed: int = 0
    ) -> list[Verdict]:
        """What the judge sees in one image a prompt, 10 steps, guidance 4."""
        return [judge(picture) for picture in self.pictures(prompts, lora, strength=strength, first_seed=first_seed)]

    def change(self, lora: Path) -> float:
        """How much a LoRA changes the weights it is beside, as a share of their norm."""
        return measure(network_from_file(lora, self.bundle), self.bundle.family)[0].relative


def print_table(table: Callable[[Path], str]) -> None:
    """What a study is as a program: its table on the standard output, made with one torch thread."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        print(table(Path(scratch)))
