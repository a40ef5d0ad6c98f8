"""The judge sees what is there, and says nothing where nothing is."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.toy.judge import Verdict, judge
from tests.toy.world import ATTRIBUTES, BACKGROUNDS, COLOURS, SIDE, Scene, coverage, draw_scene, paint, picture, render

SCENE = Scene("blue", "triangle", "large", "gray", "right")


@pytest.mark.parametrize("blur", [0.0, 1.0, 1.5])
def test_it_is_right_about_renders(blur: float) -> None:
    rng = np.random.default_rng(11)
    right = dict.fromkeys(ATTRIBUTES, 0)
    for _ in range(300):
        scene = draw_scene(rng)
        verdict = judge(picture(scene, rng).filter(ImageFilter.GaussianBlur(blur)))
        for name, value in asdict(scene).items():
            right[name] += getattr(verdict, name) == value
    assert all(count >= 297 for count in right.values()), right


def test_images_and_arrays_are_judged_alike() -> None:
    assert judge(render(SCENE)) == judge(picture(SCENE)) == judge(picture(SCENE).convert("RGBA"))


def test_it_measures_colour_and_area() -> None:
    small, large = judge(render(replace(SCENE, size="small"))), judge(render(SCENE))
    assert large.rgb == pytest.approx(COLOURS["blue"], abs=2)
    assert large.area == pytest.approx(coverage("triangle", 46, 32, 15.5).sum(), rel=0.03)
    assert small.area < 0.5 * large.area


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_blank_picture_has_a_background_and_nothing_else(background: str) -> None:
    blank = np.full((SIDE, SIDE, 3), BACKGROUNDS[background], np.uint8)
    assert judge(blank) == Verdict(background=background)


def _noise(rng: np.random.Generator, side: int) -> np.ndarray:
    pixels = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("side", [4, 8, 16, SIDE])
def test_noise_has_no_shape(side: int) -> None:
    rng = np.random.default_rng(side)
    verdicts = [judge(_noise(rng, side)) for _ in range(50)]
    assert all(verdict.shape is None and verdict.colour is None for verdict in verdicts)


def test_two_things_are_no_single_shape() -> None:
    mask = coverage("circle", 16, 20, 9.0) + coverage("square", 48, 44, 9.0)
    assert judge(paint(mask, COLOURS["red"], BACKGROUNDS["white"])).shape is None


def test_a_ring_and_a_cross_are_no_shape_it_knows() -> None:
    ring = coverage("circle", 32, 32, 15.0) - coverage("circle", 32, 32, 9.0)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    cross = ((abs(rows - 32) < 4) | (abs(columns - 32) < 4)) & (abs(rows - 32) < 18) & (abs(columns - 32) < 18)
    for mask in (ring, cross.astype(float)):
        assert judge(paint(mask, COLOURS["red"], BACKGROUNDS["black"])).shape is None
