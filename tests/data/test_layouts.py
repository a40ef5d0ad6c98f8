"""Folders and files as people bring them, from the guides they learned from: what an epoch has, worked out by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.scan import scan

SQUARE, TALL, WIDE = (512, 512), (512, 768), (1200, 800)
KOHYA: dict[str, Any] = {"image_bucketing": "sd-scripts", "image_size": Size(512, 512)}
"""The buckets of kohya_ss's default: 512, steps of 64, 256 to 1024."""


@dataclass(frozen=True)
class Layout:
    """What somebody has, what they choose, and what follows.

    Attributes:
        files: sizes of images, and texts of captions, by path.
        chosen: the folder or the file.
        taken: how often an epoch has each image, by the name of its folder: (images, times) pairs.
        captions: how many samples of an epoch have each.
        buckets: width and height -> samples of an epoch.
        steps: an epoch's.
        settings: beside the batch size of 2.
        told: beginnings of what is told of what is not used.
    """

    files: Mapping[str, tuple[int, int] | str]
    chosen: str
    taken: Mapping[str, Mapping[int, int]]
    captions: Mapping[str, int]
    buckets: Mapping[tuple[int, int], int]
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def many(folder: str, count: int, size: tuple[int, int] = SQUARE, caption: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {f"{folder}/{number}.png": size for number in range(count)}
    if caption:
        found |= {f"{folder}/{number}.txt": caption for number in range(count)}
    return found


LAYOUTS = {
    # sd-scripts' training guide: two characters of one class
    "two characters, one class": Layout(
        {**many("train_girls/10_sls 1girl", 3), **many("train_girls/10_cpc 1girl", 2), **many("reg_girls/1_1girl", 20)},
        "train_girls",
        # 50 to learn from: twenty others twice are 40, and the first ten once more
        {"10_cpc 1girl": {10: 2}, "10_sls 1girl": {10: 3}, "1_1girl": {3: 10, 2: 10}},
        {"sls 1girl": 30, "cpc 1girl": 20, "1girl": 50},
        {(512, 512): 100},
        50,
        {"reg_data_directory": "reg_girls"},
    ),
    # the folders kohya_ss makes; captions beside the images
    "a project of kohya_ss": Layout(
        {
            **many("001/img/40_kdy 1girl", 2, TALL, "kdy, 1girl, smile"),
            **many("001/reg/1_1girl", 3, TALL),
            "001/model/kdy.json": "{}", **many("001/log/sample", 1),
        },
        "001",
        {"40_kdy 1girl": {40: 2}, "1_1girl": {27: 2, 26: 1}},  # 80 over three
        {"kdy, 1girl, smile": 80, "1girl": 80},
        {(384, 640): 160},  # 512 x 768 is 0.667; 384 x 640 is 0.6, 448 x 576 0.778
        80,
        KOHYA,
        ("log holds 1 image",),
    ),
    # the mistake the wiki warns of: the folder with the images itself
    "the folder itself": Layout(
        many("001/img/40_kdy 1girl", 2),
        "001/img/40_kdy 1girl",
        {"40_kdy 1girl": {40: 2}},
        {"kdy 1girl": 80},
        {(512, 512): 80},
        40,
    ),
    # lora-scripts: train/<name>/<repeats>_<name>
    "lora-scripts": Layout(
        {**many("train/aki/6_aki", 3, SQUARE, "aki, 1girl"), **many("train/aki/2_aki_swimsuit", 2)},
        "train/aki",
        {"2_aki_swimsuit": {2: 2}, "6_aki": {6: 3}},
        {"aki, 1girl": 18, "aki_swimsuit": 4},
        {(512, 512): 22},
        11,
    ),
    # the Colab notebook: one folder, captions of another ending
    "one folder of the Colab": Layout(
        {**many("LoRA/train_data", 3, SQUARE, "mikapikazo, 1girl"), "LoRA/train_data/x.png": WIDE},
        "LoRA/train_data",
        {"train_data": {1: 4}},
        {"mikapikazo, 1girl": 3, "": 1},
        {(512, 512): 3, (640, 384): 1},  # 1200 x 800 is 1.5; 576 x 448 is 1.286, 640 x 384 1.667
        3,
        KOHYA,
    ),
    # somebody's holiday, sorted by day; nothing of it is a repeat
    "folders of dates": Layout(
        {**many("photos/2024_spain", 2), **many("photos/20240801_beach", 1), **many("photos/01_home", 1)},
        "photos",
        {"2024_spain": {1: 2}, "20240801_beach": {1: 1}, "01_home": {1: 1}},
        {"": 4},
        {(512, 512): 4},
        2,
        {},
        ("The numbers that these folders begin with",),
    ),
    # parked images and a preview beside the repeats
    "leftovers": Layout(
        {
            **many("data/12_mira", 2), **many("data/0_bad", 3), **many("data/unsorted", 4), "data/cover.png": SQUARE,
        },
        "data",
        {"data": {1: 1}, "12_mira": {12: 2}},
        {"mira": 24, "": 1},
        {(512, 512): 25},
        13,
        {},
        ("0_bad holds 3 images", "unsorted holds 4 images"),
    ),
    # sd-scripts' page on dataset files: one folder at three sizes, small images only where they are large enough
    "several sizes": Layout(
        {
            "hoge/a.png": (700, 700), "hoge/b.png": (900, 900), "hoge/c.png": (1300, 1300),
            "data.toml": """
[general]
enable_bucket = true
bucket_no_upscale = true
max_bucket_reso = 1536
batch_size = 1
caption_extension = '.txt'
[[datasets]]
resolution = 768
  [[datasets.subsets]]
  image_dir = 'ROOT/hoge'
  class_tokens = 'hoge'
[[datasets]]
resolution = 1024
skip_image_resolution = 768
  [[datasets.subsets]]
  image_dir = 'ROOT/hoge'
  class_tokens = 'hoge'
  num_repeats = 2
[[datasets]]
resolution = 1280
skip_image_resolution = 1024
  [[datasets.subsets]]
  image_dir = 'ROOT/hoge'
  class_tokens = 'hoge'
""",
        },
        "data.toml",
        {"hoge": {4: 1, 3: 1, 1: 1}},  # c 1 + 2 + 1, b 1 + 2, a 1
        {"hoge": 8},
        # not enlarged: 700 becomes 640; 900 becomes 768 and 896; 1300 becomes 768, 1024 and 1280
        {(640, 640): 1, (768, 768): 2, (896, 896): 2, (1024, 1024): 2, (1280, 1280): 1},
        8,
        {},
        ("hoge/a.png is not larger", "hoge/a.png is not larger", "hoge/b.png is not larger"),
    ),
    # the fine-tuning method: one file with all captions, as merge_captions_to_metadata.py and the tagger leave it
    "a metadata file": Layout(
        {
            **many("train_data", 3),
            "meta_cap.json": json.dumps(
                {f"ROOT/train_data/{number}.png": {"caption": "a frog", "tags": "green, frog"} for number in range(3)}
            ),
        },
        "meta_cap.json",
        {"train_data": {1: 3}},
        {"a frog,green, frog": 3},
        {(512, 512): 3},
        2,
    ),
    # batches of different sizes, repeats and a class of its own in each dataset
    "two datasets with regularisation": Layout(
        {
            **many("zorp", 2), **many("cats", 9), **many("mira", 3, TALL),
            "data.json": json.dumps({
                "general": {"enable_bucket": False},
                "datasets": [
                    {"resolution": 512, "batch_size": 4, "subsets": [
                        {"image_dir": "ROOT/zorp", "class_tokens": "zorp cat", "num_repeats": 3},
                        {"image_dir": "ROOT/cats", "class_tokens": "cat", "is_reg": True}]},
                    {"resolution": [512, 768], "batch_size": 1, "subsets": [
                        {"image_dir": "ROOT/mira", "class_tokens": "mira"}]},
                ],
            }),
        },
        "data.json",
        {"zorp": {3: 2}, "cats": {1: 6}, "mira": {1: 3}},  # six to learn from, so six of nine
        {"zorp cat": 6, "cat": 6, "mira": 3},
        {(512, 512): 12, (512, 768): 3},
        3 + 3,
        {},
        ("Only 6 of the 9 regularisation images will be used",),
    ),
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Layout], None]:
    def made(layout: Layout) -> None:
        for name, content in layout.files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content.replace("ROOT", tmp_path.as_posix()), "utf-8")
            else:
                Image.new("RGB", content).save(path, compress_level=1)

    return made


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_epoch_is_what_its_owner_expects(name: str, tmp_path: Path, write: Callable[[Layout], None]) -> None:
    layout = LAYOUTS[name]
    write(layout)
    given = dict(layout.settings)
    if "reg_data_directory" in given:
        given["reg_data_directory"] = str(tmp_path / given["reg_data_directory"])
    settings = Settings(lora_data_directory=str(tmp_path / layout.chosen), **{"train_batch_size": 2, **given})
    found = scan(settings)
    times = Counter(sample.path for sample in found.samples)
    by_folder: dict[str, Counter[int]] = {}
    for path, count in times.items():
        by_folder.setdefault(path.parent.name, Counter())[count] += 1
    assert by_folder == layout.taken
    assert Counter(sample.caption for sample in found.samples) == layout.captions
    assert {tuple(frame): count for frame, count in found.buckets} == layout.buckets
    assert found.steps_per_epoch == layout.steps
    told = [str(each) for each in (*found.notes, *(each for each in found.problems if each.left_out))]
    assert len(told) == len(layout.told), told
    for text, beginning in zip(told, layout.told, strict=True):
        assert text.startswith(beginning)
