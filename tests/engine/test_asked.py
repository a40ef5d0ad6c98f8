"""Whether a LoRA does what was asked: two judges, what they say in words, and LoRAs that work and that do not."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy.judge import judge
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.asked import concepts, images
from trainer.engine.asked.concepts import ConceptQuestion, Counts, Reading, empty_distances, reading_of, words_of
from trainer.engine.asked.images import Images
from trainer.engine.asked.pairs import Pair, way_of
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Asked, Control, Effect, Event, Job, Step, Warned
from trainer.models import placement
from trainer.models.base import Bundle
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.sample import sample, sample_latents
from trainer.modes.registry import mode_of
from trainer.networks.base import Network, build
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
ALIKE = (
    'Without the LoRA, the model makes nearly the same image of "red" and of "green" in 4 of 6: it does not seem to '
    "tell the two apart. Choose other words."
)
UNKNOWN = (
    'Without the LoRA, the image stays nearly the same when "red" is left out, in 6 of 6: the model does not seem to '
    "know it. Choose other words for it."
)
SEVERAL_ALIKE = (
    "Without the LoRA, the model makes nearly the same image of the original and of the target prompt in 5 of 6: it "
    "does not seem to tell them apart. Choose other words."
)
KEEP = (
    "To keep more, name what should stay in keep prompts, raise keep weight (now 2) or lower train learning rate (now "
    "0.0005)."
)
TURNS = 'The LoRA turns "red" into "green" in {} of 6 images.'


@pytest.mark.parametrize(
    ("counts", "prompt_pairs", "settings", "words"),
    [
        (Counts(6, 0, 0), ONE, {}, [TURNS.format(6)]),
        (Counts(5, 1, 0, moved=2), ONE, {}, [TURNS.format(5)]),
        (Counts(6, 0, 0), TWO, {}, ["The LoRA changes what was asked in 6 of 6 images."]),
        (Counts(4, 1, 0), ONE, {}, [TURNS.format(4), "In 1 image it cannot be told."]),
        (Counts(6, 0, 0), ERASED, {}, ['The LoRA erases "red" from 6 of 6 images.']),
        (
            Counts(1, 1, 0), ERASED, {},
            ['Whether the LoRA erases "red" cannot be told from its images. Look at the strip.'],
        ),
        (Counts(4, 2, 0), ONE, {}, [TURNS.format(4), RAISE]),
        (
            Counts(0, 6, 0), TWO, {"train_optimizer": "Prodigy", "train_learning_rate": 1.0},
            ["The LoRA changes what was asked in 0 of 6 images.", "Raise train iterations (now 300)."],
        ),
        (
            Counts(1, 5, 0, moved=3), ONE, {"hold_unconditional": "no"},
            [
                TURNS.format(1), RAISE,
                "It also changes 3 of 6 images of the empty prompt. Guidance takes that off the effect.",
                "Set hold unconditional to yes (now no).",
            ],
        ),
        (
            Counts(2, 0, 0), ONE, {},
            ['Whether the LoRA turns "red" into "green" cannot be told from its images. Look at the strip.'],
        ),
        (
            Counts(0, 2, 0), TWO, {},
            ["Whether the LoRA changes what was asked cannot be told from its images. Look at the strip."],
        ),
        # The model does not tell the words apart, whatever the judges say.
        (
            Counts(4, 0, 4, kept=6), ONE, {},
            [ALIKE],
        ),
        (
            Counts(3, 3, 6, kept=6), ERASED, {},
            [UNKNOWN],
        ),
        (
            Counts(0, 6, 5), TWO, {},
            [SEVERAL_ALIKE],
        ),
        (Counts(6, 0, 3), ONE, {}, [TURNS.format(6)]),
        # Other words.
        (Counts(6, 0, 0, kept=6), ONE, {}, [TURNS.format(6), "Other words: 6 of 6 images stay nearly as they were."]),
        (
            Counts(6, 0, 0, kept=4, lost=1), ONE, {},
            [TURNS.format(6), "Other words: 4 of 6 images stay nearly as they were; 1 image changes clearly."],
        ),
        (
            Counts(6, 0, 0, kept=2, lost=2), ONE, {"ileco_descriptions": 48, "keep_weight": 2.0},
            [
                TURNS.format(6), "Other words: 2 of 6 images stay nearly as they were; 2 images change clearly.",
                KEEP,
            ],
        ),
        (
            Counts(6, 0, 0, kept=0, lost=6), ONE, {"ileco_descriptions": 0},
            [
                TURNS.format(6), "Other words: 0 of 6 images stay nearly as they were; 6 images change clearly.",
                "To keep more, set ileco descriptions to 48 (now 0).",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_found_in_words(
    counts: Counts, prompt_pairs: list[tuple[str, str]], settings: dict[str, object], words: list[str]
) -> None:
    found = words_of(counts, prompt_pairs, replace(SETTINGS, **settings))
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
    settings: dict[str, str], prompt_pairs: tuple[tuple[str, str], ...]
) -> None:
    assert mode_of("iLECO").usage(replace(SETTINGS, **settings), ()).prompt_pairs == prompt_pairs


# ---- on the embedded checkpoint -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    bundle = load_bundle(TOY)
    place_for_images(bundle, torch.device("cpu"))
    return bundle


def without_update(bundle: Bundle) -> Network:
    cpu = torch.device("cpu")
    targets = targets_of(bundle, SETTINGS, trains_text=False)
    return build(targets, builder(SETTINGS, torch.float32, cpu), torch.Generator())


def few(monkeypatch: pytest.MonkeyPatch, count: int = 2, steps: int = 4) -> None:
    for module in (images, concepts):
        monkeypatch.setattr(module, "IMAGES", count)
        monkeypatch.setattr(module, "STEPS", steps)


def test_a_lora_without_an_update_leaves_every_image_as_it_was(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured against DDPM's own formula: noise ``sqrt(1 - a)``, ``a`` the product of ``1 - beta`` (Ho et al.)."""
    few(monkeypatch)
    request = ImageSpec("", seed=5, steps=20, size=Size(64, 64))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1

    question, made = ConceptQuestion(ONE, described=False, asks_empty=True), None
    made = Images(bundle, without_update(bundle), request, check)
    answer = question.answer(made, SETTINGS)
    assert calls == question.launches()
    found = answer.asked
    assert (found.changed, found.unchanged, found.images, found.kept, found.lost) == (0, 2, 2, 2, 0)
    assert found.empty_moved == 0
    assert [label for label, _ in answer.rows] == ["off", "+1"]

    latents = sample_latents(bundle, [replace(request, prompt="red", seed=6, steps=4)])
    for _, (_, second) in answer.rows:
        assert torch.equal(second, latents[0])
    seen = list(question.seen(made))
    readings = [reading_of(made, each) for each in seen]
    assert empty_distances(made) == [0.0, 0.0]
    apart = latents - sample_latents(bundle, [replace(request, prompt="green", seed=6, steps=4)])
    assert readings[1].distances == pytest.approx((0.0, float(apart.double().square().sum().sqrt())))
    assert readings[1].apart == readings[1].distances[1]
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
    assert readings[1].losses == pytest.approx(losses, rel=1e-3)


def test_other_words_are_counted_by_how_far_their_images_are_moved() -> None:
    """By the further one of what two other words change: 4 here."""

    def at(*place: float) -> torch.Tensor:
        return torch.tensor(place, dtype=torch.float32).view(1, 2, 1, 1)

    example = concepts.Example("red", "green", "blue")
    seen = concepts.Seen(example, at(3, 0), at(0, 4), at(0, 4), neighbour=at(0, 0), kept=at(0, 1))
    assert concepts.shares_of_neighbour(seen) == [0.25]
    assert concepts.shares_of_neighbour(replace(seen, neighbour=None, kept=None)) == []


def test_prompts_are_those_the_mode_trains_and_other_words_that_the_model_knows(bundle: Bundle) -> None:
    """To the toy, a star, a heart and a cube are the same: it has not seen one."""
    made = Images(bundle, without_update(bundle), ImageSpec("", seed=5))
    described = ConceptQuestion([("star", "square")], described=True, asks_empty=False).examples(made)
    assert (described[0].original, described[0].target) == ("star", "square")
    assert len({each.original for each in described}) > 3
    for each in described:
        assert each.original.replace("star", "square") == each.target
        assert any(each.neighbour == each.original.replace("star", known) for known in ("circle", "square", "triangle"))
    bare = ConceptQuestion(TWO, described=False, asks_empty=False).examples(made)
    assert [(each.original, each.target) for each in bare] == TWO * 3


@pytest.mark.parametrize(("pair", "beginning"), [
    (("star", "heart"), 'Without the LoRA, the model makes nearly the same image of "star" and of "heart"'),
    (("dragon", ""), 'Without the LoRA, the image stays nearly the same when "dragon" is left out'),
])  # fmt: skip
def test_words_the_model_does_not_know_are_told(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str], beginning: str
) -> None:
    few(monkeypatch, 3)
    made = Images(bundle, without_update(bundle), ImageSpec("", seed=5, size=Size(64, 64)))
    answer = ConceptQuestion([pair], described=bool(pair[1]), asks_empty=False).answer(made, SETTINGS)
    assert [str(each).split(" in ")[0].removesuffix(",") for each in answer.asked.words] == [beginning]


@pytest.mark.parametrize(
    ("original", "words"),
    [
        (
            "star",
            [
                (
                    'To the model, "star" is nearly the same as "heart", "cube". If it does not know the word, choose '
                    "another one."
                )
            ],
        ),
        ("triangle", []),
    ],
)
def test_words_the_model_does_not_know_are_told_before_the_first_step(
    host: Standalone, original: str, words: list[str]
) -> None:
    events: list[Event] = []
    settings = replace(
        SETTINGS, model=str(TOY), original_prompt=original, target_prompt="square", image_size=Size(64, 64),
        network_rank=1, train_iterations=1, save_lora_name="x", effect_strip=False,
    )  # fmt: skip
    run(Job.create(settings, datetime(2026, 1, 2, tzinfo=timezone.utc)), host, Control(), events.append)
    first = next(at for at, event in enumerate(events) if isinstance(event, Step))
    told = [event.message for event in events[:first] if isinstance(event, Warned)]
    assert [str(each) for each in told if each.key == "engine.same_words"] == words


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
    requests = [ImageSpec("white background", seed=seed, steps=images.STEPS, size=Size(64, 64)) for seed in range(6)]
    with network.attached():
        assert [judge(image).background for image in sample(bundle, requests)] == ["black"] * 6


@pytest.mark.more
def test_a_lora_that_hardly_learned_is_told_with_what_to_raise(host: Standalone) -> None:
    _, found = trained(host, train_learning_rate=1e-5, train_iterations=3)
    assert (found.changed, found.unchanged, found.kept, found.lost) == (0, 6, 6, 0)
    assert [str(each) for each in found.words] == [
        'The LoRA turns "white background" into "black background" in 0 of 6 images.',
        "Raise train iterations (now 3) or train learning rate (now 1e-05).",
        "Other words: 6 of 6 images stay nearly as they were.",
    ]


def test_the_prompts_of_questions_are_encoded_where_the_text_encoders_are(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if these were elsewhere before and after, which a machine without a card has no other place for."""
    homes, encoded_at = ["meta"], list[str]()
    encode = Bundle.encode

    def encoded(*args: Any, **named: Any) -> Any:
        encoded_at.append(homes[-1])
        return encode(*args, **named)

    monkeypatch.setattr(placement, "text_device", lambda _: torch.device(homes[-1]))
    monkeypatch.setattr(placement, "text_to", lambda _, device: homes.append(str(device)))
    monkeypatch.setattr(Bundle, "encode", encoded)
    made = Images(bundle, without_update(bundle), ImageSpec("", size=Size(64, 64)))
    latents = torch.zeros(1, *bundle.latent_shape(Size(64, 64)))
    made.losses(latents, ("red", "blue"))
    way_of(made, Pair(latents, latents + 1, "", torch.zeros(1, 6)), 0)
    assert encoded_at == ["cpu"] * 3
    assert homes == ["meta", *["cpu", "meta"] * 3]
