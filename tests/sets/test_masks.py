"""Masks drawn over images: where a run finds them, undone, and nothing lost."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.samples import pixels_of
from trainer.data.scan import scan
from trainer.errors import DataError
from trainer.sets.image_set import ImageSet
from trainer.sets.masks import mask_of, put_mask


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    folder = tmp_path / "set"
    folder.mkdir()
    Image.new("RGB", (256, 128), "red").save(folder / "a.png")
    return ImageSet(folder, tmp_path / "journals")


def drawn(levels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def left_half(value: int = 0) -> bytes:
    levels = np.full((64, 128), 255)
    levels[:, :64] = value
    return drawn(levels)


def trained(images: ImageSet) -> float:
    """How much a run counts of the image."""
    settings = Settings(mode="LoRA", lora_data_directory=str(images.folder), image_size=Size(256, 128),
                        image_bucketing="one size")  # fmt: skip
    mask = pixels_of(scan(settings).distinct[0])[1]
    return 1.0 if mask is None else float(mask.mean())


def test_a_run_counts_what_was_left_white(images: ImageSet) -> None:
    assert (trained(images), mask_of(images, "a.png")) == (1.0, None)
    assert put_mask(images, "a.png", left_half()).count == 1
    assert trained(images) == pytest.approx(0.5, abs=0.02)
    kept = mask_of(images, "a.png")
    assert kept is not None
    assert np.asarray(Image.open(io.BytesIO(kept))).mean() == pytest.approx(127.5)
    images.undo()
    assert trained(images) == 1.0
    images.again()
    assert trained(images) == pytest.approx(0.5, abs=0.02)
    put_mask(images, "a.png", left_half(128))
    assert trained(images) == pytest.approx(0.75, abs=0.02)
    images.undo()
    assert trained(images) == pytest.approx(0.5, abs=0.02)


def test_a_mask_of_another_program_is_set_aside_and_comes_back(images: ImageSet) -> None:
    (images.folder / "masks").mkdir()
    other = images.folder / "masks" / "a.jpg"
    Image.new("L", (256, 128), 200).save(other)
    before = other.read_bytes()
    put_mask(images, "a.png", left_half())
    assert not other.exists()
    assert images.item("a.png").mask == images.folder / "a-masklabel.png"
    put_mask(images, "a.png", drawn(np.full((64, 128), 255)))
    assert images.item("a.png").mask is None, "white all over is no mask"
    assert put_mask(images, "a.png", drawn(np.full((64, 128), 255))).count == 0
    images.undo()
    images.undo()
    assert other.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"words", left_half()[:60], drawn(np.zeros((64, 64)))])
def test_what_is_no_mask_for_the_image_is_refused(images: ImageSet, content: bytes) -> None:
    with pytest.raises(DataError):
        put_mask(images, "a.png", content)
    with pytest.raises(DataError):
        put_mask(images, "../a.png", left_half())
    assert [each.name for each in images.folder.iterdir()] == ["a.png"]
