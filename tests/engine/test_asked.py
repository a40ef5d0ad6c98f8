"""Whether a LoRA does what was asked: two judges, what they say in words, and LoRAs that work and that do not."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from tests.toy.judge import judge
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import asked
from trainer.engine.asked import Reading, empty_distances, readings
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Asked, Control, Effect, Event, Job
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.sample import sample, sample_latents
from trainer.modes.registry import mode_of
from trainer.networks.base import build
from trainer.networks.files.read import network_from_file
from trainer.networks.registry import builder, targets_of

TOY = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
SETTINGS = replace(Settings(), mode="iLECO", train_iterations=300, train_learning_rate=5e-4)
ERASED = [("red", "")]
ONE, TWO = [("red", "green")], [("red", "green"), ("cat", "dog")]


@pytest.mark.parametrize(
    ("losses", "distances", "found"),
    [
        ((0.2, 0.1), (9.0, 5.0), True),
        ((0.1, 0.2), (5.0, 9.0), False),
        ((0.1, 0.2), (9.0, 5.0), None),
        ((0.2, 0.1), (5.0, 9.0), None),
        ((0.52, 0.48), (9.0, 5.0), None),
        ((0.54, 0.46), (9.0, 5.0), True),
        ((0.48, 0.52), (5.0, 9.0), False),
        ((0.52, 0.48), (5.0, 9.0), None),
        ((math.nan, math.nan), (math.nan, math.nan), None),
    ],
)
def test_nothing_is_said_where_the_judges_do_not_agree(
    losses: tuple[float, float], distances: tuple[float, float], found: bool | None
) -> None:
    assert Reading(losses, distances).is_changed is found


RAISE = "Raise train iterations (now 300) or train learning rate (now 0.0005)."


@pytest.mark.parametrize(
    ("counts", "prompt_pairs", "settings", "words"),
    [
        ((6, 0, 0), ONE, {}, ['The LoRA turns "red" into "green" in 6 of 6 images.']),
        ((5, 1, 2), ONE, {}, ['The LoRA turns "red" into "green" in 5 of 6 images.']),
        ((6, 0, 0), TWO, {}, ["The LoRA changes what was asked in 6 of 6 images."]),
        ((4, 1, 0), ONE, {}, ['The LoRA turns "red" into "green" in 4 of 6 images.', "In 1 image it cannot be told."]),
        ((6, 0, 0), ERASED, {}, ['The LoRA erases "red" from 6 of 6 images.']),
        (
            (1, 1, 0), ERASED, {},
            ['Whether the LoRA erases "red" cannot be told from its images. Look at the strip.'],
        ),
        ((4, 2, 0), ONE, {}, ['The LoRA turns "red" into "green" in 4 of 6 images.', RAISE]),
        (
            (0, 6, 0), TWO, {"train_optimizer": "Prodigy", "train_learning_rate": 1.0},
            ["The LoRA changes what was asked in 0 of 6 images.", "Raise train iterations (now 300)."],
        ),
        (
            (1, 5, 3), ONE, {"hold_unconditional": "no"},
            [
                'The LoRA turns "red" into "green" in 1 of 6 images.', RAISE,
                "It also changes 3 of 6 images of the empty prompt. Guidance takes that off the effect.",
                "Set hold unconditional to yes (now no).",
            ],
        ),
        (
            (6, 0, 6), ONE, {},
            [
                'The LoRA turns "red" into "green" in 6 of 6 images.',
                "It also changes 6 of 6 images of the empty prompt. Guidance takes that off the effect.",
            ],
        ),
        (
            (2, 0, 6), ONE, {},
            ['Whether the LoRA turns "red" into "green" cannot be told from its images. Look at the strip.'],
        ),
        (
            (0, 2, 0), TWO, {},
            ["Whether the LoRA changes what was asked cannot be told from its images. Look at the strip."],
        ),
    ],
)  # fmt: skip
def test_what_is_found_in_words(
    counts: tuple[int, int, int], prompt_pairs: asked.PromptPairs, settings: dict[str, object], words: list[str]
) -> None:
    found = asked._words(*counts, prompt_pairs, replace(SETTINGS, **settings))
    assert [str(each) for each in found] == words


@pytest.mark.parametrize(
    ("settings", "prompt_pairs"),
    [
        ({"original_prompt": "a cat\na dog", "target_prompt": "a fox\n"}, (("a cat", "a fox"), ("a dog", ""))),
        ({"original_prompt": "a cat", "target_prompt": ""}, (("a cat", ""),)),
        ({"original_prompt": "a cat", "slider_positive": "a big cat", "slider_negative": "a small cat"}, ()),
    ],
)
def test_what_becomes_of_words_is_looked_for_and_no_slider(
    settings: dict[str, str], prompt_pairs: asked.PromptPairs
) -> None:
    assert mode_of("iLECO").usage(replace(SETTINGS, **settings), ()).prompt_pairs == prompt_pairs


# ---- on the embedded checkpoint -------------------------------------------------------------------------------------


def test_a_lora_without_an_update_leaves_every_image_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured against DDPM's own formula: noise ``sqrt(1 - a)``, ``a`` the product of ``1 - beta`` (Ho et al.)."""
    monkeypatch.setattr(asked, "IMAGES", 2)
    monkeypatch.setattr(asked, "STEPS", 4)
    bundle, cpu = load_bundle(TOY), torch.device("cpu")
    place_for_images(bundle, cpu)
    targets = targets_of(bundle, SETTINGS, trains_text=False)
    network = build(targets, builder(SETTINGS, torch.float32, cpu), torch.Generator())
    request = ImageSpec("", seed=5, steps=20, size=Size(64, 64))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1

    found = list(readings(bundle, network, ONE, request, check=check))
    assert empty_distances(bundle, network, request, check=check) == [0.0, 0.0]
    assert calls == asked.launches()
    assert [(each.distances[0], each.is_changed) for each in found] == [(0.0, False)] * 2

    latents = sample_latents(bundle, [replace(request, prompt="red", seed=6, steps=4)])
    apart = latents - sample_latents(bundle, [replace(request, prompt="green", seed=6, steps=4)])
    assert found[1].distances[1] == pytest.approx(float(apart.double().square().sum().sqrt()))
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    losses = [0.0, 0.0]
    for timestep, seed in ((300, 1000), (500, 1001)):
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
        noisy = (kept[timestep].sqrt() * latents + (1 - kept[timestep]).sqrt() * noise).float()
        for number, prompt in enumerate(("red", "green")):
            with torch.no_grad():
                predicted = bundle.predict(noisy, torch.tensor([timestep]), bundle.encode([prompt]))
            losses[number] += float((predicted - noise).square().mean())
    assert found[1].losses == pytest.approx(losses, rel=1e-3)


def trained(host: Standalone, **changes: object) -> tuple[Path, Asked]:
    settings = replace(
        SETTINGS, model=str(TOY), original_prompt="white background", target_prompt="black background",
        image_size=Size(64, 64), network_rank=8, train_seed=3, save_lora_name="x", train_batch_size=2, **changes,
    )  # fmt: skip
    effects: list[Effect] = []

    def heard(event: Event) -> None:
        if isinstance(event, Effect):
            effects.append(event)

    job = Job.create(settings, datetime(2026, 1, 2, tzinfo=timezone.utc))
    done = run(job, host, Control(), heard)
    assert done.path is not None
    assert effects[0].asked is not None
    return done.path, effects[0].asked


@pytest.mark.more
def test_a_lora_that_works_is_told_and_shows_it(host: Standalone) -> None:
    path, found = trained(host, train_learning_rate=5e-3, train_iterations=30)
    words = 'The LoRA turns "white background" into "black background" in 6 of 6 images.'
    assert str(found.words[0]) == words
    bundle = load_bundle(TOY)
    place_for_images(bundle, torch.device("cpu"))
    network = network_from_file(path, bundle)
    requests = [ImageSpec("white background", seed=seed, steps=asked.STEPS, size=Size(64, 64)) for seed in range(6)]
    with network.attached():
        assert [judge(image).background for image in sample(bundle, requests)] == ["black"] * 6


@pytest.mark.more
def test_a_lora_that_hardly_learned_is_told_with_what_to_raise(host: Standalone) -> None:
    _, found = trained(host, train_learning_rate=1e-5, train_iterations=3)
    assert (found.changed, found.unchanged, found.empty_moved) == (0, 6, 0)
    assert [str(each) for each in found.words] == [
        'The LoRA turns "white background" into "black background" in 0 of 6 images.',
        "Raise train iterations (now 3) or train learning rate (now 1e-05).",
    ]
