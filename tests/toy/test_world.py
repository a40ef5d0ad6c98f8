"""The toy world: what is drawn and what is said about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.toy.world import (
    ATTRIBUTES,
    BACKGROUNDS,
    COLOURS,
    PLACES,
    SHAPES,
    SIDE,
    Scene,
    coverage,
    draw_caption,
    draw_scene,
    full_caption,
    paint,
    picture,
    render,
    subset_caption,
)

SCENE = Scene("red", "circle", "small", "white", "left")


def test_the_same_seed_gives_the_same_pictures_and_captions() -> None:
    first, second = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(10):
        scene = draw_scene(first)
        assert scene == draw_scene(second)
        assert np.array_equal(render(scene, first), render(scene, second))
        assert draw_caption(scene, first) == draw_caption(scene, second)


def test_without_jitter_the_colours_are_the_palette() -> None:
    pixels = render(SCENE)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert pixels.dtype == np.uint8
    assert tuple(pixels[0, 0]) == BACKGROUNDS["white"]
    assert tuple(pixels[SIDE // 2, round(PLACES["left"])]) == COLOURS["red"]
    assert picture(SCENE).size == (SIDE, SIDE)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_one_radius_have_similar_areas(shape: str) -> None:
    circle = np.pi * 15.0**2
    assert coverage(shape, SIDE / 2, SIDE / 2, 15.0).sum() == pytest.approx(circle, rel=0.45)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="hexagon"):
        coverage("hexagon", 32, 32, 10)


def test_every_shape_lies_fully_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        scene = replace(draw_scene(rng), size="large")
        pixels = render(scene, rng).astype(int)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        touched = np.abs(border - pixels[0, 0]).max(axis=1) > 40  # of a tip or a rim, softly
        assert touched.sum() <= 4


def test_paint_mixes_by_coverage() -> None:
    mask = np.array([[0.0, 0.5, 1.0]])
    assert paint(mask, (200, 0, 0), (0, 0, 100))[0].tolist() == [[0, 0, 100], [100, 0, 50], [200, 0, 0]]


@pytest.mark.parametrize(
    ("named", "position", "caption"),
    [
        (tuple(ATTRIBUTES), 2, "a small red circle on a white background, left"),
        (tuple(ATTRIBUTES), 1, "a small red circle, left, on a white background"),
        (tuple(ATTRIBUTES), 0, "left, a small red circle on a white background"),
        (("colour", "shape"), 2, "a red circle"),
        (("shape", "place"), 2, "circle, left"),
        (("background",), 2, "white background"),
        (("place",), 0, "left"),
    ],
)
def test_captions_name_what_they_should(named: tuple[str, ...], position: int, caption: str) -> None:
    assert subset_caption(SCENE, named, position) == caption


def test_full_caption_is_the_subset_of_everything() -> None:
    assert full_caption(SCENE) == subset_caption(SCENE, tuple(ATTRIBUTES))


def test_training_captions_are_true_and_leave_things_open() -> None:
    rng = np.random.default_rng(1)
    words = {word for values in ATTRIBUTES.values() for word in values}
    named: Counter[str] = Counter()
    for _ in range(600):
        scene = draw_scene(rng)
        told = set(draw_caption(scene, rng).replace(",", "").split()) & words
        assert told
        assert told <= set(asdict(scene).values())
        named.update(name for name, value in asdict(scene).items() if value in told)
    assert all(0.5 < named[name] / 600 < 0.95 for name in ATTRIBUTES)
    assert named["place"] > 0.75 * 600
