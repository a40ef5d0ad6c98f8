"""Folders as sd-scripts' users have them: repeats and words in their names, several of them, regularisation images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.samples import Scan
from trainer.data.scan import scan
from trainer.data.subsets import balanced, repeats_in
from trainer.errors import DataError

SMALL: dict[str, Any] = {"image_size": Size(64, 64), "image_min_length": 64, "image_buckets_step": 64}


def images(folder: Path, count: int, caption: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (64, 64), (number * 40 % 256, 90, len(folder.name) * 9 % 256)).save(folder / f"{number}.png")
        if caption:
            (folder / f"{number}.txt").write_text(caption)


def scanned(folder: Path, **changes: Any) -> Scan:
    return scan(Settings(lora_data_directory=str(folder), **{**SMALL, **changes}))


def taken(found: Scan) -> dict[str, list[int]]:
    """By the path of each folder: how often an epoch has each of its images, in their order."""
    counts = Counter(sample.path for sample in found.samples)
    by_folder: dict[str, list[int]] = {}
    for path in dict.fromkeys(sample.path for sample in found.distinct):
        by_folder.setdefault(path.parent.name, []).append(counts[path])
    return by_folder


def captions(found: Scan) -> list[str]:
    return list(dict.fromkeys(sample.caption for sample in found.distinct))


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "repeats", "words"),
    [
        ("10_zorp cat", 10, "zorp cat"),
        ("3_zorp_cat", 3, "zorp_cat"),
        ("1_", 1, ""),
        ("999_x", 999, "x"),
        ("0_parked", 0, "parked"),
        ("2024_holiday", 1, ""),
        ("20240131_holiday", 1, ""),
        ("01_front", 1, ""),
    ],
)
def test_a_name_says_repeats_and_words(name: str, repeats: int, words: str) -> None:
    assert repeats_in(name) == (repeats, words)


@pytest.mark.parametrize("name", ["zorp cat", "10zorp", "10 zorp", "zorp_10", "_x", ""])
def test_other_names_say_nothing(name: str) -> None:
    assert repeats_in(name) is None


# ---- repeats --------------------------------------------------------------------------------------------------------


def test_each_folder_has_its_repeats_and_its_words(tmp_path: Path) -> None:
    images(tmp_path / "10_zorp cat", 2)
    images(tmp_path / "3_mira dog", 3, "mira dog, grass")
    found = scanned(tmp_path)
    assert taken(found) == {"3_mira dog": [3, 3, 3], "10_zorp cat": [10, 10]}
    assert captions(found) == ["mira dog, grass", "zorp cat"]
    assert [(subset.name, subset.repeats, subset.class_words) for subset in found.subsets] == [
        ("3_mira dog", 3, "mira dog"),
        ("10_zorp cat", 10, "zorp cat"),
    ]
    assert [(count.images, count.taken) for count in found.counts] == [(3, 9), (2, 20)]
    assert (found.captions.files, found.captions.class_words, found.captions.missing) == (3, 2, 0)
    assert (found.images, found.problems, found.notes) == (5, (), ())


def test_an_epoch_takes_each_folder_round_by_round(tmp_path: Path) -> None:
    images(tmp_path / "2_a", 2)
    images(tmp_path / "1_b", 1)
    found = scanned(tmp_path, train_batch_size=2)
    names = [f"{sample.path.parent.name}/{sample.path.stem}" for sample in found.samples]
    assert names == ["1_b/0", "2_a/0", "2_a/1", "2_a/0", "2_a/1"]
    assert found.epoch == (0, 1, 2, 1, 2)
    assert found.steps_per_epoch == 3  # five samples of one size, two at a time


def test_image_num_multiply_multiplies_the_repeats(tmp_path: Path) -> None:
    images(tmp_path / "4_zorp", 2)
    assert taken(scanned(tmp_path, image_num_multiply=3)) == {"4_zorp": [12, 12]}


def test_the_folder_itself_may_be_chosen(tmp_path: Path) -> None:
    images(tmp_path / "5_zorp cat", 2)
    found = scanned(tmp_path / "5_zorp cat")
    assert taken(found) == {"5_zorp cat": [5, 5]}
    assert captions(found) == ["zorp cat"]


def test_sub_folders_of_a_folder_with_repeats_belong_to_it(tmp_path: Path) -> None:
    images(tmp_path / "2_zorp" / "night", 1)
    images(tmp_path / "2_zorp", 1)
    assert taken(scanned(tmp_path)) == {"2_zorp": [2], "night": [2]}


def test_class_words_follow_the_trigger_word_unless_they_begin_with_it(tmp_path: Path) -> None:
    images(tmp_path / "1_zorp cat", 1)
    assert captions(scanned(tmp_path, lora_trigger_word="zorp")) == ["zorp cat"]
    assert captions(scanned(tmp_path, lora_trigger_word="mira")) == ["mira, zorp cat"]
    assert captions(scanned(tmp_path, lora_trigger_word="zor")) == ["zor, zorp cat"]


# ---- what looks like repeats and is not -----------------------------------------------------------------------------


def test_years_and_orders_are_no_repeats(tmp_path: Path) -> None:
    images(tmp_path / "2024_holiday", 2)
    images(tmp_path / "01_front", 1)
    images(tmp_path, 1)
    found = scanned(tmp_path)
    assert [subset.repeats for subset in found.subsets] == [1]
    assert taken(found) == {tmp_path.name: [1], "01_front": [1], "2024_holiday": [1, 1]}
    (note,) = found.notes
    assert "01_front, 2024_holiday" in str(note)
    assert "used once" in str(note)


def test_a_year_beside_repeats_is_used_once_and_told(tmp_path: Path) -> None:
    images(tmp_path / "2024_holiday", 2)
    images(tmp_path / "3_zorp", 1)
    found = scanned(tmp_path)
    assert taken(found) == {"3_zorp": [3], "2024_holiday": [1, 1]}
    assert ["2024_holiday" in str(note) for note in found.notes] == [True]
    assert captions(found) == ["zorp", ""]


def test_what_lies_beside_repeats_is_used_once_or_told(tmp_path: Path) -> None:
    images(tmp_path / "3_zorp", 1)
    images(tmp_path / "0_parked", 2)
    images(tmp_path / "extra", 4)
    images(tmp_path, 1)
    found = scanned(tmp_path)
    assert taken(found) == {tmp_path.name: [1], "3_zorp": [3]}
    told = [str(problem) for problem in found.problems]
    assert len(told) == 2
    assert told[0].startswith("0_parked holds 2 images, but its name says 0 repeats")
    assert told[1].startswith("extra holds 4 images, but its name says no repeats")
    assert all(problem.left_out for problem in found.problems)


# ---- projects -------------------------------------------------------------------------------------------------------


def project(root: Path) -> Path:
    images(root / "img" / "10_zorp cat", 3, "zorp cat")
    images(root / "reg" / "1_cat", 4)
    (root / "log").mkdir()
    images(root / "model" / "sample", 2)
    return root


@pytest.mark.parametrize("chosen", [".", "img"])
def test_a_project_of_kohya_ss_is_trained_with_its_regularisation_images(tmp_path: Path, chosen: str) -> None:
    found = scanned(project(tmp_path) / chosen)
    # 30 images to learn from: four others eight times each are 32, so the last two come seven times
    assert taken(found) == {"10_zorp cat": [10, 10, 10], "1_cat": [8, 8, 7, 7]}
    assert captions(found) == ["zorp cat", "cat"]
    assert [(subset.name, subset.is_reg, subset.repeats) for subset in found.subsets] == [
        ("10_zorp cat", False, 10),
        ("1_cat", True, 1),
    ]
    left_out = [str(problem) for problem in found.problems]
    assert left_out == (
        [] if chosen == "img" else ["model holds 2 images, but none of the folders of the images: left out"]
    )


def test_other_modes_leave_the_regularisation_images_of_a_project(tmp_path: Path) -> None:
    images(project(tmp_path) / "img" / "10_zorp cat", 3)
    found = scanned(tmp_path / "img", mode="Multi-ADDifT")
    assert [subset.is_reg for subset in found.subsets] == [False]


def test_a_project_with_plain_folders(tmp_path: Path) -> None:
    images(tmp_path / "img", 2)
    images(tmp_path / "reg", 1)
    found = scanned(tmp_path)
    assert taken(found) == {"img": [1, 1], "reg": [2]}
    assert [subset.is_reg for subset in found.subsets] == [False, True]


def test_several_projects_are_several_concepts(tmp_path: Path) -> None:
    images(tmp_path / "zorp" / "2_zorp cat", 1)
    images(tmp_path / "mira" / "3_mira dog", 1)
    assert taken(scanned(tmp_path)) == {"3_mira dog": [3], "2_zorp cat": [2]}


# ---- regularisation images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repeats", "wanted", "expected"),
    [
        ([1, 1, 1], 2, [1, 1, 0]),  # more than are needed: the rest is not used
        ([1, 1, 1], 3, [1, 1, 1]),
        ([1, 1, 1], 7, [3, 2, 2]),  # fewer: each once more in turn
        ([5, 5], 7, [5, 5]),  # an image's own repeats are not cut short
        ([2, 1], 4, [3, 1]),
        ([1, 1], 0, [0, 0]),
        ([], 5, []),
    ],
)
def test_they_are_balanced_as_sd_scripts_does_it(repeats: list[int], wanted: int, expected: list[int]) -> None:
    assert balanced(repeats, wanted) == expected


def test_surplus_is_not_used_and_told(tmp_path: Path) -> None:
    images(tmp_path / "data", 2)
    images(tmp_path / "others" / "1_cat", 5)
    found = scanned(tmp_path / "data", reg_data_directory=str(tmp_path / "others"))
    assert taken(found) == {"data": [1, 1], "1_cat": [1, 1]}
    assert [(count.images, count.unused, count.taken) for count in found.counts] == [(2, 0, 2), (2, 3, 2)]
    assert found.images == 4
    (note,) = found.notes
    assert str(note).startswith("Only 2 of the 5 regularisation images will be used")


def test_copies_of_an_image_count_as_one(tmp_path: Path) -> None:
    images(tmp_path / "data", 2)
    images(tmp_path / "data" / "reg", 1)
    found = scanned(tmp_path / "data", image_mirroring=True)
    assert len(found.distinct) == 6
    assert taken(found) == {"data": [2, 2], "reg": [4]}  # both ways round, and the one image twice


def test_they_have_no_trigger_word(tmp_path: Path) -> None:
    images(tmp_path, 1, "zorp cat")
    images(tmp_path / "reg" / "1_cat", 1)
    found = scanned(tmp_path, lora_trigger_word="sks")
    assert captions(found) == ["sks, zorp cat", "cat"]


def test_the_folder_that_is_given_replaces_the_one_beside(tmp_path: Path) -> None:
    images(tmp_path / "data", 1)
    images(tmp_path / "data" / "reg", 2)
    images(tmp_path / "mine", 1)
    found = scanned(tmp_path / "data", reg_data_directory=str(tmp_path / "mine"))
    assert taken(found) == {"data": [1], "mine": [1]}
    assert [str(problem) for problem in found.problems] == [
        "reg holds 2 regularisation images, but another folder is given: left out"
    ]


def test_errors_name_the_folder(tmp_path: Path) -> None:
    images(tmp_path / "data", 1)
    (tmp_path / "empty").mkdir()
    images(tmp_path / "only" / "reg", 1)
    with pytest.raises(DataError, match="reg data directory: .*lora data directory"):
        scanned(tmp_path / "data", reg_data_directory=str(tmp_path / "data"))
    with pytest.raises(DataError, match="reg data directory: The folder .*empty.* is empty"):
        scanned(tmp_path / "data", reg_data_directory=str(tmp_path / "empty"))
    with pytest.raises(DataError, match="reg data directory: There is no folder"):
        scanned(tmp_path / "data", reg_data_directory=str(tmp_path / "none"))
    with pytest.raises(DataError, match="lora data directory: .* only regularisation images in reg"):
        scanned(tmp_path / "only")
