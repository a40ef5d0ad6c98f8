"""Masks, control images and previews among the images, by their names; and masks as what they are for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.companions import sort_out
from trainer.data.files import find_images
from trainer.data.pairs.scan import scan_pairs
from trainer.data.samples import Sample, Scan, pixels_of
from trainer.data.scan import scan
from trainer.errors import DataError

SMALL = Settings(image_size=Size(64, 64), image_min_length=64, image_buckets_step=64)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def sorted_in(folder: Path, **changes: str | bool) -> tuple[dict[str, str | None], dict[str, str]]:
    """The images with their masks, and what the other files are."""
    found = sort_out(find_images(folder), replace(SMALL, **changes))
    images = {each.name: each.mask and each.mask.relative_to(folder).as_posix() for each in found.images}
    return images, {name: str(what) for name, what in found.companions}


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", ["a-masklabel.png", "a_mask.png", "a-mask.webp", "a.mask.png", "A_MASK.PNG"])
def test_a_mask_beside_its_image(tmp_path: Path, mask: str) -> None:
    assert sorted_in(fill(tmp_path, "a.jpg", "b.jpg", mask)) == ({"a.jpg": mask, "b.jpg": None}, {})


def test_an_image_that_is_only_called_like_a_mask(tmp_path: Path) -> None:
    fill(tmp_path, "girl_mask.png", "girl.jpg.png", "x_mask.png", "x.png", "x_mask.txt")
    assert sorted_in(tmp_path)[0] == dict.fromkeys(["girl.jpg.png", "girl_mask.png", "x.png", "x_mask.png"])


def test_a_mask_by_its_trainers_name_without_an_image(tmp_path: Path) -> None:
    assert sorted_in(fill(tmp_path, "a.png", "b-masklabel.png")) == (
        {"a.png": None},
        {"b-masklabel.png": "is a mask without an image"},
    )


def test_two_masks_of_one_image(tmp_path: Path) -> None:
    assert sorted_in(fill(tmp_path, "a.png", "a_mask.png", "a-masklabel.png")) == (
        {"a.png": "a-masklabel.png"},
        {"a_mask.png": "is a second mask of a.png"},
    )


@pytest.mark.parametrize("folder", ["mask", "Masks"])
@pytest.mark.parametrize("images", ["", "images/", "img/"])
def test_a_folder_of_masks(tmp_path: Path, folder: str, images: str) -> None:
    fill(
        tmp_path, f"{images}a.jpg", f"{images}in/b.jpg", f"{folder}/a.png", f"{folder}/in/b_mask.png", f"{folder}/c.png"
    )
    assert sorted_in(tmp_path) == (
        {f"{images}a.jpg": f"{folder}/a.png", f"{images}in/b.jpg": f"{folder}/in/b_mask.png"},
        {f"{folder}/c.png": "is a mask without an image"},
    )


def test_a_folder_of_masks_that_fit_two_folders(tmp_path: Path) -> None:
    fill(tmp_path, "img/1.jpg", "train/1.jpg", "mask/1.png")
    images, others = sorted_in(tmp_path)
    assert images == {"img/1.jpg": None, "train/1.jpg": None}
    assert others == {"mask/1.png": "is a mask of more than one image (img/1.jpg, train/1.jpg)"}


@pytest.mark.parametrize(
    "names",
    [
        ["mask/1.png", "mask/2.png"],  # nothing else is there
        ["hat/1.png", "mask/1.png"],  # two things that are worn
        ["1.png", "1.txt", "mask/1.png", "mask/1.txt"],  # a caption: something to learn
        ["1.png", "control/2.png"],
    ],
)
def test_a_folder_that_is_only_called_like_one_of_masks(tmp_path: Path, names: list[str]) -> None:
    fill(tmp_path, *names)
    assert sorted_in(tmp_path) == (dict.fromkeys(name for name in names if name.endswith(".png")), {})


@pytest.mark.parametrize("folder", ["conditioning", "control", "control_images", "Controls"])
def test_control_images(tmp_path: Path, folder: str) -> None:
    fill(tmp_path, "1.png", "2.png", "3.png", *(f"{folder}/{number}.png" for number in (1, 2, 3)))
    assert sorted_in(tmp_path) == (
        dict.fromkeys(["1.png", "2.png", "3.png"]),
        {f"{folder}/1.png": "is a control image, not one to learn from, like 2 others beside it"},
    )


def test_control_images_beside_their_images_and_those_of_ai_toolkit(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a-condlabel.png", "_controls/a.depth.jpg")
    what = "is a control image, not one to learn from"
    assert sorted_in(tmp_path) == ({"a.png": None}, {"_controls/a.depth.jpg": what, "a-condlabel.png": what})


@pytest.mark.parametrize(
    "name",
    [
        "zorp_e000001_00.png",
        "zorp_000250_01_20240131235959_42.png",
        "20230131235959_e000010_00_42.png",
        "1699999999999__000000500_0.jpg",
        "2024-01-31_23-59-59-training-sample-500-2-10.jpg",
    ],
)
def test_previews(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "a.png", f"model/sample/0/{name}", name, f"samples/{name}", "sample/a cat.png")
    images, others = sorted_in(tmp_path)
    assert images == dict.fromkeys(["a.png", name, "sample/a cat.png"])
    assert set(others.values()) == {"is a preview that a trainer made"}
    assert set(others) == {f"model/sample/0/{name}", f"samples/{name}"}


def test_masks_that_are_not_to_be_used_are_no_images_either(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png", "a_mask.png", "b_mask.png", "mask/a.png")
    assert sorted_in(tmp_path, image_use_masks=False) == (
        {"a.png": None, "b.png": None},
        {
            "a_mask.png": "is a mask, and image use masks is off, like 1 other beside it",
            "mask/a.png": "is a mask, and image use masks is off",
        },
    )


def test_the_suffix_of_targets_comes_before_that_of_masks(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a_mask.png")
    assert sorted_in(tmp_path, diff_target_name="_mask") == ({"a.png": None, "a_mask.png": None}, {})


def test_a_folder_of_masks_elsewhere(tmp_path: Path) -> None:
    fill(tmp_path / "data", "a.png", "a_mask.png", "in/b.png", "in/c.png", "d.png")
    fill(tmp_path / "elsewhere", "a.png", "in/b-masklabel.png", "other/c.png")
    found = sort_out(find_images(tmp_path / "data"), replace(SMALL, image_mask_directory=str(tmp_path / "elsewhere")))
    masks = {each.name: each.mask and each.mask.relative_to(tmp_path / "elsewhere").as_posix() for each in found.images}
    assert masks == {"a.png": "a.png", "in/b.png": "in/b-masklabel.png", "in/c.png": "other/c.png", "d.png": None}
    assert [(name, str(what)) for name, what in found.companions] == [("a_mask.png", "is a second mask of a.png")]


def test_a_folder_of_masks_within_the_data(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "grey/a.png", "grey/b.png")
    assert sorted_in(tmp_path, image_mask_directory=str(tmp_path / "grey"))[0] == {"a.png": "grey/a.png"}


def test_a_folder_of_masks_that_is_not_there(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    with pytest.raises(DataError, match="^image mask directory: There is no folder"):
        sorted_in(tmp_path, image_mask_directory=str(tmp_path / "gone"))


# ---- pixels ---------------------------------------------------------------------------------------------------------


def picture(path: Path, width: int = 64, height: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(path: Path, levels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.astype(np.uint8)).save(path)


def halves(left: int, right: int, width: int = 64, height: int = 64) -> np.ndarray:
    levels = np.full((height, width), left)
    levels[:, width // 2 :] = right
    return levels


def scanned(folder: Path, **changes: object) -> Scan:
    return scan(replace(SMALL, lora_data_directory=str(folder), **changes))


def counts_of(sample: Sample) -> np.ndarray:
    counts = pixels_of(sample)[1]
    assert counts is not None
    return counts


def test_how_light_a_mask_is_says_how_much_a_pixel_counts(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    mask(tmp_path / "a-masklabel.png", halves(255, 51))
    found = scanned(tmp_path)
    assert (found.images, found.masks, len(found.samples)) == (1, 1, 1)
    assert found.problems == ()
    np.testing.assert_allclose(counts_of(found.samples[0]), halves(255, 51) / 255, atol=1e-6)
    assert scanned(tmp_path, image_use_masks=False).masks == 0


def test_a_mask_is_scaled_cropped_and_mirrored_with_its_image(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 256, 128)
    mask(tmp_path / "a_mask.png", halves(255, 0, 128, 64))  # half as large
    plain, mirrored = scanned(tmp_path, image_mirroring=True).samples
    assert plain.crop == (32, 0)
    np.testing.assert_array_equal(counts_of(plain)[:, [0, 24, 40, 63]], np.tile([1, 1, 0, 0], (64, 1)))
    np.testing.assert_array_equal(counts_of(mirrored), counts_of(plain)[:, ::-1])


def test_a_mask_and_transparency_count_together(tmp_path: Path) -> None:
    pixels = np.full((64, 64, 4), 200, np.uint8)
    pixels[:32, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    mask(tmp_path / "a_mask.png", halves(102, 255))
    counts = counts_of(scanned(tmp_path).samples[0])
    np.testing.assert_allclose(counts[[10, 50]][:, [10, 50]], [[0, 0], [200 / 255 * 0.4, 200 / 255]], atol=1e-6)


def test_where_a_mask_is_transparent_nothing_counts(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    painted = np.full((64, 64, 4), 255, np.uint8)
    painted[:, 32:, 3] = 0
    Image.fromarray(painted).save(tmp_path / "a_mask.png")
    np.testing.assert_array_equal(counts_of(scanned(tmp_path).samples[0]), halves(1, 0))


def problems(found: Scan) -> list[str]:
    return [str(problem) for problem in found.problems]


@pytest.mark.parametrize(
    ("levels", "problem"),
    [
        (halves(0, 0), "a.png has a mask, a_mask.png, that leaves nothing of it: left out"),
        (halves(5, 0), "a.png has a mask, a_mask.png, that leaves nothing of it: left out"),  # as JPEG leaves black
        (
            halves(255, 255, 64, 32),
            "a.png has a mask, a_mask.png, of another shape (64 x 32, not 64 x 64): left out",
        ),
    ],
)
def test_an_image_whose_mask_does_not_fit_is_left_out(tmp_path: Path, levels: np.ndarray, problem: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    mask(tmp_path / "a_mask.png", levels)
    found = scanned(tmp_path)
    assert (found.images, found.left_out, found.masks) == (1, 1, 0)
    assert problems(found) == [problem]


def test_a_mask_that_cannot_be_read(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a_mask.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png has a mask, a_mask\.png, that is empty \(0 bytes\)"):
        scanned(tmp_path).require_usable()


def test_a_mask_that_leaves_nothing_of_what_is_cropped(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 256, 64)
    levels = np.zeros((64, 256))
    levels[:, :50] = 255
    mask(tmp_path / "a_mask.png", levels)
    expected = "a.png has a mask, a_mask.png, that leaves nothing of what would be trained: left out"
    assert problems(scanned(tmp_path)) == [expected]


def test_images_without_a_mask_where_others_have_one(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / f"{name}.png")
    mask(tmp_path / "b_mask.png", halves(255, 0))
    found = scanned(tmp_path)
    assert (found.images, found.masks) == (3, 1)
    assert problems(found) == ["a.png has no mask, though others have one, like 1 other beside it: used whole"]


def test_a_mask_that_changes_its_shape_during_the_run(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    mask(tmp_path / "a_mask.png", halves(255, 0))
    (sample,) = scanned(tmp_path).samples
    mask(tmp_path / "a_mask.png", halves(255, 0, 64, 32))
    with pytest.raises(DataError, match=r"a_mask\.png: It has changed"):
        pixels_of(sample)


def test_the_sides_of_a_pair_have_their_own_masks(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "a_after.png")
    mask(tmp_path / "a_mask.png", halves(255, 0))
    mask(tmp_path / "masks/a_after.png", halves(0, 255))
    settings = replace(SMALL, mode="Multi-ADDifT", lora_data_directory=str(tmp_path), diff_target_name="_after")
    found = scan_pairs(settings)
    assert (found.images, found.masks, found.problems) == (2, 2, ())
    (pair,) = found.samples
    assert pair.target is not None
    np.testing.assert_array_equal(counts_of(pair), halves(1, 0))
    np.testing.assert_array_equal(counts_of(pair.target), halves(0, 1))


# ---- folders with repeats -------------------------------------------------------------------------------------------


def masked_in(folder: Path, **changes: object) -> dict[str, str | None]:
    """The images of folders with repeats, with their masks."""
    found = scanned(folder, **changes)
    return {
        sample.path.relative_to(folder).as_posix(): sample.mask and sample.mask.relative_to(folder).as_posix()
        for sample in found.distinct
    }


@pytest.mark.parametrize("tree", ["", "img/"])
def test_a_folder_of_masks_beside_those_with_repeats(tmp_path: Path, tree: str) -> None:
    picture(tmp_path / f"{tree}10_cat/a.png")
    picture(tmp_path / f"{tree}5_dog/b.png")
    mask(tmp_path / "mask/a.png", halves(255, 0))
    mask(tmp_path / "mask/5_dog/b_mask.png", halves(255, 0))
    assert masked_in(tmp_path) == {
        f"{tree}10_cat/a.png": "mask/a.png",
        f"{tree}5_dog/b.png": "mask/5_dog/b_mask.png",
    }
    assert scanned(tmp_path).problems == ()


def test_masks_in_a_folder_for_each(tmp_path: Path) -> None:
    for name in ("10_cat", "5_dog"):
        picture(tmp_path / f"img/{name}/1.png")
        mask(tmp_path / f"mask/{name}/1.png", halves(255, 0))
    assert masked_in(tmp_path) == {f"img/{name}/1.png": f"mask/{name}/1.png" for name in ("10_cat", "5_dog")}


@pytest.mark.parametrize(("images", "tree"), [("img", "3_zorp circle/"), ("img", ""), ("images", "")])
def test_masks_beside_the_folder_of_the_images_are_found_from_there_too(images: str, tree: str, tmp_path: Path) -> None:
    picture(tmp_path / f"{images}/{tree}1.png")
    mask(tmp_path / f"mask/{tree}1.png", halves(255, 0))
    for chosen in (tmp_path, tmp_path / images):
        found = scanned(chosen)
        assert [sample.mask for sample in found.distinct] == [tmp_path / f"mask/{tree}1.png"]
        assert found.problems == ()
    assert scanned(tmp_path / images, image_use_masks=False).masks == 0
    (tmp_path / f"mask/{tree}1.txt").write_text("somebody with a mask")
    found = scanned(tmp_path / images)
    assert (found.masks, found.problems) == (0, ())


def test_masks_that_fit_images_of_two_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("10_cat", "5_dog"):
        picture(tmp_path / f"{name}/1.png")
    mask(tmp_path / "mask/1.png", halves(255, 0))
    assert set(masked_in(tmp_path).values()) == {None}
    assert problems(scanned(tmp_path)) == [
        "mask holds 1 mask, but images of several folders have the same names (make a folder in it for each): left out"
    ]


def test_a_folder_beside_those_with_repeats_that_is_only_called_mask(tmp_path: Path) -> None:
    picture(tmp_path / "10_hat/1.png")
    mask(tmp_path / "mask/2.png", halves(255, 0))
    expected = (
        "mask holds 1 image, but its name says no repeats, as those of the folders beside it do (1_ would): left out"
    )
    assert problems(scanned(tmp_path)) == [expected]
    mask(tmp_path / "mask/1.png", halves(255, 0))
    (tmp_path / "mask/1.txt").write_text("somebody with a mask")
    assert problems(scanned(tmp_path)) == [expected.replace("1 image", "2 images")]
    assert masked_in(tmp_path) == {"10_hat/1.png": None}
