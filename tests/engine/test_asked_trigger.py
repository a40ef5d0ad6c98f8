"""What a LoRA of captions changes, and whether other unknown words make the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.toy.world import Scene, picture
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import effect as effect_module
from trainer.engine.asked import images as images_module
from trainer.engine.asked import trigger
from trainer.engine.asked.images import Images
from trainer.engine.asked.trigger import CaptionQuestion, Counts, Seen, counted, words_of
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Asked, Control, Effect, Event, Job
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.networks.base import build
from trainer.networks.registry import builder, targets_of

TOY = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
LORA = replace(Settings(), mode="LoRA", train_iterations=100, train_learning_rate=1e-3, network_blocks=("BASE", "M00"))


def at(place: float) -> Tensor:
    return torch.tensor([place, 0.0]).view(1, 2, 1, 1)


def seen(own: float, other: float) -> Seen:
    """The base's images are at 0; the network's of the trigger word and of another word elsewhere."""
    return Seen("zorp", at(0), at(own), at(0), at(other))


def test_only_what_is_changed_is_asked_of_other_words() -> None:
    """Two of the base's images are 10 apart, so that one is changed from 3 on."""
    found = counted([seen(10, 9), seen(10, 1), seen(10, 4.4), seen(3.5, 3.5), seen(2.5, 2.5)], 10)
    assert found == Counts(changed=4, made=2, not_made=1)  # 1 and 9 of 10; 4.4 of 10 is neither; 0 of 4
    without = [replace(each, other=None, other_base=None) for each in (seen(10, 0), seen(1, 0))]
    assert counted(without, 10) == Counts(changed=1, made=None, not_made=0)
    assert seen(0, 0).share == 1.0


EYES = "Whether they show what yours do, only your eyes can tell."
CHANGES = 'With "zorp" in the prompt, the LoRA clearly changes {} of 6 images. ' + EYES
MAKES = 'Another unknown word in place of "zorp" makes much the same in {} of {} images.'
HOLD = "To keep it to the trigger word, set train self reg to 1 (now 0) and train self reg images to 32 (now 0)."
HOLD_MORE = (
    "To keep it to the trigger word, raise train self reg (now 1) or train self reg images (now 32), or choose a "
    "trigger word that has less in common with other words."
)
RAISE = "Raise train iterations (now 100) or train learning rate (now 0.001)."


@pytest.mark.parametrize(
    ("counts", "word", "settings", "words"),
    [
        (Counts(6, 0, 6), "zorp", {}, [CHANGES.format(6), MAKES.format(0, 6)]),
        (Counts(6, 1, 5), "zorp", {}, [CHANGES.format(6), MAKES.format(1, 6)]),
        (Counts(0, 0, 0), "zorp", {}, [CHANGES.format(0), RAISE]),
        (Counts(6), "", {}, ["The LoRA clearly changes 6 of 6 images of its captions."]),
        (Counts(2), "", {}, ["The LoRA clearly changes 2 of 6 images of its captions.", RAISE]),
        (
            Counts(6, 1, 1), "zorp", {},
            [
                CHANGES.format(6),
                'Whether another unknown word in place of "zorp" makes much the same cannot be told.',
            ],
        ),
        (
            Counts(5, 2, 3), "zorp", {"train_self_reg": 0.0},
            [
                CHANGES.format(5), MAKES.format(2, 5),
                HOLD,
            ],
        ),
        (
            Counts(6, 6, 0), "zorp",
            {"train_self_reg": 1.0, "train_self_reg_images": 32, "network_blocks": ("M00",)},
            [
                CHANGES.format(6), MAKES.format(6, 6),
                HOLD_MORE, "Train the text encoder as well: BASE in network blocks.",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_found_in_words(counts: Counts, word: str, settings: dict[str, object], words: list[str]) -> None:
    assert [str(each) for each in words_of(counts, word, replace(LORA, **settings))] == words


def few(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    for module in (images_module, trigger, effect_module):
        monkeypatch.setattr(module, "IMAGES", 2)
    for module in (images_module, trigger):
        monkeypatch.setattr(module, "STEPS", steps)


def test_other_words_stand_where_the_trigger_word_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, 1)
    bundle, cpu, calls = load_bundle(TOY), torch.device("cpu"), 0
    place_for_images(bundle, cpu)
    network = build(targets_of(bundle, LORA, trains_text=False), builder(LORA, torch.float32, cpu), torch.Generator())
    asked_for: list[str] = []
    encode = bundle.encode

    def check() -> None:
        nonlocal calls
        calls += 1

    def heard(prompts: list[str], **options: object) -> object:
        asked_for.append(prompts[0])
        return encode(prompts, **options)

    monkeypatch.setattr(bundle, "encode", heard)
    made = Images(bundle, network, ImageSpec("", seed=5, size=Size(64, 64)), check)
    question = CaptionQuestion(["a red zorp", "Zorp, left"], "zorp")
    found = list(question.seen(made))
    assert calls == question.launches()
    assert asked_for[0] == asked_for[1] == "a red zorp"
    assert asked_for[2] == asked_for[3]
    assert asked_for[2].startswith("a red ")
    assert asked_for[6].endswith(", left")
    assert "zorp" not in (asked_for[2] + asked_for[6]).lower()
    assert [each.share for each in found] != [None, None]


@pytest.mark.parametrize("word", ["zorp", ""])
def test_captions_of_a_run_are_looked_at(
    host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    few(monkeypatch, 1)
    picture(Scene("red", "circle", "large", "white", "left"), np.random.default_rng(3)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("on a white background")
    settings = replace(
        LORA, model=str(TOY), image_size=Size(64, 64), network_rank=2, train_iterations=1, train_batch_size=1,
        train_seed=3, save_lora_name="x", lora_data_directory=str(tmp_path), lora_trigger_word=word,
    )  # fmt: skip
    found: list[Asked | None] = []

    def heard(event: Event) -> None:
        if isinstance(event, Effect):
            found.append(event.asked)

    run(Job.create(settings, datetime(2026, 1, 2, tzinfo=timezone.utc)), host, Control(), heard)
    (asked,) = found
    assert asked is not None
    beginning = (
        CHANGES.format(0).replace("6", "2") if word else "The LoRA clearly changes 0 of 2 images of its captions."
    )
    assert str(asked.words[0]) == beginning
    caption = "zorp, on a white background" if word else "on a white background"
    assert str(asked.shown) == f'Below it, without the LoRA (off) and with it (+1): 1 "{caption}", 2 "{caption}".'
