"""One picture or a pair at one common size: which size, which mask, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from trainer.config.settings import Settings, effective
from trainer.config.size import DEFAULT_SIZE, Size
from trainer.data.buckets import fitted
from trainer.data.latents import Batch, encode_samples
from trainer.data.pairs.pair import difference, open_pair
from trainer.data.samples import pixels_of
from trainer.errors import DataError
from trainer.models.base import Bundle
from trainer.models.registry import load_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return load_bundle(write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS))


def noise(path: Path, width: int = 64, height: int = 64, seed: int = 0) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def settings(original: str = "", target: str = "", **changes: object) -> Settings:
    return replace(Settings(), mode="ADDifT", original_image=original, target_image=target, **changes)


# ---- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "area", "expected"),
    [
        ((64, 64), 64 * 64, (64, 64)),
        ((512, 512), 512 * 512, (512, 512)),
        ((2000, 2000), 512 * 512, (512, 512)),
        ((2000, 2000), 1024 * 1024, (1024, 1024)),
        ((768, 512), 512 * 512, (576, 384)),
        ((512, 768), 512 * 512, (384, 576)),
        ((100, 100), 100 * 100, (64, 64)),
        ((3000, 40), 3000 * 40, (3008, 64)),  # no side below 64, whatever the area
        ((30, 30), 900, (64, 64)),
    ],
)
def test_a_frame_is_of_multiples_of_64_within_the_area(
    size: tuple[int, int], area: int, expected: tuple[int, int]
) -> None:
    width, height = fitted(Size(*size), area, 64)
    assert width % 64 == height % 64 == 0
    assert (width, height) == expected or (size == (3000, 40) and height == 64)


@pytest.mark.parametrize(
    ("size", "image_size", "own", "expected"),
    [
        ((64, 64), None, (512, 512), (64, 64)),  # the images' own: never enlarged
        ((512, 512), None, (512, 512), (512, 512)),
        ((512, 512), None, (1024, 1024), (512, 512)),
        ((1600, 1600), None, (512, 512), (512, 512)),
        ((1600, 1600), None, (1024, 1024), (1024, 1024)),
        ((1600, 1600), (768, 768), (512, 512), (768, 768)),  # chosen: the family's own area does not matter
        ((512, 512), (512, 512), (512, 512), (512, 512)),
        ((512, 512), (768, 768), (512, 512), (768, 768)),
        ((1600, 1600), (512, 512), (1024, 1024), (512, 512)),  # of SDXL
        ((64, 64), (512, 512), (512, 512), (512, 512)),  # chosen: also enlarged
        ((64, 64), (256, 256), (512, 512), (256, 256)),
        ((64, 128), (256, 256), (512, 512), (192, 320)),
    ],
)
def test_the_size_is_the_settings_or_the_familys(
    tmp_path: Path,
    size: tuple[int, int],
    image_size: tuple[int, int] | None,
    own: tuple[int, int],
    expected: tuple[int, int],
) -> None:
    chosen = None if image_size is None else Size(*image_size)
    given = settings(noise(tmp_path / "a.png", *size), noise(tmp_path / "b.png", *size, 1), image_size=chosen)
    found = open_pair(given).placed(given, Size(*own))
    assert found.buckets == ((expected, 1),)
    (sample,) = found.samples
    assert sample.target is not None
    assert sample.frame == sample.target.frame == expected
    assert pixels_of(sample)[0].shape == (expected[1], expected[0], 3)
    given_size = f"{size[0]} x {size[1]}"
    note = f"a.png ({given_size}) and b.png ({given_size}): trained at {expected[0]} x {expected[1]}."
    assert tuple(map(str, found.notes)) == (() if size == expected else (note,))


def test_of_two_sizes_the_smaller_counts(tmp_path: Path) -> None:
    given = settings(noise(tmp_path / "a.png", 400, 200), noise(tmp_path / "b.png", 130, 65))
    (sample,) = open_pair(given).placed(given, DEFAULT_SIZE).samples
    assert sample.frame == (128, 64)


# ---- what is refused ------------------------------------------------------------------------------------------------


def refusal(given: Settings) -> str:
    with pytest.raises(DataError) as caught:
        open_pair(given).placed(given, DEFAULT_SIZE)
    return str(caught.value)


def test_other_shapes_are_refused_with_both_sizes(tmp_path: Path) -> None:
    original, target = noise(tmp_path / "a.png", 200, 100), noise(tmp_path / "b.png", 100, 200)
    assert refusal(settings(original, target)) == (
        "original image and target image: They differ in shape: the original is 200 x 100, the target 100 x 200. "
        "Crop one of them to the shape of the other."
    )


@pytest.mark.parametrize(("width", "refused"), [(201, False), (202, False), (203, True), (197, True)])
def test_one_percent_is_let_through(tmp_path: Path, width: int, refused: bool) -> None:
    given = settings(noise(tmp_path / "a.png", 200, 100), noise(tmp_path / "b.png", width, 100))
    if refused:
        assert "differ in shape" in refusal(given)
    else:
        open_pair(given)


def test_one_file_twice_is_refused(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(path)
    assert refusal(settings(path, str(tmp_path / "b.png"))) == (
        "target image: It is the same file as the original image, so there is nothing to learn. Choose another."
    )


@pytest.mark.parametrize("setting", ["original_image", "target_image"])
def test_what_cannot_be_read_is_refused_by_its_setting(tmp_path: Path, setting: str) -> None:
    good = noise(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes(Path(good).read_bytes()[:-200])
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("RGBA", (64, 64)).save(tmp_path / "clear.png")
    label = setting.replace("_", " ")
    for name, what in {
        "gone.png": "is not there. Check how it is written.",
        "": "is a folder. Choose one image in it.",
        "empty.png": "is empty (0 bytes). Choose another image.",
        "clear.png": "is fully transparent. Choose another image.",
        "cut.png": "is broken",
    }.items():
        path = str(tmp_path / name)
        given = replace(settings(good, good), **{setting: path})
        assert refusal(given).startswith(f'{label}: "{path}" {what}')


def test_pictures_that_do_not_differ_have_no_mask(tmp_path: Path) -> None:
    original = noise(tmp_path / "a.png")
    Image.open(original).save(tmp_path / "b.png")
    given = settings(original, str(tmp_path / "b.png"))
    open_pair(given).placed(given, DEFAULT_SIZE)
    assert "do not differ" in refusal(replace(given, diff_use_diff_mask=True))
    leftover = effective(replace(given, diff_use_diff_mask=True, mode="Difference"))  # which has no such setting
    open_pair(leftover).placed(leftover, DEFAULT_SIZE)


@pytest.mark.parametrize("clear", ["a", "b"])
def test_a_difference_that_one_image_does_not_show_is_none(tmp_path: Path, clear: str) -> None:
    original = np.full((64, 64, 3), 90, np.uint8)
    target = original.copy()
    target[:8] = 250
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:8] = 0
    for name, pixels in (("a", original), ("b", target)):
        shown = np.dstack([pixels, alpha]) if name == clear else pixels
        Image.fromarray(shown).save(tmp_path / f"{name}.png")
    given = settings(str(tmp_path / "a.png"), str(tmp_path / "b.png"), diff_use_diff_mask=True)
    assert "do not differ" in refusal(given)


# ---- latents and masks ----------------------------------------------------------------------------------------------


def batch_of(given: Settings, bundle: Bundle) -> Batch:
    found = open_pair(given).placed(given, DEFAULT_SIZE)
    return encode_samples(found, bundle, given, lambda *_: None).of_step(1)


def test_the_difference_is_the_sum_over_rgb_above_ten() -> None:
    one = np.full((1, 4, 3), 100, np.uint8)
    two = one.copy()
    two[0, 1] = (104, 103, 103)  # 10: the same
    two[0, 2] = (104, 104, 97)  # 11: different
    two[0, 3] = (0, 100, 100)
    assert difference(one, two).tolist() == [[False, False, True, True]]


def test_latents_are_each_pictures_own_and_one_picture_will_do(tmp_path: Path, bundle: Bundle) -> None:
    original, target = noise(tmp_path / "a.png"), noise(tmp_path / "b.png", seed=1)
    both = batch_of(settings(original, target, original_prompt="one", target_prompt="two"), bundle)
    alone = batch_of(settings(original), bundle)
    other = batch_of(settings("", target), bundle)
    assert both.targets is not None
    assert alone.targets is None
    assert other.targets is None
    torch.testing.assert_close(both.latents, alone.latents)
    torch.testing.assert_close(both.targets, other.latents)
    assert (both.captions, both.target_captions) == (("one",), ("two",))
    assert both.mask is None
    assert both.outside is None
    thrice = both.repeated(3)
    assert thrice.latents.shape == (3, 4, 8, 8)
    assert thrice.target_captions == ("two", "two", "two")


def test_thin_differences_survive_and_alpha_counts(tmp_path: Path, bundle: Bundle) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    changed = pixels.copy()
    changed[:, 21] = 250  # a line, one pixel wide: the third column of latents
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:32] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(np.dstack([changed, alpha])).save(tmp_path / "b.png")
    given = settings(str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    seen = torch.zeros(8, 8)
    seen[4:] = 1
    line = torch.zeros(8, 8)
    line[4:, 2] = 1
    plain, masked = batch_of(given, bundle), batch_of(replace(given, diff_use_diff_mask=True), bundle)
    assert plain.mask is not None
    assert masked.mask is not None
    assert masked.outside is not None
    assert torch.equal(plain.mask[0, 0], seen)
    assert plain.outside is None
    assert torch.equal(masked.mask[0, 0], line)
    assert torch.equal(masked.outside[0, 0], seen - line)
