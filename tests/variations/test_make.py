"""A picture turned and made smaller over transparency, against what geometry says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from trainer.errors import DataError
from trainer.variations.make import SIDES, Ranges, Variation, drawn, varied

RED, HIDDEN = (255, 0, 0, 255), (0, 255, 0, 0)


def marked(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A red box on what is transparent, and green under that."""
    picture = Image.new("RGBA", size, HIDDEN)
    picture.paste(RED, box)
    return picture


def alpha_of(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)[..., 3].astype(np.float64) / 255


@pytest.mark.parametrize("angle", [-150.0, -33.0, 0.0, 10.0, 90.0, 137.0])
@pytest.mark.parametrize("scale", [0.4, 0.7])
def test_area_and_direction_are_those_of_the_angle_and_the_scale(angle: float, scale: float) -> None:
    original = marked((400, 400), (170, 120, 230, 280))  # 60 wide, 160 high: its long axis is upright
    made = varied(original, Variation(angle, scale, 0.5, 0.5))
    alpha = alpha_of(made)
    assert alpha.sum() == pytest.approx(60 * 160 * scale**2, rel=0.02)
    down, across = np.mgrid[:400, :400] + 0.5
    dx, dy = across - (alpha * across).sum() / alpha.sum(), down - (alpha * down).sum() / alpha.sum()
    # The long axis by second moments; counter-clockwise as seen, so against y, which points down.
    axis = 0.5 * math.atan2(2 * (alpha * dx * -dy).sum(), (alpha * (dx**2 - dy**2)).sum())
    assert math.remainder(math.degrees(axis) - 90 - angle, 180) == pytest.approx(0, abs=0.7)


def test_what_is_hidden_leaves_no_fringe() -> None:
    made = np.asarray(varied(marked((200, 200), (50, 50, 150, 150)), Variation(30, 0.5, 0.5, 0.5)))
    seen = made[made[..., 3] > 8]
    assert seen[:, 1].max() <= 2
    assert seen[:, 2].max() <= 2
    assert seen[:, 0].min() >= 250
    assert set(np.unique(made[made[..., 3] == 0])) == {0}


@pytest.mark.parametrize("angle", [0.0, 45.0, 100.0])
@pytest.mark.parametrize("size", [(300, 200), (64, 256)])
def test_nothing_is_cut_off(angle: float, size: tuple[int, int]) -> None:
    width, height = size
    original = Image.new("RGBA", size, RED)
    alpha = alpha_of(varied(original, Variation(angle, 1.0, 0.3, 0.9)))
    assert alpha.shape == (height, width)
    turn = math.radians(angle)
    across = width * abs(math.cos(turn)) + height * abs(math.sin(turn))
    down = width * abs(math.sin(turn)) + height * abs(math.cos(turn))
    fitting = min(1.0, width / across, height / down)
    assert alpha.sum() == pytest.approx(width * height * fitting**2, rel=0.03)


def test_an_unchanged_picture_stays_byte_for_byte() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    noise[..., 3] = 255
    original = Image.fromarray(noise)
    assert varied(original, Variation(0, 1, 0.5, 0.5)).tobytes() == original.tobytes()


@pytest.mark.parametrize("side", SIDES)
def test_it_stands_at_the_fixed_side_and_anywhere_else_otherwise(side: str) -> None:
    original = marked((100, 100), (30, 30, 70, 70))
    boxes = []
    for number in range(40):
        variation = drawn(Ranges(20, 0.3, side), 7, "a.png", number)
        alpha = alpha_of(varied(original, variation)) > 0
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        boxes.append({"left": columns[0], "top": rows[0], "right": 99 - columns[-1], "bottom": 99 - rows[-1]})
    for each in ("left", "top", "right", "bottom"):
        distances = {int(box[each]) for box in boxes}
        assert (distances <= {0, 1}) if each == side else len(distances) > 10, (each, distances)


def test_what_is_drawn_fills_its_ranges_and_depends_on_everything() -> None:
    ranges = Ranges(30, 0.25, "none")
    many = [drawn(ranges, 5, "a.png", number) for number in range(2000)]
    for values, low, high in (
        ([each.angle for each in many], -30, 30),
        ([each.scale for each in many], 0.25, 1),
        ([each.across for each in many], 0, 1),
        ([each.down for each in many], 0, 1),
    ):
        assert min(values) >= low
        assert max(values) <= high
        # Quarters of the range are equally full, within five standard deviations of a binomial count.
        counts, _ = np.histogram(values, 4, (low, high))
        assert np.abs(counts - 500).max() < 5 * math.sqrt(2000 * 0.25 * 0.75)
    assert drawn(ranges, 5, "a.png", 3) == many[3]
    others = {drawn(ranges, 6, "a.png", 3), drawn(ranges, 5, "b.png", 3), drawn(ranges, 5, "a.png", 4)}
    assert many[3] not in others
    assert len(others) == 3


def test_a_seed_that_somebody_has_written_down_stays_what_it_was() -> None:
    # Python promises that text seeds random.Random alike in every version.
    found = drawn(Ranges(180, 0.4), 1, "a.png", 1)
    assert (found.angle, found.scale) == pytest.approx((-161.4501241548826, 0.4110535472210012), abs=1e-12)


def test_what_cannot_be_seen_is_refused() -> None:
    with pytest.raises(DataError, match="fully transparent"):
        varied(Image.new("RGBA", (8, 8)), Variation(10, 0.5, 0, 0))
