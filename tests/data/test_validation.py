"""Which images are left for validation: so many, the same again, and with everything that is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.augmentation import Augmentation
from trainer.data.scan import scan
from trainer.data.validation import split_off
from trainer.errors import DataError


def images(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def settings(folder: Path, **changes: object) -> Settings:
    given = Settings(
        mode="LoRA", lora_data_directory=str(folder), image_size=Size(64, 64), image_min_length=64, train_seed=1,
        image_mirroring=True, image_num_multiply=3, validation_split=0.25,
    )  # fmt: skip
    return replace(given, **changes)


def chosen(given: Settings) -> set[str]:
    _, validated = split_off(scan(given), given)
    assert validated is not None
    return {sample.path.name for sample in validated.distinct}


def test_nothing_of_an_image_is_on_both_sides(tmp_path: Path) -> None:
    given = settings(images(tmp_path / "a", 8))
    whole = scan(given)
    trained, validated = split_off(whole, given)
    assert validated is not None
    assert (trained.images, validated.images) == (6, 2)
    assert (len(trained.distinct), len(validated.distinct)) == (12, 4)
    assert (len(trained.samples), len(validated.samples)) == (36, 4), "validated once each, whatever the repeats"
    assert {each.path for each in trained.samples}.isdisjoint(each.path for each in validated.samples)
    assert {*trained.distinct, *validated.distinct} == set(whole.distinct)
    assert (trained.buckets, validated.buckets) == (((Size(64, 64), 36),), ((Size(64, 64), 4),))
    assert trained.samples == tuple(each for each in whole.samples if each in set(trained.distinct))


def test_what_is_validated_is_not_changed_at_random(tmp_path: Path) -> None:
    augmented = {"image_random_flip": True, "image_random_crop": True, "image_color_augmentation": True}
    given = settings(images(tmp_path / "a", 8), **augmented)
    trained, validated = split_off(scan(given), given)
    assert validated is not None
    assert Augmentation.of(trained.subsets[0].settings) == Augmentation(flip=True, crop=True, colour=True)
    assert Augmentation.of(validated.subsets[0].settings) == Augmentation()


def test_the_choice_is_the_seeds_and_stays_when_the_folder_moves_or_grows(tmp_path: Path) -> None:
    one, moved = images(tmp_path / "a", 20), images(tmp_path / "b" / "c", 20)
    first = chosen(settings(one))
    assert first == chosen(settings(moved))
    assert len({frozenset(chosen(settings(one, train_seed=seed))) for seed in range(5)}) > 1
    grown = chosen(settings(images(tmp_path / "d", 24)))
    assert len(grown & first) >= 3


def test_at_least_one_is_left_and_one_trained(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", 2)
    assert len(chosen(settings(folder, validation_split=0.01))) == 1
    assert len(chosen(settings(folder, validation_split=0.5))) == 1
    single = settings(images(tmp_path / "b", 1))
    with pytest.raises(DataError, match="at least two images"):
        split_off(scan(single), single)


def test_without_it_the_scan_is_as_it_was(tmp_path: Path) -> None:
    given = settings(images(tmp_path / "a", 3), validation_split=0.0)
    whole = scan(given)
    assert split_off(whole, given) == (whole, None)


def test_captions_and_pixels_that_are_drawn_anew_are_those_of_the_training_alone(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", 4)
    for path in list(folder.glob("*.png")):
        path.with_suffix(".txt").write_text("one, two, three, four, five")
    given = settings(folder, caption_shuffle=True, image_random_flip=True, image_random_crop=True)
    trained, validated = split_off(scan(given), given)
    assert validated is not None
    assert all(sample.written is not None for sample in trained.distinct)
    assert all(sample.written is None for sample in validated.distinct)
    flips = [(each.subsets[0].settings.image_random_flip, each.subsets[0].settings.image_random_crop)
             for each in (trained, validated)]  # fmt: skip
    assert flips == [(True, True), (False, False)]
