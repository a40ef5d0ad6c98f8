"""Taggers of the WD14 kind: what they are given and what they answer, against our own computation."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.onnx_file import make_tagger, tagger_bytes, write_table
from trainer.captioning.base import CHARACTER, GENERAL, RATING
from trainer.captioning.wd_tagger import TABLE, WdTagger, prepared
from trainer.errors import DataError, ModelError, Stopped, UserError

CPU = torch.device("cpu")
TAGS = [("general", 9), ("1girl", 0), ("long_hair", 0), ("hatsune_miku", 4), ("some_artist", 1), ("^_^", 0)]


def never() -> None:
    pass


def picture(width: int, height: int, seed: int = 1) -> Image.Image:
    """RGBA that differs from its mirror images and in its channels, with every degree of transparency."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (height, width, 4))
    pixels[..., 3] = np.linspace(0, 255, width)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


def cubic(x: float) -> float:
    """Keys' kernel with a = -0.5."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resized(lines: np.ndarray, size: int) -> np.ndarray:
    """Along the first axis, in double precision, the kernel as wide as what becomes one pixel."""
    scale = len(lines) / size
    wide = max(scale, 1.0)
    found = np.zeros((size, *lines.shape[1:]))
    for place in range(size):
        centre = (place + 0.5) * scale
        first, end = max(0, math.floor(centre - 2 * wide)), min(len(lines), math.ceil(centre + 2 * wide))
        weights = np.array([cubic((at + 0.5 - centre) / wide) for at in range(first, end)])
        found[place] = np.tensordot(weights / weights.sum(), lines[first:end], 1)
    return np.clip(found, 0, 255)


def expected(image: Image.Image, size: int) -> np.ndarray:
    """(size, size, 3), BGR: over white, in the middle of a white square, scaled with a bicubic kernel."""
    pixels = np.asarray(image).astype(np.float64)
    alpha = pixels[..., 3:] / 255
    rgb = pixels[..., :3] * alpha + 255 * (1 - alpha)
    height, width = rgb.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255.0)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = rgb
    across = resized(square.transpose(1, 0, 2), size)
    return resized(across.transpose(1, 0, 2), size)[..., ::-1]


@pytest.mark.parametrize("size", [(30, 17), (17, 30), (8, 8), (5, 3), (61, 60)])
def test_an_image_is_prepared_as_the_format_says(size: tuple[int, int]) -> None:
    image = picture(*size)
    found = prepared(image, 8)
    assert found.shape == (1, 8, 8, 3)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    # Pillow rounds to whole levels when it composes, and after each direction.
    assert np.abs(found[0] - expected(image, 8)).max() < 2
    mirrored = expected(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 8)
    assert np.abs(found[0] - mirrored).max() > 20  # or the bound above would let everything pass


def test_a_long_strip_takes_no_huge_square() -> None:
    found = prepared(Image.new("RGBA", (40_000, 4), "black"), 8)
    assert found.shape == (1, 8, 8, 3)


def test_the_scores_are_the_models(tmp_path: Path) -> None:
    weights, bias = make_tagger(tmp_path / "tagger", TAGS)
    image = picture(30, 17)
    found = WdTagger(tmp_path / "tagger", CPU).describe(image, never)
    sums = expected(image, 8).reshape(-1) @ weights.astype(np.float64) + bias
    scores = 1 / (1 + np.exp(-sums))
    assert [tag.name for tag in found.tags] == [name for name, _ in TAGS]
    assert [tag.score for tag in found.tags] == pytest.approx(scores.tolist(), abs=0.03)
    assert max(scores) - min(scores) > 0.2
    assert [tag.category for tag in found.tags] == [RATING, GENERAL, GENERAL, CHARACTER, GENERAL, GENERAL]


def test_a_model_without_its_last_layer_is_given_it(tmp_path: Path) -> None:
    weights, bias = make_tagger(tmp_path, TAGS)
    whole = [tag.score for tag in WdTagger(tmp_path, CPU).describe(picture(8, 8), never).tags]
    (tmp_path / "model.onnx").write_bytes(tagger_bytes(weights, bias, ["batch", 8, 8, 3], sigmoid=False))
    assert [tag.score for tag in WdTagger(tmp_path, CPU).describe(picture(8, 8), never).tags] == pytest.approx(whole)


def test_stop_comes_out_of_it(tmp_path: Path) -> None:
    make_tagger(tmp_path, TAGS)
    tagger = WdTagger(tmp_path, CPU)

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        tagger.describe(picture(8, 8), stop)


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tagger(tmp_path / "wd-tagger", TAGS)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"wd-tagger needs the package onnxruntime.*pip install onnxruntime\."):
        WdTagger(tmp_path / "wd-tagger", CPU)
    with pytest.raises(UserError, match=r"pip install onnxruntime-gpu\."):
        WdTagger(tmp_path / "wd-tagger", torch.device("cuda"))


@pytest.mark.parametrize(
    "shape", [["batch", 3, 8, 8], ["batch", 16, 4, 3], ["batch", "high", "wide", 3], ["batch", 192]]
)
def test_another_layout_is_refused(tmp_path: Path, shape: list[int | str]) -> None:
    weights, bias = make_tagger(tmp_path, TAGS)
    (tmp_path / "model.onnx").write_bytes(tagger_bytes(weights, bias, shape))
    with pytest.raises(ModelError, match="another form"):
        WdTagger(tmp_path, CPU)


def test_a_table_of_another_tagger_is_noticed(tmp_path: Path) -> None:
    make_tagger(tmp_path, TAGS)
    write_table(tmp_path / TABLE, TAGS[:-1])
    with pytest.raises(ModelError, match=r"knows 6 tags and selected_tags\.csv has 5"):
        WdTagger(tmp_path, CPU).describe(picture(8, 8), never)


@pytest.mark.parametrize(
    "content", [b"", b"name,category\n", b"id,tag\n1,girl\n", b"name,category\nlonely\n", b'name,category\n"a,0\n']
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    make_tagger(tmp_path, TAGS)
    (tmp_path / TABLE).write_bytes(content)
    with pytest.raises(DataError, match="no table of tags"):
        WdTagger(tmp_path, CPU)


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    make_tagger(tmp_path, TAGS)
    (tmp_path / "model.onnx").write_bytes(b"no model" * 20)
    with pytest.raises(ModelError, match=r"model\.onnx: The ONNX file cannot be loaded: .+"):
        WdTagger(tmp_path, CPU)


def test_not_a_number_is_told(tmp_path: Path) -> None:
    weights, bias = make_tagger(tmp_path, TAGS)
    bias[2] = np.nan
    (tmp_path / "model.onnx").write_bytes(tagger_bytes(weights, bias, ["batch", 8, 8, 3]))
    with pytest.raises(ModelError, match="no number"):
        WdTagger(tmp_path, CPU).describe(picture(8, 8), never)


def test_the_right_one_of_several_files(tmp_path: Path) -> None:
    make_tagger(tmp_path, TAGS)
    (tmp_path / "other.onnx").write_bytes(b"broken")
    assert WdTagger(tmp_path, CPU).describe(picture(8, 8), never).tags
    (tmp_path / "model.onnx").rename(tmp_path / "another.onnx")
    with pytest.raises(ModelError, match=r"several ONNX files \(another\.onnx, other\.onnx\)"):
        WdTagger(tmp_path, CPU)
