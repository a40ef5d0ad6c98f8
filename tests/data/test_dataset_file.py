"""Dataset files of sd-scripts: what they say is trained, and what cannot be used is named with its place."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.account import account_of
from trainer.data.dataset_file import _KEYS, read_dataset_file, relative_paths
from trainer.data.look import Look
from trainer.data.samples import Scan
from trainer.data.scan import scan
from trainer.errors import UserError


def images(folder: Path, *sizes: tuple[int, int], caption: str = "", ending: str = ".txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (number * 40 % 256, 90, len(folder.name) * 9 % 256)).save(folder / f"{number}.png")
        if caption:
            (folder / f"{number}{ending}").write_text(caption)
    return folder


def written(tmp_path: Path, content: str, name: str = "data.toml") -> Path:
    path = tmp_path / name
    path.write_text(content.replace("ROOT", tmp_path.as_posix()), "utf-8")
    return path


def scanned(path: Path, **changes: Any) -> Scan:
    return scan(Settings(dataset_config=str(path), **changes))


def taken(found: Scan) -> dict[str, list[int]]:
    """By folder: how often an epoch has each of its images, in their order."""
    counts = Counter((sample.subset, sample.path) for sample in found.samples)
    by_folder: dict[str, list[int]] = {}
    for subset, path in dict.fromkeys((sample.subset, sample.path) for sample in found.distinct):
        by_folder.setdefault(path.parent.name, []).append(counts[subset, path])
    return by_folder


SQUARE = (64, 64)
README = """
[general]
shuffle_caption = true
caption_extension = '.txt'
keep_tokens = 1

# This is a DreamBooth-style dataset
[[datasets]]
resolution = 512
batch_size = 4
keep_tokens = 2

  [[datasets.subsets]]
  image_dir = 'ROOT/hoge'
  class_tokens = 'hoge girl'

  [[datasets.subsets]]
  image_dir = 'ROOT/fuga'
  class_tokens = 'fuga boy'
  keep_tokens = 3

  [[datasets.subsets]]
  is_reg = true
  image_dir = 'ROOT/reg'
  class_tokens = 'human'
  keep_tokens = 1

# This is a fine-tuning dataset
[[datasets]]
resolution = [768, 768]
batch_size = 2

  [[datasets.subsets]]
  image_dir = 'ROOT/piyo'
  metadata_file = 'ROOT/piyo/piyo_md.json'
"""
"""The example of sd-scripts' own page on these files."""


def test_the_example_of_sd_scripts_own_page(tmp_path: Path) -> None:
    images(tmp_path / "hoge", SQUARE, SQUARE)
    images(tmp_path / "fuga", SQUARE, caption="a boy, sitting")
    images(tmp_path / "reg", SQUARE, SQUARE, SQUARE, SQUARE)
    images(tmp_path / "piyo", SQUARE, SQUARE, SQUARE)
    entries = {str(number): {"caption": f"piyo {number}", "tags": "red, blue"} for number in range(3)}
    (tmp_path / "piyo" / "piyo_md.json").write_text(json.dumps(entries))
    found = scanned(written(tmp_path, README))
    # 2 + 1 to learn from in the first dataset, so three of the four regularisation images are used
    assert taken(found) == {"hoge": [1, 1], "fuga": [1], "reg": [1, 1, 1], "piyo": [1, 1, 1]}
    told = [
        (each.settings.image_size, each.settings.train_batch_size, each.settings.caption_keep_tokens, each.is_reg)
        for each in found.subsets
    ]
    small, large = Size(512, 512), Size(768, 768)
    assert told == [(small, 4, 2, False), (small, 4, 3, False), (small, 4, 1, True), (large, 2, 1, False)]
    assert all(each.settings.caption_shuffle for each in found.subsets)
    captions = list(dict.fromkeys(sample.caption for sample in found.distinct))
    assert captions == ["hoge girl", "a boy, sitting", "human", *(f"piyo {number},red, blue" for number in range(3))]
    # six samples of 512, four at a time, and three of 768, two at a time
    assert found.steps_per_epoch == 2 + 2
    assert found.buckets == ((small, 6), (large, 3))
    assert [bucket.dataset for bucket in found.batch_sizes] == [0, 1]


GUIDE = r"""
[general]
enable_bucket = true                        # Aspect Ratio Bucketingを使うか否か

[[datasets]]
resolution = 512                            # 学習解像度
batch_size = 4                              # バッチサイズ

  [[datasets.subsets]]
  image_dir = 'ROOT/hoge'                   # 学習用画像を入れたフォルダを指定
  class_tokens = 'hoge girl'                # identifier class を指定
  num_repeats = 10                          # 学習用画像の繰り返し回数

  # 以下は正則化画像を用いる場合のみ記述する。用いない場合は削除する
  [[datasets.subsets]]
  is_reg = true
  image_dir = 'ROOT/reg'                    # 正則化画像を入れたフォルダを指定
  class_tokens = 'girl'                     # class を指定
  num_repeats = 1                           # 正則化画像の繰り返し回数、基本的には1でよい
"""
"""The file of sd-scripts' training guide, with its comments."""


@pytest.mark.parametrize("given", ["dataset_config", "lora_data_directory"])
def test_the_file_of_the_training_guide(tmp_path: Path, given: str) -> None:
    images(tmp_path / "hoge", (512, 512), (512, 768), (768, 512))
    images(tmp_path / "reg", *[(512, 512)] * 7)
    found = scan(Settings(**{given: str(written(tmp_path, GUIDE))}))
    # 30 to learn from; seven others four times are 28, and two of them come once more
    assert taken(found) == {"hoge": [10, 10, 10], "reg": [5, 5, 4, 4, 4, 4, 4]}
    assert {sample.caption for sample in found.distinct} == {"hoge girl", "girl"}
    # in steps of 64 within 512 * 512 the nearest to 2:3 is 384 x 640 or 448 x 576: 0.6 is nearer to 0.667 than 0.778
    assert dict(found.buckets) == {Size(384, 640): 10, Size(512, 512): 40, Size(640, 384): 10}
    assert found.steps_per_epoch == 3 + 10 + 3
    assert found.notes == ()


def test_json_says_the_same(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    content = {"general": {"shuffle_caption": True}, "datasets": [{"resolution": [128, 64], "subsets": [
        {"image_dir": str(tmp_path / "a"), "num_repeats": 3}]}]}  # fmt: skip
    found = scanned(written(tmp_path, json.dumps(content), "data.json"))
    assert taken(found) == {"a": [3]}
    assert found.subsets[0].settings.image_size == Size(128, 64)
    assert found.subsets[0].settings.caption_shuffle


@pytest.mark.parametrize(
    "content",
    [
        "[datasets]\nbatch_size = 3\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'\nnum_repeats = 2",
        "batch_size = 3\n[[subsets]]\nimage_dir = 'ROOT/a'\nnum_repeats = 2",
        "[general]\nbatch_size = 3\nnum_repeats = 2\n[[subsets]]\nimage_dir = 'ROOT/a'",
        "[[datasets]]\nbatch_size = 3\n[datasets.subsets]\nimage_dir = 'ROOT/a'\nnum_repeats = 2",
    ],
    ids=["one dataset as a table", "subsets alone", "general and subsets", "one subset as a table"],
)
def test_files_without_lists(tmp_path: Path, content: str) -> None:
    images(tmp_path / "a", SQUARE)
    found = scanned(written(tmp_path, content))
    assert taken(found) == {"a": [2]}
    assert found.subsets[0].settings.train_batch_size == 3


# ---- every key ------------------------------------------------------------------------------------------------------

EVERY_KEY = """
[[datasets]]
batch_size = 3
resolution = [128, 192]
enable_bucket = true
bucket_no_upscale = true
bucket_reso_steps = 32
min_bucket_reso = 64
max_bucket_reso = 256
  [[datasets.subsets]]
  image_dir = 'ROOT/a'
  num_repeats = 2
  flip_aug = true
  color_aug = true
  random_crop = true
  caption_extension = '.caption'
  shuffle_caption = true
  keep_tokens = 2
  keep_tokens_separator = '|||'
  caption_separator = ';'
  secondary_separator = ';;;'
  enable_wildcard = true
  caption_prefix = 'masterpiece,'
  caption_suffix = ', from side'
  caption_dropout_rate = 0.1
  caption_dropout_every_n_epochs = 4
  caption_tag_dropout_rate = 0.2
  conditioning_data_dir = 'ROOT/masks'
  cache_info = true
  alpha_mask = true
  custom_attributes = { anything = 1 }
"""


def test_every_key_becomes_its_setting(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    images(tmp_path / "masks", SQUARE)
    found = scanned(written(tmp_path, EVERY_KEY))
    own, run = found.subsets[0].settings, Settings(dataset_config=str(tmp_path / "data.toml"))
    assert own == replace(
        run,
        train_batch_size=3,
        image_size=Size(128, 192),
        image_bucketing="sd-scripts",
        image_disable_upscale=True,
        image_bucket_reso_steps=32,
        image_min_bucket_reso=64,
        image_max_bucket_reso=256,
        image_num_multiply=2,
        image_random_flip=True,
        image_color_augmentation=True,
        image_random_crop=True,
        image_mask_directory=str(tmp_path / "masks"),
        caption_extension=".caption",
        caption_shuffle=True,
        caption_keep_tokens=2,
        caption_keep_tokens_separator="|||",
        caption_separator=";",
        caption_secondary_separator=";;;",
        caption_wildcards=True,
        caption_lines="random",
        caption_prefix="masterpiece,",
        caption_suffix=", from side",
        caption_dropout_rate=0.1,
        caption_dropout_every_n_epochs=4,
        caption_tag_dropout_rate=0.2,
    )
    assert found.notes == ()


def test_what_the_file_does_not_say_the_run_says(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    path = written(tmp_path, "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'\nkeep_tokens = 1")
    run = {"train_batch_size": 5, "image_size": Size(64, 64), "caption_shuffle": True, "image_num_multiply": 3}
    found = scanned(path, **run, image_bucketing="sd-scripts", lora_trigger_word="sks")
    assert found.subsets[0].settings == Settings(
        dataset_config=str(path), **run, image_bucketing="sd-scripts", lora_trigger_word="sks", caption_keep_tokens=1
    )
    assert taken(found) == {"a": [3]}
    assert [sample.caption for sample in found.distinct] == ["sks"]


def test_regularisation_images_have_no_trigger_word(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    images(tmp_path / "b", SQUARE)
    content = (
        "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'\n"
        "[[datasets.subsets]]\nimage_dir = 'ROOT/b'\nclass_tokens = 'cat'\nis_reg = true"
    )
    found = scanned(written(tmp_path, content), lora_trigger_word="sks")
    assert [sample.caption for sample in found.distinct] == ["sks", "cat"]


def test_without_buckets_there_is_one_size(tmp_path: Path) -> None:
    images(tmp_path / "a", (64, 64), (256, 64))
    content = "[[datasets]]\nresolution = [64, 128]\nENABLE\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'"
    for enable, notes in (("enable_bucket = false", 0), ("", 1)):
        found = scanned(written(tmp_path, content.replace("ENABLE", enable)))
        assert found.buckets == ((Size(64, 128), 2),)
        assert ["without enable_bucket" in str(note) for note in found.notes] == [True] * notes


def test_images_that_are_too_small_for_a_dataset_are_left_to_another(tmp_path: Path) -> None:
    images(tmp_path / "a", (64, 64), (128, 128), (65, 64))
    content = (
        "[general]\nenable_bucket = false\n"
        "[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'\n"
        "[[datasets]]\nresolution = 128\nskip_image_resolution = [64, 64]\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'"
    )
    found = scanned(written(tmp_path, content))
    assert dict(found.buckets) == {Size(64, 64): 3, Size(128, 128): 2}
    assert [str(each) for each in found.problems] == [
        "a/0.png is not larger (64 x 64) than skip_image_resolution: left out"
    ]


# ---- what is told ---------------------------------------------------------------------------------------------------


def test_keys_that_are_not_used_are_named_with_their_place(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    content = """
[general]
image_dir = 'x'
face_crop_aug_range = [1.0, 2.0]
enable_bucket = false
[[datasets]]
network_multiplier = 1.0
  [[datasets.subsets]]
  image_dir = 'ROOT/a'
  resolution = 512
  qwxyz = 1
  token_warmup_min = 3
  alpha_mask = false
"""
    assert [str(note) for note in scanned(written(tmp_path, content)).notes] == [
        "data.toml, general: image_dir belongs to a single subset; it is not used here.",
        "data.toml, general: face_crop_aug_range is not supported; it is not used.",
        (
            "data.toml, dataset 1, subset 1: resolution belongs to a dataset, as all subsets of one share it; it is "
            "not used here."
        ),
        "data.toml, dataset 1, subset 1: dataset files know no qwxyz; it is not used.",
        "data.toml, dataset 1, subset 1: token_warmup_min is not supported; it is not used.",
        "data.toml, dataset 1, subset 1: alpha_mask is off, but what is transparent is not learned all the same.",
    ]


def test_subsets_that_are_not_used_are_told(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    images(tmp_path / "b", SQUARE)
    (tmp_path / "empty").mkdir()
    images(tmp_path / "above" / "inner", SQUARE, SQUARE)
    subsets = "".join(
        f"[[datasets.subsets]]\nimage_dir = 'ROOT/{name}'\n{more}\n"
        for name, more in (("a", ""), ("a", "num_repeats = 5"), ("b", "num_repeats = 0"), ("empty", ""), ("above", ""))
    )
    found = scanned(written(tmp_path, f"[general]\nenable_bucket = false\n[[datasets]]\n{subsets}"))
    assert taken(found) == {"a": [1]}
    place = "data.toml, dataset 1, subset"
    assert [str(note) for note in found.notes] == [
        f"{place} 2: a is in the same dataset already, so the subset is not used.",
        f"{place} 3: num_repeats is less than 1, so the subset is not used.",
        f"{place} 4: there is no image in empty, so the subset is not used.",
        (
            f"{place} 5: {tmp_path / 'above'} holds no image itself, and 2 in its sub-folders are not used, as in "
            "sd-scripts. Give each sub-folder a subset of its own."
        ),
    ]


def test_the_same_folder_in_two_datasets_is_no_duplicate(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    content = "".join(
        f"[[datasets]]\nresolution = {size}\nenable_bucket = false\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'\n"
        for size in (64, 128)
    )
    found = scanned(written(tmp_path, content), train_batch_size=2)
    assert [tuple(sample.frame) for sample in found.distinct] == [(64, 64), (128, 128)]
    assert (found.steps_per_epoch, found.notes) == (2, ())


def test_what_the_file_replaces_is_told(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    content = "[[datasets]]\nenable_bucket = false\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'"
    found = scanned(written(tmp_path, content), lora_data_directory="x", reg_data_directory="y")
    assert [str(note) for note in found.notes] == [
        "lora data directory is not used, as data.toml describes the training data.",
        "reg data directory is not used, as data.toml describes the training data.",
    ]


def test_paths_are_taken_from_where_the_program_runs_and_then_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(tmp_path / "here" / "a", SQUARE)
    images(tmp_path / "there" / "a", SQUARE, SQUARE)
    images(tmp_path / "there" / "b", SQUARE)
    monkeypatch.chdir(tmp_path / "here")
    content = (
        "[[datasets]]\nenable_bucket = false\n"
        "[[datasets.subsets]]\nimage_dir = 'a'\n[[datasets.subsets]]\nimage_dir = './b'"
    )
    found = scanned(written(tmp_path / "there", content))
    assert taken(found) == {"a": [1], "b": [1]}
    assert [str(note) for note in found.notes] == [
        'data.toml, dataset 1, subset 2: image_dir "./b" is taken from the folder of the file.'
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"data\.toml: It describes no dataset"),
        ("[general]\nbatch_size = 2", r"data\.toml: It describes no dataset"),
        ("datasets = 3", r'data\.toml: "datasets" must be a list of tables, not 3'),
        ("general = 'x'", r'data\.toml: "general" must be a table, not "x"'),
        ("[[datasets]]\nsubsets = ['ROOT/a']", r'data\.toml, dataset 1: "subsets" must be a list of tables'),
        ("[[subsets]]\nnum_repeats = 1", r"data\.toml, dataset 1, subset 1: It has no image_dir"),
        (
            "enable_buckets = true",
            r"data\.toml: Dataset files know no enable_buckets; perhaps enable_bucket is meant\.",
        ),
        (
            "[[datasets]]\ntrain_batch_size = 3",
            r"dataset 1: Dataset files know no train_batch_size; perhaps batch_size",
        ),
        (
            "[[subsets]]\nnum_repeat = 3",
            r"dataset 1, subset 1: Dataset files know no num_repeat; perhaps num_repeats is",
        ),
        (
            "[general]\nkeep_tokens = 'x'\n[[subsets]]\nimage_dir = 'ROOT/a'",
            r"data\.toml, general, keep_tokens: It must be",
        ),
        ("num_repeats = 'x'\n[[subsets]]\nimage_dir = 'ROOT/a'", r"data\.toml, num_repeats: It must be a whole number"),
        (
            "[[datasets]]\nbatch_size = 'four'\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'",
            r'data\.toml, dataset 1, batch_size: It must be a whole number, not "four"',
        ),
        ("[[subsets]]\nimage_dir = 3", r"data\.toml, dataset 1, subset 1, image_dir: It must be text, not 3"),
        (
            "[[subsets]]\nimage_dir = 'nowhere'",
            (
                r'data\.toml, dataset 1, subset 1, image_dir: There is no folder "nowhere", neither in .+, where the '
                r"program runs, nor beside the file in .+\. Write its full path\."
            ),
        ),
        ("[[subsets]]\nimage_dir = 'ROOT/a/0.png'", r'image_dir: "[^"]*0\.png" is a file\. Write a folder'),
        ("[[subsets]]\nmetadata_file = 'ROOT/a'", r'metadata_file: "[^"]*a" is a folder\. Write a file'),
        ("[[subsets]]\nmetadata_file = 'x.json'", r'metadata_file: There is no file "x\.json"'),
        (
            "[[subsets]]\nimage_dir = 'ROOT/a'\nnum_repeats = 'many'",
            r'num_repeats: It must be a whole number, not "many". Write for instance 10\. Change it in the file',
        ),
        ("[[subsets]]\nimage_dir = 'ROOT/a'\nis_reg = 1", r"is_reg: It must be true or false, not 1"),
        (
            "[[subsets]]\nimage_dir = 'ROOT/a'\nshuffle_caption = 'often'",
            r'shuffle_caption: It must be true or false, not "often"',
        ),
        ("[[subsets]]\nimage_dir = 'ROOT/a'\nclass_tokens = [1]", r"class_tokens: It must be text, not \[1\]"),
        ("batch_size = 0\n[[subsets]]\nimage_dir = 'ROOT/a'", r"batch_size: It must be at least 1, not 0"),
        ("resolution = 'big'\n[[subsets]]\nimage_dir = 'ROOT/a'", r"resolution: It must be a size such as 512"),
        ("resolution = [1, 2, 3]\n[[subsets]]\nimage_dir = 'ROOT/a'", r"resolution: It must be a size such as 512"),
        ("resolution = 500\n[[subsets]]\nimage_dir = 'ROOT/a'", r"resolution: .*multiple"),
        (
            "[[datasets]]\nenable_bucket = true\nresolution = 1536\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'",
            r"data\.toml, dataset 1: The resolution 1536 x 1536 is outside the sizes of the buckets, 256 to 1024",
        ),
        ("[[subsets]]\nimage_dir = 'ROOT/a'\nis_reg = true", r"None of its subsets has an image to learn from"),
        ("[[subsets]\n", r"data\.toml.*TOML"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    images(tmp_path / "a", SQUARE)
    with pytest.raises(UserError, match=message):
        scanned(written(tmp_path, content))


@pytest.mark.parametrize("place", ["general", "dataset", "subset"])
def test_any_value_of_any_key_is_read_or_named(tmp_path: Path, place: str) -> None:
    folder = str(images(tmp_path / "a", SQUARE))
    refused = 0
    for key in (*_KEYS, "subsets", "datasets", "general", "anything"):
        for value in (-1, "x", [1], {"a": 1}, True):
            subset: dict[str, Any] = {"image_dir": folder}
            dataset: dict[str, Any] = {"subsets": [subset]}
            content: dict[str, Any] = {"general": {}, "datasets": [dataset]}
            {"general": content["general"], "dataset": dataset, "subset": subset}[place][key] = value
            path = written(tmp_path, json.dumps(content), "data.json")
            told = ""
            try:
                read_dataset_file(path, Settings(dataset_config=str(path)))
            except UserError as error:
                told = str(error)
            assert told.startswith(("data.json", str(tmp_path))) or not told
            refused += bool(told)
    assert refused > 50


def test_keys_that_are_no_text_are_named(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    found = scanned(written(tmp_path, "1: 2\nsubsets:\n- image_dir: ROOT/a\n", "data.yaml"))
    assert "dataset files know no 1" in str(found.notes[0])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='dataset config: There is no file "'):
        scanned(tmp_path / "none.toml")


# ---- metadata files -------------------------------------------------------------------------------------------------


def metadata(tmp_path: Path, entries: dict[str, Any], **changes: Any) -> Scan:
    path = tmp_path / "meta.json"
    path.write_text(json.dumps(entries), "utf-8")
    content = "[[datasets]]\nenable_bucket = false\n[[datasets.subsets]]\nmetadata_file = 'ROOT/meta.json'\n"
    more = "image_dir = 'ROOT/a'\nnum_repeats = 2"
    return scanned(written(tmp_path, content + more), image_size=Size(64, 64), **changes)


def test_keys_are_paths_names_or_names_without_an_ending(tmp_path: Path) -> None:
    images(tmp_path / "a", *[SQUARE] * 4)
    images(tmp_path / "b", SQUARE)
    found = metadata(
        tmp_path,
        {
            "0": {"caption": "zero", "train_resolution": [64, 64]},
            "1.png": {"tags": "one, uno"},
            str(tmp_path / "b" / "0.png"): {"caption": "b", "tags": "x", "image_size": [64, 64]},
            r"C:\elsewhere\2.png": {"caption": "two"},
            str(tmp_path / "a" / "3"): {},
            "9": {"caption": "gone"},
        },
    )
    assert {sample.path.relative_to(tmp_path).as_posix(): sample.caption for sample in found.distinct} == {
        "a/0.png": "zero", "a/1.png": "one, uno", "a/2.png": "two", "a/3.png": "", "b/0.png": "b,x",
    }  # fmt: skip
    assert len(found.samples) == 10
    assert [str(each) for each in found.problems] == ["9 is in meta.json, but there is no such image: left out"]
    assert (found.captions.written, found.captions.files, found.captions.empty) == (5, 0, 1)
    assert found.subsets[0].name == "meta.json"


def test_each_line_of_a_caption_has_the_tags(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    found = metadata(tmp_path, {"0": {"caption": "a cat\n\na sitting cat", "tags": "red"}}, caption_lines="joined")
    assert found.distinct[0].caption == "a cat,red a sitting cat,red"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"0": "a cat"}, r'subset 1: The entry "0" must be an object with a caption or tags, not "a cat"'),
        ({"0": {"caption": 3}}, r'subset 1: The caption of "0" must be text, not 3'),
        ({"x": {"caption": "a"}}, r"None of its subsets has an image to learn from"),
    ],
)
def test_entries_that_cannot_be_used(tmp_path: Path, entries: dict[str, Any], message: str) -> None:
    images(tmp_path / "a", SQUARE)
    with pytest.raises(UserError, match=message):
        metadata(tmp_path, entries)


def test_a_metadata_file_may_be_given_alone(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", SQUARE, SQUARE)
    path = tmp_path / "meta.json"
    path.write_text(json.dumps({"0": {"caption": "zero"}}))
    beside = folder / "meta.jsonl"
    beside.write_text('{"image_path": "1.png", "caption": "one"}\n\n')
    small = {"image_size": Size(64, 64), "image_min_length": 64}
    for given in (
        {"dataset_config": str(path), "lora_data_directory": str(folder)},
        {"dataset_config": str(beside)},
        {"lora_data_directory": str(beside)},
    ):
        found = scan(Settings(**given, **small))
        assert [sample.caption for sample in found.distinct] == ["zero" if len(given) == 2 else "one"]
    beside.write_text('{"caption": "one"}\n')
    with pytest.raises(UserError, match=r"Line 1 of meta\.jsonl is no object with an image_path"):
        scan(Settings(dataset_config=str(beside)))


def test_the_account_gives_no_advice_that_the_file_overrules(tmp_path: Path) -> None:
    images(tmp_path / "a", (512, 768))
    path = written(tmp_path, "[[datasets]]\nresolution = 512\n[[datasets.subsets]]\nimage_dir = 'ROOT/a'")
    settings = Settings(dataset_config=str(path))
    account = account_of(settings, Look(scan(settings)))
    lines = [str(row.text) for row in account.rows]
    assert any("512 x 512" in line for line in lines)
    assert not any("image min length" in line for line in lines)


# ---- files of other programs ----------------------------------------------------------------------------------------


def test_concepts_of_one_trainer(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    concepts = [{"path": str(tmp_path / "a"), "image": {}, "text": {}, "balancing": 4.0}]
    path = written(tmp_path, json.dumps(concepts), "concepts.json")
    found = scanned(path, image_size=Size(64, 64), image_min_length=64)
    assert taken(found) == {"a": [4]}
    assert found.notes == ()


def test_os_is_not_asked_for_what_is_no_path(tmp_path: Path) -> None:
    images(tmp_path / "a", SQUARE)
    with pytest.raises(UserError, match="image_dir: "):
        scanned(written(tmp_path, f"[[subsets]]\nimage_dir = '{'x' * 5000}'"))
    assert os.listdir(tmp_path / "a") == ["0.png"]


def test_relative_paths_are_found_whatever_system_they_are_written_on(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text(
        "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'cats'\nmetadata_file = '/m/a.json'\n"
        "[[datasets.subsets]]\nimage_dir = 'C:\\cats'\n[[datasets.subsets]]\nimage_dir = '~/cats'\n"
        "conditioning_data_dir = 'masks'\n[[datasets.subsets]]\nimage_dir = 'cats'\n",
        "utf-8",
    )
    assert relative_paths(path) == ("cats", "masks")
