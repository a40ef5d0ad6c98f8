"""Whether a slider leads towards its ends: the judges, the sentences, and a LoRA that changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.asked import images as images_module
from trainer.engine.asked import slider
from trainer.engine.asked.images import Images
from trainer.engine.asked.slider import Reading, Sides, SliderQuestion, readings_of, words_of
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.modes.registry import mode_of
from trainer.networks.base import build
from trainer.networks.registry import builder, targets_of

TOY = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
SETTINGS = replace(Settings(), mode="iLECO", train_iterations=300, train_learning_rate=5e-4)
SIZES = ("a circle", "a large circle", "a small circle")


@pytest.mark.parametrize(
    ("share", "better", "found"),
    [
        (0.5, 0.1, True), (0.04, 0.1, None), (0.5, -0.1, None), (0.5, 0.0, None), (-0.5, -0.1, False),
        (0.0, 0.0, False), (math.nan, math.nan, None),
    ],
)  # fmt: skip
def test_an_image_is_nearer_where_both_judges_say_so(share: float, better: float, found: bool | None) -> None:
    assert Reading(share, better).is_nearer is found


def test_each_end_is_measured_on_its_own_side() -> None:
    """Ends at 4 and -4 on one line: from 0 to 2 is a quarter of the way up, from 0 to 1 an eighth up and not down."""

    def at(place: float) -> Tensor:
        return torch.tensor([place, 0.0]).view(1, 2, 1, 1)

    class Losses:
        """Of the positive prompt 1; of the negative one as much as the image is above -3."""

        def losses(self, latents: Tensor, prompts: tuple[str, str]) -> tuple[float, float]:
            assert prompts == ("up", "down")
            return 1.0, float(latents[0, 0]) + 3

    seen = Sides(("it", "up", "down"), at(4), at(-4), base=at(0), up=at(2), down=at(1))
    up, down = readings_of(cast(Images, Losses()), seen)
    assert (up.share, down.share) == (pytest.approx(0.25), pytest.approx(-0.125))
    assert (up.better, down.better) == (pytest.approx(1 / 4 - 1 / 6), pytest.approx(1 / 5 - 1 / 4))


LEADS = (
    "The slider leads towards its positive end at +1 in {} of 6, and towards its negative end at -1 in {} of 6 images."
)


@pytest.mark.parametrize(
    ("up", "down", "words"),
    [
        ([True] * 6, [True] * 5 + [False], [LEADS.format(6, 5)]),
        ([True] * 3 + [None] * 3, [True] * 6, [LEADS.format(3, 6)]),
        (
            [True] * 6, [True] * 4 + [False] * 2,
            [
                LEADS.format(6, 4), "Raise train iterations (now 300) or train learning rate (now 0.0005).",
                "Or raise slider scale (now 1).",
            ],
        ),
        (
            [True] * 6, [None] * 4 + [False] * 2,
            ["Whether the slider leads towards its ends cannot be told from its images. Look at the strip."],
        ),
    ],
)  # fmt: skip
def test_what_is_found_in_words(up: list[bool | None], down: list[bool | None], words: list[str]) -> None:
    assert [str(each) for each in words_of(up, down, replace(SETTINGS, slider_scale=1.0))] == words


def test_sliders_are_known_by_their_ends() -> None:
    settings = replace(
        SETTINGS, original_prompt="a cat\na dog", target_prompt="", slider_positive="large", slider_negative="a\nb"
    )
    usage = mode_of("iLECO").usage(settings, ())
    assert usage.sliders == (("a cat", "large", "a"), ("a dog", "large", "b"))
    assert usage.prompt_pairs == ()
    assert mode_of("iLECO").usage(replace(settings, slider_positive="", slider_negative=""), ()).sliders == ()


def test_a_lora_without_an_update_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (images_module, slider):
        monkeypatch.setattr(module, "IMAGES", 2)
        monkeypatch.setattr(module, "STEPS", 2)
    bundle, cpu, calls = load_bundle(TOY), torch.device("cpu"), 0
    place_for_images(bundle, cpu)
    targets = targets_of(bundle, SETTINGS, trains_text=False)
    network = build(targets, builder(SETTINGS, torch.float32, cpu), torch.Generator())

    def check() -> None:
        nonlocal calls
        calls += 1

    question = SliderQuestion([SIZES], described=True)
    answer = question.answer(Images(bundle, network, ImageSpec("", seed=5, size=Size(64, 64)), check), SETTINGS)
    assert calls == question.launches()
    assert str(answer.asked.words[0]) == LEADS.format(0, 0).replace("of 6", "of 2")
    assert [label for label, _ in answer.rows] == ["-1", "off", "+1"]
    (_, down), (_, off), (_, up) = answer.rows
    assert all(torch.equal(one, other) for row in (down, up) for one, other in zip(row, off, strict=True))
    assert str(answer.asked.shown).startswith('Below it, at -1, without the LoRA (off) and at +1: 1 "a circle", 2 "')
