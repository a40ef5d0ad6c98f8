"""What of the data is refused before a model is loaded, and that nobody waits too long for it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.data.look import Check, Look, Progress, Unfinished, look, within
from trainer.data.pairs.pair import Pair
from trainer.data.samples import Scan
from trainer.errors import DataError

PAIR = Settings(mode="ADDifT")


def noise(seed: int, size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))


def folder_of(folder: Path, **images: Image.Image) -> Settings:
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        image.save(folder / f"{name}.png")
    return Settings(mode="Multi-ADDifT", lora_data_directory=str(folder), diff_target_name="_b")


def pair_of(folder: Path, original: Image.Image, target: Image.Image, ending: str = "png") -> Settings:
    original.save(folder / "a.png")
    target.save(folder / f"b.{ending}", **({"quality": 95} if ending == "jpg" else {}))
    return replace(PAIR, original_image=str(folder / "a.png"), target_image=str(folder / f"b.{ending}"))


@pytest.mark.parametrize("mode", ["ADDifT", "Difference"])
def test_a_pair_with_the_same_pixels_is_refused(mode: str, tmp_path: Path) -> None:
    settings = replace(pair_of(tmp_path, noise(1), noise(1)), mode=mode)
    with pytest.raises(DataError, match="target image: It has the same pixels as the original image"):
        look(settings)


def test_the_copier_alone_needs_no_other_target(tmp_path: Path) -> None:
    settings = replace(pair_of(tmp_path, noise(1), noise(1)), mode="Difference", diff_1st_pass_only=True)
    assert isinstance(look(settings).images, Pair)


def test_how_much_of_a_pair_differs(tmp_path: Path) -> None:
    target = noise(1)
    target.paste("white", (0, 0, 32, 32))
    found = look(replace(pair_of(tmp_path, noise(1), target), image_size=None))
    assert found.differing == pytest.approx(0.25, abs=0.01)


def test_pairs_of_a_folder_that_are_equal_are_counted_and_alone_refused(tmp_path: Path) -> None:
    settings = folder_of(tmp_path / "two", a=noise(1), a_b=noise(1), c=noise(2), c_b=noise(3))
    found = look(settings).images
    assert isinstance(found, Scan)
    assert (found.pairs, found.equal_pairs) == (2, 1)
    told = [str(problem) for problem in found.problems]
    assert told.count("a_b.png has the same pixels as a.png: used, but nothing is learned from it") == 1
    assert not any("same pixels" in text and not text.startswith("a_b") for text in told)
    with pytest.raises(DataError, match="In every pair of .* both images have the same pixels"):
        look(folder_of(tmp_path / "one", a=noise(1), a_b=noise(1)))


def test_modes_without_images_have_nothing_to_look_at() -> None:
    assert look(Settings(mode="iLECO", lora_data_directory="/nowhere")) == Look(None)


def test_what_is_found_in_time_is_the_same(tmp_path: Path) -> None:
    settings = folder_of(tmp_path / "pairs", a=noise(1), a_b=noise(2))
    assert within(60, lambda check, progress: look(settings, check=check, progress=progress)) == look(settings)
    with pytest.raises(DataError, match="There is no folder"):
        within(60, lambda _check, _progress: look(replace(settings, lora_data_directory=str(tmp_path / "gone"))))


def test_a_look_that_takes_too_long_says_how_far_it_was_and_ends() -> None:
    ended = threading.Event()

    def slow(check: Check, progress: Progress) -> Look:
        progress(3, 10_000)
        try:
            while True:
                check()
        finally:
            ended.set()

    assert within(0.2, slow) == Unfinished(3, 10_000)
    assert ended.wait(10)  # nothing goes on reading that nobody waits for


def test_a_folder_that_does_not_answer_is_not_waited_for() -> None:
    answer = threading.Event()

    def stuck(_check: Check, _progress: Progress) -> Look:
        answer.wait(60)
        return Look(None)

    assert within(0.05, stuck) == Unfinished(0, 0)
    answer.set()
