"""Captions that change from step to step: what a run trains on, that it repeats, and that each setting acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.home import host_in
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.batches import Batches
from trainer.data.captions.variants import CaptionRules
from trainer.data.latents import Dataset
from trainer.data.pairs.scan import scan_for_mode
from trainer.engine import passes as engine_passes
from trainer.engine.run import run
from trainer.errors import StateError
from trainer.job import Control, Event, Job, Saved, Step
from trainer.models.base import Bundle, Conditioning
from trainer.modes import captions as mode_captions
from trainer.networks.files import file

CAPTIONS = ("a, b, {c|d}", "e, f\ng, h, i")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, caption in enumerate(CAPTIONS):
        for suffix, colours in (("", number), ("_after", number + 5)):
            pixels = np.random.default_rng(colours).integers(0, 255, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}{suffix}.png")
            (folder / f"{number}{suffix}.txt").write_text(caption)
    return folder


def settings(model: Path, folder: Path, **changes: Any) -> Settings:
    base = Settings(
        mode="LoRA", model=str(model), lora_data_directory=str(folder), lora_trigger_word="zorp",
        image_size=Size(64, 64), image_min_length=64, image_buckets_step=64, network_rank=2, network_blocks=("M00",),
        train_iterations=4, train_batch_size=2, train_seed=3, save_lora_name="x", save_precision="fp32",
        train_learning_rate=1e-2, effect_strip=False,
    )  # fmt: skip
    return replace(base, **changes)


def trained(given: Settings, home: Path, react: Callable[[Event, Control], None] = lambda event, control: None) -> Any:
    events: list[Event] = []
    control = Control()

    def emit(event: Event) -> None:
        events.append(event)
        react(event, control)

    run(Job.create(given), host_in(home), control, emit)
    (path,) = [event.path for event in events if isinstance(event, Saved)]
    return file.read(path)


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every caption that is encoded."""
    found: list[str] = []
    real = Bundle.encode

    def encode(self: Bundle, prompts: Any, **more: Any) -> Conditioning:
        found.extend(prompts if more.get("literal") else ())
        return real(self, prompts, **more)

    monkeypatch.setattr(Bundle, "encode", encode)
    return found


VARIED = {"caption_shuffle": True, "caption_tag_dropout_rate": 0.3, "caption_wildcards": True}


def test_each_caption_of_the_run_is_encoded_once(
    models: dict[str, Path], folder: Path, tmp_path: Path, asked: list[str]
) -> None:
    trained(settings(models["SD1"], folder, **VARIED), tmp_path)
    of_run = asked[2:]  # before them, those that tell how much they take
    assert len(set(of_run)) == len(of_run) > 4
    assert all(caption.startswith("zorp") for caption in of_run)
    assert all(set(caption.split(", ")) <= set("abcdefghi") | {"zorp"} for caption in of_run)


def test_what_does_not_fit_is_encoded_at_each_step_to_the_same_end(
    models: dict[str, Path], folder: Path, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(models["SD1"], folder, **VARIED)
    kept = trained(given, tmp_path / "kept")
    monkeypatch.setattr(mode_captions, "MOST_ON_DEVICE", 0)
    assert same(trained(given, tmp_path / "in memory"), kept)
    monkeypatch.setattr(mode_captions, "MOST_IN_MEMORY", 0)
    del asked[:]
    homes: list[str] = []
    monkeypatch.setattr(engine_passes, "text_to", lambda _bundle, device: homes.append(str(device)))
    each_step = trained(given, tmp_path / "each step")
    assert homes == []  # the text encoder stays
    assert len(asked) == 2 + 4 * 2
    for name, tensor in kept[0].items():
        torch.testing.assert_close(each_step[0][name], tensor, rtol=1e-3, atol=1e-6)


def captions(given: Settings) -> list[list[str]]:
    """Those of twelve steps, three epochs."""
    found = scan_for_mode(given)
    batches = Batches([found.bucket_of(each) for each in found.samples], found.batch_sizes, given.train_seed)
    rules = tuple(CaptionRules.of(subset.settings) for subset in found.subsets)
    data = Dataset(
        found.distinct, found.epoch, (), batches, _rules=rules, _seed=given.train_seed, _encoded=(), _sizes=(),
        _weights=None, _device=torch.device("cpu"),
    )  # fmt: skip
    return [data.captions_of(step) for step in range(1, 13)]


@pytest.mark.parametrize(
    "changes",
    [
        {"caption_shuffle": True},
        {"caption_tag_dropout_rate": 0.5},
        {"caption_dropout_rate": 0.5},
        {"caption_dropout_every_n_epochs": 2},
        {"caption_wildcards": True},
        {"caption_lines": "random"},
        {"caption_lines": "joined"},
        {"caption_prefix": "best"},
        {"caption_suffix": "best"},
        {"caption_secondary_separator": "b"},
        {"caption_keep_tokens_separator": "b"},
        {"caption_extension": ".tags"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_setting_acts(changes: dict[str, Any], folder: Path) -> None:
    plain = settings(folder, folder)
    assert captions(replace(plain, **changes)) != captions(plain)


@pytest.mark.parametrize(
    "changes",
    [{"caption_keep_tokens": 2}, {"caption_separator": "b"}, {"caption_keep_tokens_separator": "b"}],
    ids=lambda changes: next(iter(changes)),
)
def test_each_setting_of_the_shuffle_acts(changes: dict[str, Any], folder: Path) -> None:
    shuffled = settings(folder, folder, caption_shuffle=True)
    assert captions(replace(shuffled, **changes)) != captions(shuffled)


def test_both_sides_of_a_pair_draw_the_same(folder: Path) -> None:
    """They are to differ in what is to be learned alone; here their caption files are the same."""
    given = settings(folder, folder, **VARIED, caption_dropout_rate=0.2, mode="Multi-ADDifT", diff_target_name="_after")
    found = captions(given)
    assert all(sides[0::2] == sides[1::2] for sides in found)
    assert len({caption for sides in found for caption in sides}) > 5


def test_an_epoch_in_which_captions_are_left_out(folder: Path) -> None:
    """Four images, two a batch: an epoch has two steps."""
    given = settings(folder, folder, caption_dropout_every_n_epochs=3)
    empty = [step for step, found in enumerate(captions(given), start=1) if found == ["", ""]]
    assert empty == [5, 6, 11, 12]


@pytest.mark.parametrize("changes", [{"caption_weights": True}, {"caption_max_tokens": 2}, {"clip_skip": 2}])
def test_what_the_text_encoder_does_acts(
    changes: dict[str, Any], models: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    given = settings(models["SD1"], folder, caption_prefix="(best:1.4)", train_iterations=1)
    plain = trained(given, tmp_path / "plain")
    other = trained(replace(given, **changes), tmp_path / "other")
    assert not same(other, plain)


@pytest.mark.parametrize("mode", ["LoRA", "Multi-ADDifT"])
def test_a_run_that_is_continued_has_the_same_captions(
    mode: str, models: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    given = settings(models["SD1"], folder, **VARIED, mode=mode, diff_target_name="_after")
    plain = trained(given, tmp_path / "plain")
    job, host, control = Job.create(given), host_in(tmp_path / "broken off"), Control()

    def stop(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            control.interrupt()

    run(job, host, control, stop)
    events: list[Event] = []
    run(job, host, Control(), events.append, resume=True)
    (path,) = [event.path for event in events if isinstance(event, Saved)]
    assert same(file.read(path), plain)


def test_images_that_are_not_trained_have_the_same_captions_each_time(
    models: dict[str, Path], folder: Path, tmp_path: Path, asked: list[str]
) -> None:
    """However many batches they make, and however few are trained."""
    varied = {**VARIED, "caption_dropout_rate": 1.0, "validation_split": 0.5, "validation_every_steps": 1}
    trained(settings(models["SD1"], folder, **varied, train_iterations=1), tmp_path)
    assert set(asked[2:]) <= {"", "zorp, a, b, c", "zorp, e, f"}


def test_a_changed_caption_file_is_another_run(models: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    """Also where the part that changed is not in the caption of every step."""
    for each in folder.glob("*"):
        (tmp_path / each.name).write_bytes(each.read_bytes())
    given = settings(models["SD1"], tmp_path, caption_lines="random")
    job, host, control = Job.create(given), host_in(tmp_path / "home"), Control()
    run(job, host, control, lambda event: control.interrupt() if isinstance(event, Step) else None)
    (tmp_path / "1.txt").write_text("e, f\nsomething else")
    with pytest.raises(StateError):
        run(job, host, Control(), lambda event: None, resume=True)
