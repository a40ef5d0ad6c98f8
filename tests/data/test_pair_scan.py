"""Folders of pairs: who belongs to whom, what is trained of them, and what is told of those that do not fit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.checkpoints import sd1_tensors, write_safetensors
from trainer.cli import main
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.files import find_images
from trainer.data.latents import encode_samples
from trainer.data.pairs.matching import match_pairs
from trainer.data.pairs.scan import scan_pairs
from trainer.data.samples import Scan, pixels_of
from trainer.errors import DataError
from trainer.models.registry import load_bundle

SMALL: dict[str, Any] = {"image_size": Size(64, 64), "image_min_length": 64, "image_buckets_step": 64}


def picture(path: Path, width: int = 64, height: int = 64, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def scanned(folder: Path, **changes: Any) -> Scan:
    given = {"mode": "Multi-ADDifT", "diff_target_name": "_closed", **SMALL, **changes}
    return scan_pairs(replace(Settings(), lora_data_directory=str(folder), **given))


def names(folder: Path, suffix: str = "_closed") -> list[tuple[str, str]]:
    matched = match_pairs(find_images(folder), suffix)
    return [(pair.original.name, pair.target.name) for pair in matched.pairs]


# ---- who belongs to whom --------------------------------------------------------------------------------------------


def test_pairs_by_suffix_in_every_folder_with_any_ending(tmp_path: Path) -> None:
    for name in ("a.png", "a_closed.webp", "b.JPG", "b_Closed.png", "sub/a.png", "sub/a_closed.png", "c.d.png",
                 "c.d_closed.png"):  # fmt: skip
        picture(tmp_path / name)
    assert names(tmp_path) == [
        ("a.png", "a_closed.webp"),
        ("b.JPG", "b_Closed.png"),
        ("c.d.png", "c.d_closed.png"),
        ("sub/a.png", "sub/a_closed.png"),
    ]


def test_a_partner_in_another_folder_is_none(tmp_path: Path) -> None:
    for name in ("a.png", "sub/a_closed.png", "x.png", "x_closed.png"):
        picture(tmp_path / name)
    assert names(tmp_path) == [("x.png", "x_closed.png")]


def test_of_several_the_like_one_wins(tmp_path: Path) -> None:
    for name in ("a.png", "a_closed.jpg", "a_closed.png", "b.png", "b.jpg", "b_closed.jpg"):
        picture(tmp_path / name)
    assert names(tmp_path) == [("a.png", "a_closed.png"), ("b.jpg", "b_closed.jpg"), ("b.png", "b_closed.jpg")]
    assert [str(problem) for problem in scanned(tmp_path).problems if problem.left_out] == [
        "a_closed.jpg is one target too many for a.png: left out"
    ]


def test_a_target_may_be_an_original_too(tmp_path: Path) -> None:
    for name in ("a.png", "a_x.png", "a_x_x.png"):
        picture(tmp_path / name)
    assert names(tmp_path, "_x") == [("a.png", "a_x.png"), ("a_x.png", "a_x_x.png")]


@pytest.mark.parametrize(
    ("suffix", "sentence"),
    [
        ("", "diff target name: It is empty, so each image would be paired with itself. Write what"),
        ("  ", "diff target name: It is empty, so each image would be paired with itself. Write what"),
        ("_open", 'called the same but for "_open" at the end of one of them. Write what the targets'),
        ("_closed.png", "Write it without .png: _closed."),
    ],
)
def test_a_suffix_that_makes_no_pair_is_refused(tmp_path: Path, suffix: str, sentence: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a_closed.png")
    with pytest.raises(DataError) as caught:
        scanned(tmp_path, diff_target_name=suffix)
    assert sentence in str(caught.value)


# ---- what is trained ------------------------------------------------------------------------------------------------


def test_both_sides_get_the_same_frame_crop_and_way_round(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 200, 100)
    picture(tmp_path / "a_closed.png", 400, 200, seed=1)
    found = scanned(tmp_path, image_size=Size(128, 128), image_mirroring=True, sub_image_num=1, image_num_multiply=2)
    assert len(found.distinct) == 4
    assert found.samples == found.distinct * 2
    assert (found.images, found.pairs) == (2, 1)
    assert {sample.mirrored for sample in found.distinct} == {False, True}
    for sample in found.distinct:
        target = sample.target
        assert target is not None
        assert (sample.frame, sample.mirrored) == (target.frame, target.mirrored)
        assert sample.path.name == "a.png"
        assert target.path.name == "a_closed.png"
    assert sum(count for _, count in found.buckets) == 8


def test_mirrored_pairs_are_mirrored_alike_with_their_mask(tmp_path: Path) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    changed = pixels.copy()
    changed[:, :8] = 250  # at the left
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(changed).save(tmp_path / "a_closed.png")
    path = write_safetensors(
        tmp_path / "small.safetensors",
        sd1_tensors(),
        {"trainyard_config": '{"unet_norm_groups": 8, "vae_norm_groups": 8}'},
    )
    bundle = load_bundle(path)
    settings = replace(
        Settings(), mode="Multi-ADDifT", lora_data_directory=str(tmp_path), diff_target_name="_closed",
        image_mirroring=True, diff_use_diff_mask=True, train_batch_size=2, **SMALL,
    )  # fmt: skip
    found = scan_pairs(settings)
    batch = encode_samples(found, bundle, settings, lambda *_: None).of_step(1)
    assert batch.mask is not None
    columns = sorted(tuple(mask[0].sum(0).tolist()) for mask in batch.mask)
    assert columns == [(0.0,) * 7 + (8.0,), (8.0,) + (0.0,) * 7]
    plain, mirrored = (pixels_of(sample.target)[0] for sample in found.distinct if sample.target is not None)
    assert np.array_equal(plain[:, ::-1], mirrored)


def test_each_side_has_its_own_caption_or_the_originals(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / f"{name}.png")
        picture(tmp_path / f"{name}_closed.png", seed=1)
    for name, text in {"a": "eyes", "a_closed": "closed eyes", "b": "a cat", "c_closed": "only here"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    captions = {
        sample.path.name: (sample.caption, sample.target.caption)
        for sample in scanned(tmp_path, lora_trigger_word="sks").distinct
        if sample.target is not None
    }
    assert captions == {
        "a.png": ("sks, eyes", "sks, closed eyes"),
        "b.png": ("sks, a cat", "sks, a cat"),
        "c.png": ("sks", "sks, only here"),
        "d.png": ("sks", "sks"),
    }


def test_folders_with_repeats_hold_pairs(tmp_path: Path) -> None:
    picture(tmp_path / "3_zorp eyes" / "a.png", seed=1)
    picture(tmp_path / "3_zorp eyes" / "a_closed.png", seed=2)
    picture(tmp_path / "2_mira" / "b.png", seed=3)
    picture(tmp_path / "2_mira" / "b_closed.png", seed=4)
    picture(tmp_path / "2_mira" / "c.png", seed=5)
    found = scanned(tmp_path)
    told = [(sample.path.name, sample.caption, sample.target and sample.target.caption) for sample in found.samples]
    assert told == [("b.png", "mira", "mira")] * 2 + [("a.png", "zorp eyes", "zorp eyes")] * 3
    assert [(count.images, count.taken) for count in found.counts] == [(2, 2), (2, 3)]
    assert [problem.name for problem in found.problems] == ["2_mira/c.png"]


def test_file_names_as_tags_leave_the_suffix_out(tmp_path: Path) -> None:
    picture(tmp_path / "black_cat.png")
    picture(tmp_path / "black_cat_closed.png")
    (sample,) = scanned(tmp_path, image_use_filename_as_tag=True).distinct
    assert sample.target is not None
    assert (sample.caption, sample.target.caption) == ("black,cat", "black,cat")


# ---- what is wrong --------------------------------------------------------------------------------------------------


def test_every_picture_that_does_not_fit_is_named(tmp_path: Path) -> None:
    for name in ("good", "cut", "shape", "clear", "link", "lone"):
        picture(tmp_path / f"{name}.png")
    picture(tmp_path / "good_closed.png", seed=1)
    cut = picture(tmp_path / "cut_closed.png")
    cut.write_bytes(cut.read_bytes()[:-300])
    picture(tmp_path / "shape_closed.png", 64, 128)
    Image.new("RGBA", (64, 64)).save(tmp_path / "clear_closed.png")
    os.symlink(tmp_path / "link.png", tmp_path / "link_closed.png")
    picture(tmp_path / "orphan_closed.png")
    found = scanned(tmp_path)
    assert [sample.path.name for sample in found.distinct] == ["good.png"]
    told = sorted(str(problem) for problem in found.problems)
    assert len(told) == 6
    assert told[0] == "clear_closed.png is fully transparent: left out with clear.png"
    assert told[1].startswith("cut_closed.png is broken")
    assert told[1].endswith(": left out with cut.png")
    assert told[2:] == [
        "link_closed.png is the same file as link.png: left out with link.png",
        'lone.png has no target: there is no image "lone_closed" beside it: left out',
        'orphan_closed.png is a target without an original: there is no image "orphan" beside it: left out',
        "shape_closed.png has another shape than shape.png (64 x 128, not 64 x 64): left out with shape.png",
    ]
    assert (found.images, found.left_out) == (2, 10)


def test_with_the_mask_pairs_that_do_not_differ_are_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a_closed.png")
    found = scanned(tmp_path, diff_use_diff_mask=True)
    with pytest.raises(DataError, match=r"a_closed\.png does not differ from a\.png"):
        found.require_usable()
    assert scanned(tmp_path).usable


def test_check_shows_the_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("a.png", "a_closed.png", "b.png")):
        picture(tmp_path / name, seed=seed)
    (tmp_path / "a_closed.txt").write_text("shut")
    arguments = ["check", str(tmp_path), "--set", "mode=Multi-ADDifT", "--set", "diff_target_name=_closed"]
    assert main([*arguments, "--set", "image_size=64", "--set", "image_min_length=64"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Images:   1 pair of images in {tmp_path}; 1 left out",
        "Captions: 1 from files (UTF-8), 1 image without a caption",
        'Example:  a_closed.png is "shut"',
        "Sizes:    64 x 64 (1)",
        "Epoch:    1 sample in 1 step; 1000 steps are 1000 epochs, so each pair is seen 1000 times",
        "Note:     train batch size is 2, more than there are samples (1): no step takes more than there are.",
        "",
        "1 thing to know:",
        '  b.png has no target: there is no image "b_closed" beside it: left out',
    ]
    assert main(["check", str(tmp_path), "--set", "mode=Multi-ADDifT"]) == 2
