"""Whether a LoRA makes of the original what the pair shows: on a model whose predictions are known, and on the toy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.toy.world import Scene, picture
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.diffusion.parameterisation import EPSILON
from trainer.diffusion.process import Diffusion
from trainer.diffusion.schedule import NoiseSchedule, scaled_linear_betas
from trainer.diffusion.timesteps import Uniform
from trainer.engine import effect as effect_module
from trainer.engine.asked import images as images_module
from trainer.engine.asked import pairs
from trainer.engine.asked.images import Images
from trainer.engine.asked.pairs import Counts, Pair, PairQuestion, Way, way_of, words_of
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Effect, Event, Job
from trainer.models.base import Bundle
from trainer.models.image_spec import ImageSpec
from trainer.networks.base import Network

TOY = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
ADDIFT = replace(Settings(), mode="ADDifT", train_iterations=30, train_learning_rate=1e-3, diff_reach_target=True)
SCHEDULE = NoiseSchedule.of_betas(scaled_linear_betas())
NOTHING = torch.zeros(1, 4, 2, 2)


class Ideal:
    """A model that takes whatever it is shown for one image and noise: with the network for another one."""

    def __init__(self, base: Tensor, with_network: Tensor) -> None:
        self.denoiser, self.diffusion = nn.Linear(1, 1), Diffusion(SCHEDULE, EPSILON, Uniform())
        self.text_encoders, self.modules = (), dict[str, nn.Module]()
        self._images, self.is_on, self.strength = (base, with_network), False, 0.0

    @contextmanager
    def attached(self) -> Iterator[None]:
        self.is_on = True
        yield
        self.is_on = False

    def encode(self, _captions: list[str], *, literal: bool) -> Ideal:
        assert literal
        return self

    def sized(self, _sizes: Tensor) -> Ideal:
        return self

    def predict(self, x: Tensor, timestep: Tensor, _conditioning: Ideal) -> Tensor:
        schedule = self.diffusion.schedule
        assert not self.is_on or self.strength == 1.0
        return (x - schedule.signal_at(timestep, x) * self._images[self.is_on]) / schedule.noise_at(timestep, x)


def test_the_share_of_the_way_is_that_of_what_is_made() -> None:
    """Original (0, 0), target (4, 3), 5 from it; the base makes (1, 0) of it, the network (3, 3): 8 + 9 of 25."""

    def at(first: float, second: float) -> Tensor:
        return torch.cat([torch.full((1, 1, 2, 2), float(first)), torch.full((1, 1, 2, 2), float(second))], 1)

    model, calls = Ideal(at(1, 0), at(3, 3)), 0

    def check() -> None:
        nonlocal calls
        calls += 1

    made = Images(cast(Bundle, model), cast(Network, model), ImageSpec("", seed=5), check)
    way = way_of(made, Pair(at(0, 0), at(4, 3), "", torch.zeros(1, 6)), 0)
    assert torch.allclose(way.base, at(1, 0), atol=1e-4)
    assert torch.allclose(way.seen, at(3, 3), atol=1e-4)
    assert (way.away, way.share) == (pytest.approx(1 / 5, abs=1e-4), pytest.approx(17 / 25, abs=1e-4))
    assert calls * images_module.IMAGES == PairQuestion.launches(cast(PairQuestion, None))
    assert not model.is_on


@pytest.mark.parametrize(
    ("away", "share", "found"),
    [
        (0.0, 1.0, True), (0.0, 0.51, True), (0.0, 0.45, None), (0.0, 0.29, False), (0.0, -1.0, False),
        (0.95, 1.0, None), (0.95, 0.0, None), (0.85, 0.7, True), (math.nan, math.nan, None),
    ],
)  # fmt: skip
def test_part_of_the_way_and_a_base_that_makes_another_image_tell_nothing(
    away: float, share: float, found: bool | None
) -> None:
    assert Way(NOTHING, NOTHING, away, share).is_changed is found


ONE = "The LoRA turns the original image into what the target image shows in {} of 6 tries, each with other noise."
LEAVE = "Leave what it changes out of your prompts: a prompt that names it may keep it as it was."
UNKNOWN = (
    "Whether the LoRA turns the original image into what the target image shows cannot be told: in 4 of 6 tries, the "
    "model does not come back to the original without it. Look at the strip."
)
RAISE = "Raise train iterations (now 30) or train learning rate (now 0.001)."


@pytest.mark.parametrize(
    ("counts", "number", "settings", "words"),
    [
        (Counts(6, 0), 1, {}, [ONE.format(6), LEAVE]),
        (Counts(5, 1), 1, {}, [ONE.format(5), LEAVE]),
        (Counts(3, 2), 1, {}, [ONE.format(3), "In 1 it goes part of the way.", RAISE]),
        (Counts(4, 0), 1, {}, [ONE.format(4), LEAVE, "In 2 it goes part of the way.", RAISE]),
        (Counts(3, 0, 3), 1, {}, [ONE.format(3), "In 3 images it cannot be told."]),
        (
            Counts(0, 6), 1, {"diff_reach_target": False},
            [
                ONE.format(0),
                "Raise train iterations (now 30), train learning rate (now 0.001) or network strength (now 1).",
            ],
        ),
        (Counts(0, 6), 1, {"mode": "Difference", "diff_reach_target": False}, [ONE.format(0), RAISE]),
        (
            Counts(6, 0), 3, {},
            [
                ONE.format(6).replace("the original image", "original images").replace(
                    "the target image shows", "their target images show"
                ),
                LEAVE,
            ],
        ),
        (
            Counts(2, 0, 4), 1, {},
            [UNKNOWN],
        ),
    ],
)  # fmt: skip
def test_what_is_found_in_words(counts: Counts, number: int, settings: dict[str, object], words: list[str]) -> None:
    assert [str(each) for each in words_of(counts, number, replace(ADDIFT, **settings))] == words


# ---- in a run -------------------------------------------------------------------------------------------------------


@pytest.fixture
def of_run(host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is asked of a run of one step on a red and a blue circle, measured on two rough images."""
    for module in (images_module, pairs, effect_module):
        monkeypatch.setattr(module, "IMAGES", 2)
    for module in (images_module, pairs):
        monkeypatch.setattr(module, "STEPS", 3)
    for name, colour, place in (("a", "red", "left"), ("b", "yellow", "right")):
        for end, shown in (("", colour), ("_to", "blue")):
            scene = Scene(shown, "circle", "large", "white", place)
            picture(scene, np.random.default_rng(3)).save(tmp_path / f"{name}{end}.png")

    def effect_of(**changes: object) -> Effect:
        settings = replace(
            Settings(), model=str(TOY), image_size=Size(64, 64), network_rank=2, network_blocks=("M00",),
            train_iterations=1, train_batch_size=1, train_seed=3, save_lora_name="x", train_learning_rate=1e-2,
            original_image=str(tmp_path / "a.png"), target_image=str(tmp_path / "a_to.png"),
            lora_data_directory=str(tmp_path), diff_target_name="_to", save_overwrite=True,
        )  # fmt: skip
        effects: list[Effect] = []

        def heard(event: Event) -> None:
            if isinstance(event, Effect):
                effects.append(event)

        job = Job.create(replace(settings, **changes), datetime(2026, 1, 2, tzinfo=timezone.utc))
        run(job, host, Control(), heard)
        return effects[0]

    return effect_of


@dataclass(frozen=True)
class Case:
    mode: str
    beginning: str


@pytest.mark.parametrize(
    "case",
    [
        Case("ADDifT", "The LoRA turns the original image into what the target image shows in"),
        Case("Multi-ADDifT", "The LoRA turns original images into what their target images show in"),
        Case("Difference", "The LoRA turns the original image into what the target image shows in"),
    ],
    ids=lambda case: case.mode,
)
def test_pairs_of_a_run_are_looked_at_and_shown(of_run, case: Case) -> None:
    effect = of_run(mode=case.mode)
    assert effect.asked is not None
    assert str(effect.asked.words[0]).startswith(case.beginning)
    assert (effect.asked.images, effect.asked.changed) == (2, 0)
    with Image.open(effect.strip) as strip:
        assert strip.size == (64 * 3 + 4 * 2, 3 * (64 + 16) + 16)
        assert strip.crop((0, 96, 64, 160)).getcolors() != [(64 * 64, (255, 255, 255))]


def test_a_copier_is_asked_nothing(of_run) -> None:
    assert of_run(mode="Difference", diff_1st_pass_only=True).asked is None
