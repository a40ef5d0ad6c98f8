"""Pictures as latents: the right one for each sample, encoded once, masks at the latents' size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.latents import Dataset, encode_samples
from trainer.data.samples import pixels_of
from trainer.data.scan import scan
from trainer.errors import DataError, Stopped
from trainer.models.base import Bundle
from trainer.models.registry import load_bundle
from trainer.text.messages import message


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return load_bundle(write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate([(64, 64), (128, 64), (64, 128), (64, 64), (130, 66)]):
        picture = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        if number == 3:
            alpha = np.zeros((height, width), np.uint8)
            alpha[:, :20] = 255
            picture.putalpha(Image.fromarray(alpha))
        picture.save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"caption {number // 2}")
    return tmp_path


def settings(folder: Path, **changes: object) -> Settings:
    base = replace(
        Settings(), lora_data_directory=str(folder),
        image_size=Size(128, 64), image_min_length=64, image_buckets_step=64,
        train_batch_size=2, train_seed=1,
    )  # fmt: skip
    return replace(base, **changes)


def encode(given: Settings, bundle: Bundle, told: list | None = None) -> Dataset:
    def progress(*event: object) -> None:
        if told is not None:
            told.append(event)

    return encode_samples(scan(given), bundle, given, progress)


@pytest.mark.parametrize("changes", [{}, {"image_mirroring": True, "image_num_multiply": 3}])
def test_every_sample_has_the_latents_of_its_own_pixels(folder: Path, bundle: Bundle, changes: dict) -> None:
    data = encode(settings(folder, **changes), bundle)
    seen = set()
    for step in range(1, data.batches.per_epoch + 1):
        batch = data.of_step(step)
        assert batch.latents.shape[0] == len(batch.captions) == len(batch.names)
        for latents, caption, name in zip(batch.latents, batch.captions, batch.names, strict=True):
            assert caption == f"caption {int(name[0]) // 2}"
            candidates = [sample for sample in data.samples if sample.path.name == name]
            differences = []
            for sample in candidates:
                pixels = torch.from_numpy(pixels_of(sample)[0]).permute(2, 0, 1)[None] / 127.5 - 1
                with torch.no_grad():
                    wanted = bundle.vae.encode(pixels).latent_dist.mean[0] * 0.18215
                differences.append((wanted - latents).abs().max().item() if wanted.shape == latents.shape else 9.0)
            assert min(differences) < 1e-4
            seen.add((name, int(np.argmin(differences))))
    assert len(seen) == len(data.samples)


def test_masks_follow_and_only_where_there_are_any(folder: Path, bundle: Bundle) -> None:
    data = encode(settings(folder, train_batch_size=1), bundle)
    masks = {}
    for step in range(1, data.batches.per_epoch + 1):
        batch = data.of_step(step)
        masks[batch.names[0]] = batch.mask
    assert [name for name, mask in masks.items() if mask is not None] == ["3.png"]
    wanted = torch.zeros(8)
    wanted[:2], wanted[2] = 1.0, 0.5  # 20 of 64 columns are opaque
    torch.testing.assert_close(masks["3.png"][0, 0], wanted.expand(8, 8), atol=0.02, rtol=0)


def test_a_batch_of_masked_and_unmasked_samples(folder: Path, bundle: Bundle) -> None:
    data = encode(settings(folder, train_batch_size=8), bundle)
    batches = [data.of_step(step) for step in range(1, data.batches.per_epoch + 1)]
    (mixed,) = [batch for batch in batches if "3.png" in batch.names]
    assert mixed.mask is not None
    assert mixed.mask.shape == (len(mixed.names), 1, 8, 8)
    whole = mixed.mask[mixed.names.index("0.png")]
    assert torch.equal(whole, torch.ones(1, 8, 8))


def test_regularisation_images_count_by_the_prior_loss_weight(folder: Path, bundle: Bundle) -> None:
    for number in range(2):
        (folder / "reg").mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / "reg" / f"class {number}.png")
    given = settings(folder, train_batch_size=8, prior_loss_weight=0.25)
    data = encode(given, bundle)
    found: list[tuple[str, float]] = []
    for step in range(1, data.batches.per_epoch + 1):
        batch = data.of_step(step)
        assert batch.weights is not None
        found += zip(batch.names, batch.weights.tolist(), strict=True)
    # five images to learn from, so the first of the two others comes three times and the second twice
    others = [("class 0.png", 0.25)] * 3 + [("class 1.png", 0.25)] * 2
    assert sorted(found) == [*((f"{number}.png", 1.0) for number in range(5)), *others]
    assert encode(replace(given, prior_loss_weight=1.0), bundle).of_step(1).weights is None


def test_a_batch_says_how_large_its_pictures_were_and_how_they_are_cut(tmp_path: Path, bundle: Bundle) -> None:
    """Height, width, top, left, height, width; a mirrored sample's picture is mirrored as a whole."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter: the file is 97 wide and 48 high, the picture 48 wide and 97 high
    Image.new("RGB", (97, 48)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (131, 64)).save(tmp_path / "b.png")
    found = encode(settings(tmp_path, image_size=Size(64, 64), image_mirroring=True, train_batch_size=4), bundle)
    batch = found.of_step(1)
    assert batch.sizes.dtype == torch.int64
    rows = {(name, tuple(row)) for name, row in zip(batch.names, batch.sizes.tolist(), strict=True)}
    # a is scaled to 64 x 129 and loses 32 above and 33 below; b keeps its scale and loses 33 and 34 at the sides
    assert rows == {
        ("a.jpg", (97, 48, 32, 0, 64, 64)),
        ("b.png", (64, 131, 0, 33, 64, 64)),
        ("b.png", (64, 131, 0, 34, 64, 64)),
    }


def test_progress_counts_and_can_stop(folder: Path, bundle: Bundle) -> None:
    told: list[tuple[str, int, int]] = []
    encode(settings(folder), bundle, told)
    assert told[0] == (message("phase.encoding_images"), 0, 5)
    assert told[-1] == (message("phase.encoding_images"), 5, 5)

    def stop(*_event: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        encode_samples(scan(settings(folder)), bundle, settings(folder), stop)
    assert next(bundle.vae.parameters()).device.type == "cpu"


def test_a_picture_that_is_gone_since_the_scan_is_named(folder: Path, bundle: Bundle) -> None:
    given = settings(folder)
    scanned = scan(given)
    (folder / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png"):
        encode_samples(scanned, bundle, given, lambda *event: None)
