"""Images changed at random in each step: what is drawn, that it is what is trained, and that it can be drawn again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data import latents
from trainer.data.augmentation import Augmentation, Draw
from trainer.data.images.colours import Tint
from trainer.data.latents import Dataset, encode_samples
from trainer.data.pairs.scan import scan_for_mode
from trainer.data.samples import Sample, pixels_of
from trainer.models import placement
from trainer.models.base import Bundle
from trainer.models.registry import load_bundle

WIDE = Sample(Path("a.png"), "", Size(64, 64), Size(100, 64), (18, 0), False, False, Size(200, 128))
ALL = Augmentation(flip=True, crop=True, colour=True)
DRAWS = [Draw.of(7, step, place) for step in range(1, 501) for place in range(2)]


# ---- what is drawn --------------------------------------------------------------------------------------------------


def test_what_is_drawn_depends_on_seed_step_and_place() -> None:
    draw = Draw.of(7, 3, 1)
    assert draw == Draw.of(7, 3, 1)
    for other in (Draw.of(8, 3, 1), Draw.of(7, 4, 1), Draw.of(7, 3, 0)):
        assert (other.across, other.down) != (draw.across, draw.down)


def test_half_are_flipped_and_a_third_coloured_in_one_of_two_ways() -> None:
    assert 0.45 < sum(draw.flip for draw in DRAWS) / len(DRAWS) < 0.55
    hues = [draw.tint.hue for draw in DRAWS if draw.tint.hue]
    gammas = [draw.tint.gamma for draw in DRAWS if draw.tint.gamma != 1]
    assert 0.28 < (len(hues) + len(gammas)) / len(DRAWS) < 0.38
    assert 0.7 < len(hues) / len(gammas) < 1.4
    assert -8 / 180 <= min(hues) < -7 / 180
    assert 7 / 180 < max(hues) <= 8 / 180
    assert 0.95 <= min(gammas) < 0.96
    assert 1.04 < max(gammas) <= 1.05


def test_the_frame_is_cut_out_anywhere() -> None:
    crops = [draw.applied(WIDE, Augmentation(crop=True)).crop for draw in DRAWS]
    assert {left for left, _ in crops} == set(range(37))  # 100 - 64 and 0 among them
    assert {top for _, top in crops} == {0}


def test_sizes_follow_the_crop_and_the_flip() -> None:
    draw = replace(DRAWS[0], flip=True, across=0.3)
    varied = draw.applied(WIDE, ALL)
    assert varied.crop == (11, 0)  # 0.3 of 37
    # Height and width, top and left of the mirrored image (100 - 64 - 11), the frame.
    assert varied.sizes == (128, 200, 0, 25, 64, 64)


def test_the_sides_of_a_pair_are_changed_alike() -> None:
    pair = replace(WIDE, target=replace(WIDE, path=Path("b.png"), scaled=Size(101, 64)))
    varied = replace(DRAWS[0], flip=True, across=0.999).applied(pair, ALL)
    assert varied.target is not None
    assert (varied.crop, varied.target.crop) == ((36, 0), (37, 0))
    assert (varied.mirrored, varied.target.mirrored) == (True, True)


def test_nothing_is_changed_that_is_not_asked_for() -> None:
    draw = replace(DRAWS[0], flip=True, tint=Tint(gamma=1.05))
    assert draw.applied(WIDE, Augmentation(colour=True)) == WIDE
    assert draw.applied(WIDE, Augmentation(flip=True)).crop == WIDE.crop
    assert draw.tint_of(Augmentation(flip=True, crop=True)) == Tint()


# ---- colours --------------------------------------------------------------------------------------------------------


def test_hue_is_turned() -> None:
    pixels = np.array([[(255, 0, 0), (0, 255, 0), (90, 90, 90)]], np.uint8)
    assert Tint(hue=1 / 3).applied(pixels).tolist() == [[[0, 255, 0], [0, 0, 255], [90, 90, 90]]]


def test_gamma_is_a_power_of_levels_from_0_to_1() -> None:
    pixels = np.array([[(0, 128, 255)]], np.uint8)
    assert Tint(gamma=1.05).applied(pixels).tolist() == [[[0, round(255 * math.pow(128 / 255, 1.05)), 255]]]
    assert Tint(gamma=1.05).applied(pixels)[0, 0, 1] == 124
    assert Tint(gamma=0.95).applied(pixels)[0, 0, 1] == 132


# ---- latents --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return load_bundle(write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c_after", "c"):
        pixels = rng.integers(0, 256, (64, 160, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    levels = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (64, 1))
    Image.fromarray(levels).save(tmp_path / "a_mask.png")
    return tmp_path


def given(folder: Path, **changes: object) -> Settings:
    base = Settings(
        mode="LoRA", lora_data_directory=str(folder), image_size=Size(64, 64), image_min_length=64,
        image_buckets_step=64, train_batch_size=2, train_seed=5, diff_target_name="_after",
    )  # fmt: skip
    return replace(base, **changes)


def encoded(settings: Settings, bundle: Bundle) -> Dataset:
    return encode_samples(scan_for_mode(settings), bundle, settings, lambda *_event: None)


def latents_of(pixels: np.ndarray, bundle: Bundle) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        return bundle.family.encode_images(bundle, tensor)[0]


def drawn(data: Dataset, step: int, place: int, augmentation: Augmentation) -> tuple[Sample, Tint]:
    """The sample at a place of a step's batch as it is to be, worked out from the draw alone."""
    draw = Draw.of(5, step, place)
    sample = data.samples[data.epoch[data.batches.of_step(step)[place]]]
    return draw.applied(sample, augmentation), draw.tint_of(augmentation)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_random_flip": True},
        {"image_random_crop": True},
        {"image_color_augmentation": True, "image_random_flip": True},
    ],
    ids=str,
)
def test_what_is_drawn_is_trained(folder: Path, bundle: Bundle, changes: dict[str, bool]) -> None:
    settings = given(folder, **changes)
    data, augmentation = encoded(settings, bundle), Augmentation.of(settings)
    seen: set[tuple[object, ...]] = set()
    for step in range(1, 9):
        batch = data.of_step(step)
        for place, name in enumerate(batch.names):
            sample, tint = drawn(data, step, place, augmentation)
            pixels, mask = pixels_of(sample)
            assert name == sample.path.name
            torch.testing.assert_close(
                batch.latents[place], latents_of(tint.applied(pixels), bundle), atol=1e-4, rtol=0
            )
            assert batch.sizes[place].tolist() == list(sample.sizes)
            if mask is not None:
                assert batch.mask is not None
                means = mask.reshape(8, 8, 8, 8).mean(axis=(1, 3))
                np.testing.assert_allclose(batch.mask[place, 0].numpy(), means, atol=1e-6)
            seen.add((sample.crop, sample.mirrored, tint))
        again = data.of_step(step)
        assert torch.equal(again.latents, batch.latents)
    assert len(seen) > 1


def test_without_augmentation_nothing_is_drawn(folder: Path, bundle: Bundle) -> None:
    data = encoded(given(folder), bundle)
    assert data._augmented is None
    flips = encoded(given(folder, image_random_flip=True), bundle)
    for step in range(1, 5):
        for place, name in enumerate(data.of_step(step).names):
            assert flips.of_step(step).names[place] == name, "the order of samples stays"


def test_a_subset_alone_may_be_augmented(folder: Path, bundle: Bundle) -> None:
    settings = given(folder)
    scan = scan_for_mode(settings)
    other = replace(scan.subsets[0], number=1, settings=replace(settings, image_random_crop=True))
    of_other = tuple(replace(sample, subset=1) for sample in scan.distinct)
    both = replace(
        scan,
        subsets=(*scan.subsets, other),
        distinct=(*scan.distinct, *of_other),
        epoch=tuple(range(2 * len(of_other))),
    )
    data = encode_samples(both, bundle, settings, lambda *_event: None)
    fixed = len(scan.distinct)
    for step in range(1, 2 * data.batches.per_epoch + 1):
        batch = data.of_step(step)
        for place, number in enumerate(data.batches.of_step(step)):
            sample = data.samples[number]
            if number >= fixed:
                sample, _ = drawn(data, step, place, Augmentation(crop=True))
            torch.testing.assert_close(
                batch.latents[place], latents_of(pixels_of(sample)[0], bundle), atol=1e-4, rtol=0
            )


def test_pairs_with_a_difference_that_is_cropped_away_count_for_nothing(folder: Path, bundle: Bundle) -> None:
    original = np.array(Image.open(folder / "c.png"))
    after = original.copy()
    after[:, 78:82] = 255 - after[:, 78:82]  # seen by the crop in the middle, and not by that at either end
    Image.fromarray(after).save(folder / "c_after.png")
    changes = {"mode": "Multi-ADDifT", "diff_use_diff_mask": True, "image_random_crop": True}
    data = encoded(given(folder, **changes), bundle)
    covered = set()
    for step in range(1, 30):
        batch = data.of_step(step)
        assert batch.mask is not None
        assert batch.targets is not None
        sample, _ = drawn(data, step, 0, Augmentation(crop=True))
        target = sample.target
        assert target is not None
        torch.testing.assert_close(batch.targets[0], latents_of(pixels_of(target)[0], bundle), atol=1e-4, rtol=0)
        is_seen = bool(batch.mask.any())
        left = sample.crop[0]
        assert is_seen == (left < 82 and left + 64 > 78)
        covered.add(is_seen)
    assert covered == {True, False}


@pytest.mark.parametrize(
    ("changes", "last"), [({"image_random_flip": True}, "cpu"), ({"image_random_crop": True}, "meta")]
)
def test_the_vae_stays_where_it_is_needed(
    folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, changes: dict[str, bool], last: str
) -> None:
    moves: list[str] = []
    monkeypatch.setattr(placement, "vae_to", lambda _bundle, device: moves.append(str(device)))
    devices = {bundle.denoiser: torch.device("meta"), bundle.vae: torch.device("cpu")}
    monkeypatch.setattr(latents, "device_of", devices.__getitem__)
    monkeypatch.setattr(latents, "_encode", lambda samples, *_, **__: [latents._Encoded(torch.zeros(1))] * len(samples))
    encoded(given(folder, **changes), bundle)
    assert moves[-1] == last
