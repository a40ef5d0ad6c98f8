"""What is kept of images from one scan to the next, and of their latents from one run to the next."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data import latents as latents_module
from trainer.data import scan as scan_module
from trainer.data.cache import DataCache
from trainer.data.images.decoding import ImageInfo, inspect_image
from trainer.data.images.fingerprint import Fingerprint
from trainer.data.known import kept_info, told_of
from trainer.data.latents import Dataset, encode_samples
from trainer.data.pairs import scan as pair_scan_module
from trainer.data.pairs.scan import scan_for_mode
from trainer.data.samples import Scan
from trainer.models.base import Bundle
from trainer.models.content import content_of
from trainer.models.registry import load_bundle
from trainer.text.messages import message


def open_in(folder: Path) -> DataCache:
    return DataCache(folder / "cache.sqlite", 10**9)


@pytest.fixture
def caches(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], DataCache]:
    """The same cache, opened anew each time as by another run."""
    folder = tmp_path_factory.mktemp("cache")
    last: list[DataCache] = []

    def another() -> DataCache:
        for each in last:
            each.close()
        last.append(open_in(folder))
        return last[-1]

    return another


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return load_bundle(write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS))


def settings_for(folder: Path, **changes: object) -> Settings:
    return replace(
        Settings(), lora_data_directory=str(folder), image_size=Size(64, 64), image_min_length=64,
        image_buckets_step=64, train_batch_size=2, train_seed=1, **changes,
    )  # fmt: skip


def write(path: Path, seed: int, *, alpha: bool = False, size: tuple[int, int] = (80, 64)) -> None:
    """An image that was written long ago."""
    levels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 4 if alpha else 3), dtype=np.uint8)
    Image.fromarray(levels).save(path, compress_level=0)
    os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        write(tmp_path / f"{number}.png", number, alpha=number == 3)
        (tmp_path / f"{number}.txt").write_text(f"caption {number}")
    return tmp_path


# ---- scans ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that a scan decodes."""
    names: list[str] = []

    def counted(path: Path, **others: object) -> ImageInfo:
        names.append(path.name)
        return inspect_image(path, **others)

    monkeypatch.setattr(scan_module, "inspect_image", counted)
    return names


def test_the_second_scan_decodes_nothing_and_finds_the_same(
    folder: Path, caches: Callable[[], DataCache], decoded: list[str]
) -> None:
    plain = scan_for_mode(settings_for(folder))
    decoded.clear()
    first = scan_for_mode(settings_for(folder), cache=caches())
    assert sorted(decoded) == [f"{number}.png" for number in range(5)]
    decoded.clear()
    second = scan_for_mode(settings_for(folder, image_mirroring=True), cache=caches())
    assert not decoded
    assert first == plain
    assert second == scan_for_mode(settings_for(folder, image_mirroring=True))


def test_a_changed_image_is_looked_at_again(folder: Path, caches: Callable[[], DataCache], decoded: list[str]) -> None:
    scan_for_mode(settings_for(folder), cache=caches())
    decoded.clear()
    write(folder / "1.png", 99, size=(64, 80))  # as many bytes as before, and its time is the same
    write(folder / "5.png", 5)
    found = scan_for_mode(settings_for(folder), cache=caches())
    assert sorted(decoded) == (["1.png", "5.png"] if os.name != "nt" else ["5.png"])
    assert found.images == 6
    if os.name != "nt":
        assert next(each for each in found.distinct if each.path.name == "1.png").size == Size(64, 80)


def test_what_cannot_be_read_is_looked_at_each_time(
    folder: Path, caches: Callable[[], DataCache], decoded: list[str]
) -> None:
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:500])
    os.utime(folder / "2.png", ns=(1, 1))
    first = scan_for_mode(settings_for(folder), cache=caches())
    decoded.clear()
    second = scan_for_mode(settings_for(folder), cache=caches())
    assert decoded == ["2.png"]
    assert second == first
    assert second.left_out == 1


def test_whatever_is_known_of_an_image_comes_back_as_it_was(tmp_path: Path) -> None:
    cache, path = open_in(tmp_path), tmp_path / "image.png"
    write(path, 0)
    note = message("data.other_shape", other="a.png", size="1 x 2", other_size=("x", message("data.first_frame_used")))
    info = ImageInfo(
        path, Size(80, 64), (1, 2, 3, 4), ((note, message("data.first_frame_used")),), Fingerprint(b"\0\xff", b"12")
    )
    known = [field for field in fields(ImageInfo) if field.name != "mask"]  # which is put in where it belongs to one
    assert all(getattr(info, field.name) != field.default for field in known)  # or it would prove nothing
    assert kept_info(path, cache, lambda: info) == info
    found = kept_info(path, cache, lambda: pytest.fail("it is known"))
    assert found == info
    assert isinstance(found.size, Size)
    cache.close()


def test_an_image_that_changes_while_it_is_looked_at_is_not_kept(tmp_path: Path) -> None:
    cache, path = open_in(tmp_path), tmp_path / "image.png"
    write(path, 0)
    looks = []

    def look() -> ImageInfo:
        looks.append(inspect_image(path))
        if len(looks) == 1:
            write(path, 1, size=(100, 90))
        return looks[-1]

    assert kept_info(path, cache, look).size == (80, 64)
    assert kept_info(path, cache, look).size == (100, 90)
    cache.close()


def test_pairs_are_compared_once(
    tmp_path: Path, caches: Callable[[], DataCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        write(tmp_path / f"{number}.png", number)
        write(tmp_path / f"{number}_target.png", number + 7 * number)  # the first pair's images are alike
    given = settings_for(tmp_path, mode="Multi-ADDifT", diff_target_name="_target", diff_use_diff_mask=True)
    first = scan_for_mode(given, cache=caches())
    monkeypatch.setattr(pair_scan_module, "differs", lambda _sample: pytest.fail("it is known"))
    second = scan_for_mode(given, cache=caches())
    assert second == first
    assert (second.images, second.left_out) == (2, 2)


# ---- latents --------------------------------------------------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the images that go through the VAE together."""
    calls: list[list[str]] = []
    real = latents_module._encode

    def counted(samples: list, *given: object, **others: object) -> list:
        calls.append([sample.path.name for sample in samples])
        return real(samples, *given, **others)

    monkeypatch.setattr(latents_module, "_encode", counted)
    monkeypatch.setattr(latents_module, "PIXELS_AT_ONCE", 2 * 64 * 64)
    return calls


def encode(given: Settings, bundle: Bundle, cache: DataCache | None = None) -> Dataset:
    found: Scan = scan_for_mode(given, cache=cache)
    return encode_samples(found, bundle, given, lambda *_event: None, cache)


def assert_same(one: Dataset, other: Dataset) -> None:
    for step in range(1, one.batches.per_epoch + 1):
        a, b = one.of_step(step), other.of_step(step)
        assert a.names == b.names
        assert torch.equal(a.latents, b.latents)
        assert a.latents.dtype == b.latents.dtype
        for left, right in ((a.mask, b.mask), (a.targets, b.targets), (a.outside, b.outside)):
            assert (left is None) == (right is None)
            assert left is None or torch.equal(left, right)


def test_the_second_run_encodes_nothing_and_trains_on_the_same_bits(
    folder: Path, bundle: Bundle, caches: Callable[[], DataCache], encoded: list[list[str]]
) -> None:
    plain = encode(settings_for(folder), bundle)
    assert_same(encode(settings_for(folder), bundle, caches()), plain)
    assert len(encoded) == 6  # 3 of two, two and one, each time
    encoded.clear()
    assert_same(encode(settings_for(folder), bundle, caches()), plain)
    assert not encoded


def test_pairs_with_their_masks_come_back(
    tmp_path: Path, bundle: Bundle, caches: Callable[[], DataCache], encoded: list[list[str]]
) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", number, alpha=number == 1)
        write(tmp_path / f"{number}_target.png", number + 10)
    given = settings_for(tmp_path, mode="Multi-ADDifT", diff_target_name="_target", diff_use_diff_mask=True)
    plain = encode(given, bundle)
    encode(given, bundle, caches())
    encoded.clear()
    assert_same(encode(given, bundle, caches()), plain)
    assert not encoded
    without = replace(given, diff_use_diff_mask=False)
    assert_same(encode(without, bundle, caches()), encode(without, bundle))  # other masks are other entries


def test_only_what_is_new_or_changed_is_encoded_with_those_beside_it(
    folder: Path, bundle: Bundle, caches: Callable[[], DataCache], encoded: list[list[str]]
) -> None:
    encode(settings_for(folder), bundle, caches())
    encoded.clear()
    write(folder / "2.png", 99, size=(90, 64))
    (folder / "0.txt").write_text("another caption")
    changed = encode(settings_for(folder), bundle, caches())
    assert encoded == [["2.png", "3.png"]]
    assert_same(changed, encode(settings_for(folder), bundle))
    encoded.clear()
    other_crop = settings_for(folder, image_mirroring=True)
    assert_same(encode(other_crop, bundle, caches()), encode(other_crop, bundle))


def test_how_many_are_encoded_together_is_part_of_what_is_kept(
    tmp_path: Path, bundle: Bundle, caches: Callable[[], DataCache], encoded: list[list[str]]
) -> None:
    """One alone is added up in another order than two: its last digits differ."""
    for folder, images in (("one", [0]), ("other", [1]), ("both", [0, 1])):
        (tmp_path / folder).mkdir()
        for number in images:
            write(tmp_path / folder / f"{number}.png", number)
        encoded.clear()
        found = encode(settings_for(tmp_path / folder), bundle, caches())
        assert encoded == [[f"{number}.png" for number in images]]
        assert_same(found, encode(settings_for(tmp_path / folder), bundle))


def test_an_image_elsewhere_of_another_name_is_known(
    folder: Path, bundle: Bundle, caches: Callable[[], DataCache], encoded: list[list[str]]
) -> None:
    encode(settings_for(folder), bundle, caches())
    for number in range(5):
        (folder / f"{number}.png").rename(folder / f"renamed {number}.png")
    encoded.clear()
    encode(settings_for(folder), bundle, caches())
    assert not encoded


def test_a_vae_of_other_weights_or_precision_is_noticed(
    folder: Path, bundle: Bundle, caches: Callable[[], DataCache], encoded: list[list[str]]
) -> None:
    encode(settings_for(folder), bundle, caches())
    weight = next(bundle.vae.parameters())
    before = weight.detach().clone()
    try:
        encoded.clear()
        with torch.no_grad():
            weight.flatten()[0] += 1
        encode(settings_for(folder), bundle, caches())
        assert len(encoded) == 3
        with torch.no_grad():
            weight.copy_(before)
        encoded.clear()
        encode(settings_for(folder), bundle, caches())
        assert not encoded
        bundle.vae.double()
        encode(settings_for(folder), bundle, caches())
        assert len(encoded) == 3
    finally:
        bundle.vae.float()


def test_a_module_is_told_by_all_of_its_numbers_their_type_and_its_structure() -> None:
    def module(eps: float = 1e-5) -> torch.nn.Module:
        torch.manual_seed(0)
        norm = torch.nn.GroupNorm(2, 4, eps=eps)
        return torch.nn.Sequential(torch.nn.Linear(3, 4), norm, torch.nn.BatchNorm1d(4))

    told = {content_of(module()), content_of(module())}
    assert len(told) == 1
    for name in module().state_dict():
        other = module()
        with torch.no_grad():
            other.state_dict()[name].add_(1)
        told.add(content_of(other))
    told |= {content_of(module().half()), content_of(module(eps=1e-6))}
    assert len(told) == 1 + len(module().state_dict()) + 2
    assert content_of(module().bfloat16()) not in told


def test_a_sample_is_told_by_everything_but_its_words(folder: Path, tmp_path: Path) -> None:
    cache = open_in(tmp_path)
    sample = scan_for_mode(settings_for(folder)).distinct[0]
    told = told_of(sample, cache)
    assert told is not None
    assert told_of(replace(sample, caption="another", written="another", subset=5), cache) == told
    changes = {
        "path": folder / "1.png", "frame": Size(128, 64), "scaled": Size(90, 90), "crop": (1, 0), "mirrored": True,
        "has_alpha": True, "size": Size(9, 9), "target": sample,
    }  # fmt: skip
    assert {field.name for field in fields(sample)} >= {*changes}
    others = [told_of(replace(sample, **{name: value}), cache) for name, value in changes.items()]
    assert len({repr(each) for each in (told, *others)}) == 1 + len(changes)
    assert told_of(replace(sample, path=tmp_path / "gone.png"), cache) is None
    cache.close()
