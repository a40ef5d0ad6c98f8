"""What a pair differs in: drawn differences of known place, area and strength."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.data.pairs.comparison import Comparison, compare, heat, shift_of
from trainer.data.pairs.pair import open_pair


def compared(original: Image.Image, target: Image.Image, folder: Path) -> Comparison:
    paths = [folder / "original.png", folder / "target.png"]
    for path, picture in zip(paths, (original, target), strict=True):
        picture.save(path)
    settings = Settings(mode="ADDifT", original_image=str(paths[0]), target_image=str(paths[1]))
    return compare(open_pair(settings), settings)


def scene(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Smooth blotches: something to align, without an edge."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def test_area_and_strength_are_counted(tmp_path: Path) -> None:
    original = Image.new("RGB", (512, 256), (100, 100, 100))
    target = original.copy()
    target.paste((151, 100, 100), (0, 0, 128, 128))  # an eighth of the picture, by 51 of 765
    target.paste((110, 100, 100), (256, 0, 512, 256))  # by 10, which does not count
    found = compared(original, target, tmp_path)
    assert found.share == pytest.approx(1 / 8)
    assert found.mean == pytest.approx(51 / 765, rel=1e-6)
    assert found.shift == (0, 0)
    expected = np.zeros((256, 512), bool)
    expected[:128, :128] = True
    assert np.array_equal(found.amount > 0, expected)


def test_what_one_of_them_does_not_show_is_no_difference(tmp_path: Path) -> None:
    original = Image.new("RGBA", (128, 128), (255, 255, 255, 255))
    original.paste((255, 255, 255, 0), (0, 0, 64, 128))
    target = Image.new("RGBA", (128, 128), (0, 0, 0, 255))
    target.paste((255, 255, 255, 255), (64, 0, 128, 64))
    found = compared(original, target, tmp_path)
    assert found.share == pytest.approx(0.5), "half of the half that both show"
    assert not found.amount[:, :60].any()


def test_equal_pictures_differ_nowhere(tmp_path: Path) -> None:
    found = compared(scene((128, 64)), scene((128, 64)), tmp_path)
    assert (found.share, found.mean, found.shift) == (0, 0, (0, 0))
    assert np.asarray(heat(found)).std(axis=2).max() == 0, "grey all over"


@pytest.mark.parametrize(("right", "down"), [(12, 0), (0, -20), (-16, 8)])
def test_a_shift_is_found(right: int, down: int) -> None:
    wide = np.asarray(scene((640, 640)))
    original, target = wide[64:576, 64:576], wide[64 - down : 576 - down, 64 - right : 576 - right]
    found = shift_of(original, target)
    assert (found[0] * 512, found[1] * 512) == pytest.approx((right, down), abs=2)


def test_another_picture_and_a_change_in_place_are_no_shift() -> None:
    one = np.asarray(scene((256, 256)))
    assert shift_of(one, np.asarray(scene((256, 256), seed=1))) == (0, 0)
    changed = one.copy()
    changed[100:140, 60:110] = (0, 255, 0)
    assert shift_of(one, changed) == (0, 0)
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert shift_of(flat, flat + 20) == (0, 0)


def test_heat_is_where_they_differ_and_a_speck_can_still_be_seen(tmp_path: Path) -> None:
    original = Image.new("RGB", (512, 512), (90, 90, 90))
    target = original.copy()
    target.putpixel((400, 100), (255, 255, 255))
    found = compared(original, target, tmp_path)
    assert found.share == pytest.approx(1 / 512**2)
    coloured = np.asarray(heat(found)).std(axis=2) > 0
    rows, columns = np.flatnonzero(coloured.any(1)), np.flatnonzero(coloured.any(0))
    assert 5 <= len(rows) <= 15, "made wider"
    assert 5 <= len(columns) <= 15, "made wider"
    assert rows.mean() == 100
    assert columns.mean() == 400


def test_large_pairs_are_compared_at_a_smaller_size(tmp_path: Path) -> None:
    original = Image.new("RGB", (2000, 3000), "white")
    target = original.copy()
    target.paste("black", (0, 0, 1000, 3000))
    found = compared(original, target, tmp_path)
    assert found.amount.size <= 1024**2
    assert found.share == pytest.approx(0.5, abs=0.01)
    assert found.mean == pytest.approx(1, abs=0.01)
