"""What happens at which step: batches of a step, epochs, saves and previews, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.epochs import counted, with_steps
from trainer.data.scan import scan
from trainer.engine.plan import Plan, is_filmed
from trainer.errors import UserError


def test_a_step_takes_its_batches_and_the_last_of_an_epoch_what_is_left() -> None:
    """Seven batches an epoch, three a step: 3 + 3 + 1."""
    plan = Plan(Settings(train_gradient_accumulation=3), 7)
    assert plan.steps_per_epoch == 3
    assert [list(plan.batches_of(step)) for step in range(1, 6)] == [
        [1, 2, 3], [4, 5, 6], [7], [8, 9, 10], [11, 12, 13],
    ]  # fmt: skip
    assert [plan.epoch_of(step) for step in range(1, 8)] == [1, 1, 1, 2, 2, 2, 3]


def test_without_epochs_every_step_takes_as_many() -> None:
    plan = Plan(Settings(train_gradient_accumulation=3))
    assert [list(plan.batches_of(step)) for step in (1, 2)] == [[1, 2, 3], [4, 5, 6]]
    assert plan.epoch_of(5) == 0
    assert [list(Plan(Settings()).batches_of(step)) for step in (1, 9)] == [[1], [9]]


def test_steps_and_epochs_are_both_kept_and_the_last_step_is_not_among_them() -> None:
    given = Settings(
        train_iterations=12, save_per_steps=5, save_every_epochs=1, sample_every_epochs=2, validation_split=0.2
    )
    plan = Plan(given, 3)
    assert [step for step in range(1, 20) if step in plan.saves] == [3, 5, 6, 9, 10]
    assert len(plan.saves) == 5
    assert [step for step in range(1, 20) if step in plan.previews] == [6]
    assert len(plan.previews) == 1
    assert [step for step in range(1, 20) if step in plan.validations] == [3, 6, 9, 12]
    assert len(Plan(Settings(train_iterations=12), 3).saves) == 0
    often = Plan(replace(given, validation_every_steps=4), 3)
    assert [step for step in range(1, 9) if step in often.validations] == [4, 8]
    # The weights of some optimizers change in their last bits whenever they are looked at.
    assert len(Plan(replace(given, validation_split=0.0), 3).validations) == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five images of 64 × 64 and two of 128 × 64, which are buckets of their own."""
    rng = np.random.default_rng(0)
    for number in range(7):
        shape = (64, 128, 3) if number > 4 else (64, 64, 3)
        Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def settings(folder: Path, **changes: object) -> Settings:
    given = Settings(
        mode="LoRA", lora_data_directory=str(folder), image_size=Size(128, 64), image_min_length=64,
        image_buckets_step=64, train_seed=1, train_batch_size=2,
    )  # fmt: skip
    return replace(given, **changes)


@pytest.mark.parametrize(
    ("changes", "per_epoch"),
    [
        ({}, 3 + 1),
        ({"image_num_multiply": 3}, 8 + 3),
        ({"train_batch_size": 1}, 7),
        ({"train_gradient_accumulation": 2}, 2),
        ({"train_gradient_accumulation": 3}, 2),
        ({"train_gradient_accumulation": 9}, 1),
    ],
)
def test_epochs_are_counted_in_steps(changes: dict[str, int], per_epoch: int, folder: Path) -> None:
    given = settings(folder, train_epochs=10, **changes)
    found = scan(given)
    assert {sample.frame for sample in found.samples} == {Size(64, 64), Size(128, 64)}
    assert found.steps_per_epoch == per_epoch
    assert Plan(given, found.batches_per_epoch).steps_per_epoch == per_epoch
    assert with_steps(given, found).train_iterations == counted(given).train_iterations == 10 * per_epoch


def test_images_left_for_validation_are_not_counted(folder: Path) -> None:
    """Three of seven stay out; four are trained, one at a time."""
    given = settings(folder, train_epochs=10, validation_split=0.4, train_batch_size=1)
    assert counted(given).train_iterations == 10 * 4


def test_too_many_epochs_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="1000000 epochs of 4 steps are 4000000 steps"):
        counted(settings(folder, train_epochs=1_000_000))
    assert counted(settings(folder)).train_iterations == 1000


@pytest.mark.parametrize(
    ("steps", "samples", "after"),
    [
        (1000, 1, (100, 200, 300, 400, 500, 600, 700, 800, 900)),
        (300, 1, (75, 150, 225)),
        (100, 1, (50,)),
        (60, 1, ()),
        (60, 2, (30,)),
        (4, 100, (1, 2, 3)),
        (1, 1000, ()),
    ],
)
def test_images_that_nobody_has_asked_for_take_a_tenth_of_the_run(
    steps: int, samples: int, after: tuple[int, ...]
) -> None:
    given = Settings(train_iterations=steps, train_batch_size=samples)
    assert [step for step in range(steps + 1) if step in Plan(given, is_filmed=True).previews] == list(after)
    assert len(after) * (10 * 2 + 3) <= 0.1 * steps * samples * 3
    assert len(Plan(given).previews) == 0


def test_who_has_asked_for_previews_gets_those_alone() -> None:
    assert is_filmed(Settings())
    for change in ({"sample_every_steps": 5}, {"sample_every_epochs": 1}, {"sample_at_start": True}):
        assert not is_filmed(replace(Settings(), **change))
    assert not is_filmed(Settings(effect_strip=False))
