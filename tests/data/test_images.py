"""Pictures of every format and mode, pixel by pixel; and files that are none, each by its sentence."""

from __future__ import annotations

import json
import struct
import threading
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.helpers.bounded import run_bounded
from tests.helpers.icc import WIDE_TO_SRGB, cmyk_profile, lab_to_srgb, wide_gamut_profile
from trainer.config.size import Size
from trainer.data.buckets import Placement, place
from trainer.data.images import decoding
from trainer.data.images.decoding import (
    MOST_PIXELS,
    Mask,
    Pixels,
    inspect_image,
    load_placed,
    load_transparent,
    whole_files_only,
)
from trainer.data.images.memory import DecodingMemory
from trainer.data.problems import FileError
from trainer.errors import DataError

Array = NDArray[Any]


def colours(height: int = 30, width: int = 40, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def few_colours(height: int = 30, width: int = 40) -> Array:
    """200 at most, for formats with a palette."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (200, 3), dtype=np.uint8)[rng.integers(0, 200, (height, width))]


def grey(height: int = 30, width: int = 40) -> Array:
    return colours(height, width)[..., 0]


def as_rgb(array: Array) -> Array:
    return np.repeat(array[..., None], 3, axis=2)


def over_grey(array: Array, alpha: Array) -> Array:
    """Straight from the formula, in floating point."""
    share = alpha[..., None].astype(np.float64) / 255
    return array * share + 128 * (1 - share)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def load_pixels(path: Path) -> tuple[Pixels, Mask | None]:
    """All of an image, neither scaled nor cropped."""
    size = inspect_image(path).size
    return load_placed(path, Placement(size, size, (0, 0)))


def notes_of(path: Path) -> tuple[tuple[str, str], ...]:
    return tuple((str(what), str(done)) for what, done in inspect_image(path).notes)


def assert_pixels(path: Path, expected: Array, alpha: Array | None = None, within: float = 0.51) -> None:
    pixels, mask = load_pixels(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(np.float64) - expected).max() <= within
    picture = inspect_image(path)
    assert picture.size == (expected.shape[1], expected.shape[0])
    assert picture.has_alpha == (alpha is not None)
    if alpha is None:
        assert mask is None
    else:
        assert mask is not None
        assert mask.dtype == np.float32
        assert np.abs(mask - alpha / 255).max() < 1e-6


# ---- formats and modes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "tif", "tiff", "bmp", "pcx", "ico", "gif", "PNG", "Tif", "BMP"])
def test_lossless_formats(tmp_path: Path, ending: str) -> None:
    array = few_colours() if ending == "gif" else colours()
    options: dict[str, Any] = {"sizes": [(40, 30)]} if ending == "ico" else {}
    assert_pixels(saved(tmp_path / f"a.{ending}", Image.fromarray(array), **options), array)


@pytest.mark.parametrize(("ending", "options"), [("jpg", {"quality": 95}), ("JPEG", {}), ("webp", {"quality": 95})])
def test_lossy_formats(tmp_path: Path, ending: str, options: dict[str, Any]) -> None:
    ramp = np.stack(np.broadcast_arrays(np.arange(64)[:, None] * 4, np.arange(64) * 4, 128), axis=2).astype(np.uint8)
    assert_pixels(saved(tmp_path / f"a.{ending}", Image.fromarray(ramp), **options), ramp, within=14)


def test_webp_without_loss(tmp_path: Path) -> None:
    assert_pixels(saved(tmp_path / "a.webp", Image.fromarray(colours()), lossless=True), colours())


def test_the_content_decides_not_the_ending(tmp_path: Path) -> None:
    assert_pixels(saved(tmp_path / "a.jpg", Image.fromarray(colours()), format="PNG"), colours())


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "gif"])
def test_one_bit(tmp_path: Path, ending: str) -> None:
    bits = grey() > 127
    assert_pixels(saved(tmp_path / f"a.{ending}", Image.fromarray(bits)), as_rgb(bits * np.uint8(255)))


def test_grey(tmp_path: Path) -> None:
    assert_pixels(saved(tmp_path / "a.png", Image.fromarray(grey())), as_rgb(grey()))
    assert_pixels(saved(tmp_path / "b.jpg", Image.new("L", (9, 9), 77)), np.full((9, 9, 3), 77))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_with_alpha(tmp_path: Path, ending: str) -> None:
    alpha = colours(seed=5)[..., 0]
    image = Image.merge("LA", [Image.fromarray(grey()), Image.fromarray(alpha)])
    assert_pixels(saved(tmp_path / f"a.{ending}", image), over_grey(as_rgb(grey()), alpha), alpha, within=1)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "gif", "pcx"])
def test_palette(tmp_path: Path, ending: str) -> None:
    image = Image.fromarray(few_colours()).quantize(256)
    assert image.mode == "P"
    assert_pixels(saved(tmp_path / f"a.{ending}", image), np.array(image.convert("RGB")))


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_palette_with_one_transparent_colour(tmp_path: Path, ending: str) -> None:
    indices = np.random.default_rng(2).integers(0, 4, (30, 40), dtype=np.uint8)
    image = Image.fromarray(indices)
    palette = np.array([[255, 0, 255], [0, 255, 0], [0, 0, 200], [90, 90, 10]], dtype=np.uint8)
    image.putpalette(palette.tobytes())
    path = saved(tmp_path / f"a.{ending}", image, transparency=0)
    alpha = np.where(indices == 0, 0, 255).astype(np.uint8)
    assert_pixels(path, over_grey(palette[indices], alpha), alpha)


def test_palette_with_an_alpha_for_each_colour(tmp_path: Path) -> None:
    indices = np.random.default_rng(2).integers(0, 4, (30, 40), dtype=np.uint8)
    image = Image.fromarray(indices)
    palette = np.array([[255, 0, 255], [0, 255, 0], [0, 0, 200], [90, 90, 10]], dtype=np.uint8)
    image.putpalette(palette.tobytes())
    alphas = np.array([0, 64, 200, 255], dtype=np.uint8)
    path = saved(tmp_path / "a.png", image, transparency=alphas.tobytes())
    assert_pixels(path, over_grey(palette[indices], alphas[indices]), alphas[indices], within=1)


def test_one_colour_named_transparent(tmp_path: Path) -> None:
    array = few_colours()
    key = tuple(int(value) for value in array[3, 4])
    alpha = np.where((array == key).all(axis=2), 0, 255).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(array), transparency=key)
    assert_pixels(path, over_grey(array, alpha), alpha)
    level = int(grey()[2, 2])
    alpha = np.where(grey() == level, 0, 255).astype(np.uint8)
    path = saved(tmp_path / "b.png", Image.fromarray(grey()), transparency=level)
    assert_pixels(path, over_grey(as_rgb(grey()), alpha), alpha)


@pytest.mark.parametrize(("ending", "options"), [("png", {}), ("tif", {}), ("webp", {"lossless": True, "exact": True})])
def test_alpha(tmp_path: Path, ending: str, options: dict[str, Any]) -> None:
    alpha = colours(seed=5)[..., 0]
    image = Image.fromarray(np.dstack([colours(), alpha]))
    assert_pixels(saved(tmp_path / f"a.{ending}", image, **options), over_grey(colours(), alpha), alpha, within=1)


def test_icons_have_alpha(tmp_path: Path) -> None:
    alpha = np.where(grey(32, 32) > 100, 255, 0).astype(np.uint8)
    image = Image.fromarray(np.dstack([colours(32, 32), alpha]))
    path = saved(tmp_path / "a.ico", image, sizes=[(16, 16), (32, 32)])
    assert_pixels(path, over_grey(colours(32, 32), alpha), alpha)  # the largest of the icon's pictures


def test_premultiplied_alpha(tmp_path: Path) -> None:
    """TIFF may hold colours already multiplied with their alpha."""
    array, alpha = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8), 100, np.uint8)
    stored = np.dstack([np.rint(array * (alpha[..., None] / 255)).astype(np.uint8), alpha])
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(stored, photometric=2, extra=1))
    assert_pixels(path, over_grey(array, alpha), alpha, within=2)


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_alpha_that_hides_nothing_is_none(tmp_path: Path, ending: str) -> None:
    image = Image.fromarray(np.dstack([colours(), np.full((30, 40), 255, np.uint8)]))
    options = {"lossless": True} if ending == "webp" else {}
    assert_pixels(saved(tmp_path / f"a.{ending}", image, **options), colours())


def deep() -> Array:
    return np.random.default_rng(4).integers(0, 65536, (30, 40)).astype(np.uint16)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(deep()))
    assert_pixels(path, as_rgb(deep() / 257.0))


def test_dark_16_bit_grey_stays_dark(tmp_path: Path) -> None:
    assert_pixels(saved(tmp_path / "a.png", Image.fromarray(np.full((4, 4), 200, np.uint16))), np.ones((4, 4, 3)))


def test_16_bit_grey_of_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(deep()[..., None].astype(">u2"), photometric=1, order=">"))
    assert_pixels(path, as_rgb(deep() / 257.0))


def test_16_bit_grey_with_a_transparent_level(tmp_path: Path) -> None:
    values = deep()
    values[5:9] = 4660
    alpha = np.where(values == 4660, 0, 255).astype(np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(png(values[..., None].astype(">u2"), colour=0, extra=[(b"tRNS", struct.pack(">H", 4660))]))
    assert_pixels(path, over_grey(as_rgb(values / 257.0), alpha), alpha, within=1)


def test_16_bit_colours(tmp_path: Path) -> None:
    values = np.random.default_rng(4).integers(0, 65536, (30, 40, 3)).astype(">u2")
    path = tmp_path / "a.png"
    path.write_bytes(png(values, colour=2))
    assert_pixels(path, values / 257.0, within=1)


@pytest.mark.parametrize(
    ("values", "white"),
    [(deep().astype(np.int32), 65535), (grey().astype(np.int32), 255), (deep().astype(np.int32) << 15, 2**31 - 1)],
    ids=["16", "8", "31"],
)
def test_32_bit_grey(tmp_path: Path, values: Array, white: int) -> None:
    assert_pixels(saved(tmp_path / "a.tif", Image.fromarray(values)), as_rgb(values / (white / 255)))


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_floating_point_grey(tmp_path: Path, white: float) -> None:
    values = (deep() / 65535 * white).astype(np.float32)
    expected = as_rgb(values / white * 255)
    values[0, 0], values[0, 1], expected[0, :2] = np.nan, -3, 0
    assert_pixels(saved(tmp_path / "a.tif", Image.fromarray(values)), expected)


def test_cmyk_without_a_profile(tmp_path: Path) -> None:
    inks = np.random.default_rng(6).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    expected = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    assert_pixels(saved(tmp_path / "a.tif", Image.fromarray(inks, "CMYK")), expected, within=1.5)


def test_cmyk_with_a_profile(tmp_path: Path) -> None:
    profile, corners = cmyk_profile()
    for inks, lab in corners.items():
        image = Image.new("CMYK", (8, 8), inks)
        expected = np.broadcast_to(lab_to_srgb(lab), (8, 8, 3))
        path = saved(tmp_path / "a.tif", image, icc_profile=profile)
        assert_pixels(path, expected, within=3)
        assert_pixels(saved(tmp_path / "a.jpg", image, icc_profile=profile, quality=100), expected, within=5)


def test_a_wide_gamut_becomes_srgb(tmp_path: Path) -> None:
    array = (colours() // 6 + 100).astype(np.uint8)  # inside sRGB, so that nothing is clipped
    linear = (array / 255.0) ** 2.2 @ WIDE_TO_SRGB.T
    expected = np.where(linear > 0.0031308, 1.055 * np.clip(linear, 1e-9, 1) ** (1 / 2.4) - 0.055, 12.92 * linear) * 255
    assert np.abs(expected - array).max() > 10, "the profile makes a difference"
    profile = wide_gamut_profile()
    assert_pixels(saved(tmp_path / "a.png", Image.fromarray(array), icc_profile=profile), expected, within=2)
    alpha = colours(seed=5)[..., 0]
    path = saved(tmp_path / "b.png", Image.fromarray(np.dstack([array, alpha])), icc_profile=profile)
    assert_pixels(path, over_grey(expected, alpha), alpha, within=2.5)
    image = Image.fromarray(array[:10, :20]).quantize(256)
    path = saved(tmp_path / "c.png", image, icc_profile=profile)
    assert_pixels(path, expected[:10, :20], within=2)


def test_srgb_by_name_is_left_alone(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_pixels(saved(tmp_path / "a.png", Image.fromarray(colours()), icc_profile=profile), colours())


def test_a_profile_of_another_kind_of_picture_is_left_aside(tmp_path: Path) -> None:
    profile = cmyk_profile()[0]
    assert_pixels(saved(tmp_path / "a.png", Image.fromarray(colours()), icc_profile=profile), colours())


def test_a_broken_profile_is_left_aside_and_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(colours()), icc_profile=b"no profile at all")
    assert_pixels(path, colours())
    assert notes_of(path) == (("has a broken colour profile", "used without it"),)


def test_lab(tmp_path: Path) -> None:
    image = Image.new("LAB", (8, 8), (150, 128 + 20, 128 - 20))
    expected = np.broadcast_to(lab_to_srgb((150 / 2.55, 20, -20)), (8, 8, 3))
    assert_pixels(saved(tmp_path / "a.tif", image), expected, within=4)


# ---- frames and orientation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_of_animations_the_first_frame(tmp_path: Path, ending: str) -> None:
    first, second = few_colours(), np.zeros((30, 40, 3), np.uint8)
    options = {"lossless": True} if ending == "webp" else {}
    path = saved(
        tmp_path / f"a.{ending}",
        Image.fromarray(first),
        save_all=True,
        append_images=[Image.fromarray(second)],
        **options,
    )
    assert_pixels(path, first)
    assert notes_of(path) == (("is animated", "only its first frame is used"),)


def test_of_pages_the_first(tmp_path: Path) -> None:
    other = Image.new("RGB", (40, 30))
    path = saved(tmp_path / "a.tif", Image.fromarray(colours()), save_all=True, append_images=[other])
    assert_pixels(path, colours())
    assert notes_of(path) == (("has several pages", "only the first is used"),)


UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_orientation(tmp_path: Path, ending: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    alpha = colours(seed=5)[..., 0]
    alpha[:3] = 0  # so that the box of what is visible shows which way up it is
    image = Image.fromarray(np.dstack([colours(), alpha]))
    options: dict[str, Any] = {"lossless": True, "exact": True} if ending == "webp" else {}
    path = saved(tmp_path / f"a.{ending}", image, exif=exif, **options)
    turned = UPRIGHT[orientation](alpha)
    assert_pixels(path, UPRIGHT[orientation](over_grey(colours(), alpha)), turned, within=1)
    rows, columns = np.nonzero(turned)
    assert inspect_image(path).visible == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_of_photographs(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :16] = 255
    path = saved(tmp_path / "a.jpg", Image.fromarray(stored), exif=exif)
    assert_pixels(path, UPRIGHT[orientation](stored), within=20)


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b""], ids=["junk", "far", "none"])
def test_broken_exif_is_no_broken_picture(tmp_path: Path, exif: bytes) -> None:
    assert_pixels(saved(tmp_path / "a.png", Image.fromarray(colours()), exif=exif), colours())
    impossible = Image.Exif()
    impossible[0x0112] = 9
    assert_pixels(saved(tmp_path / "b.png", Image.fromarray(colours()), exif=impossible), colours())


# ---- what is trained of a picture -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (200, 100), (100, 200), (37, 91), (640, 480)], ids=str)
@pytest.mark.parametrize("mirrored", [False, True])
def test_scaled_then_cropped_then_mirrored(tmp_path: Path, size: tuple[int, int], mirrored: bool) -> None:
    array = (colours(size[1], size[0]) // 2 + 64).astype(np.uint8)  # so that no overshoot is clipped between the passes
    path = saved(tmp_path / "a.png", Image.fromarray(array))
    placement = place(Size(*size), Size(96, 64))
    pixels, mask = load_placed(path, placement, mirrored=mirrored)
    whole = np.array(Image.fromarray(array).resize(placement.scaled, Image.Resampling.LANCZOS)).astype(int)
    left, top = placement.crop
    expected = whole[top : top + 64, left : left + 96]
    expected = expected[:, ::-1] if mirrored else expected
    assert mask is None
    assert pixels.shape == (64, 96, 3)
    assert pixels.flags["C_CONTIGUOUS"]
    assert np.abs(pixels - expected).max() <= 2  # rounding, in each of the two passes


def test_a_picture_of_its_frame_s_size_is_unchanged(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(colours(64, 96)))
    assert np.array_equal(load_placed(path, place(Size(96, 64), Size(96, 64)))[0], colours(64, 96))


@pytest.mark.parametrize("size", [(96, 64), (200, 100), (100, 200), (48, 48), (400, 300)], ids=str)
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_mask_goes_where_the_pixels_go(tmp_path: Path, size: tuple[int, int], mirrored: bool) -> None:
    """Where there is something, it is white, on transparent magenta: the one must show where the other does."""
    width, height = size
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 2 - 3 : height // 2 + 9, width // 2 - 20 : width // 2 - 4] = 255  # left of the middle, and low
    array = np.where(alpha[..., None], 255, [255, 0, 255]).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(np.dstack([array, alpha])))
    placement = place(Size(*size), Size(96, 64))
    pixels, mask = load_placed(path, placement, mirrored=mirrored)
    assert mask is not None
    assert mask.shape == (64, 96)
    assert mask.dtype == np.float32
    assert 0 <= mask.min() < mask.max() <= 1
    assert np.array_equal(pixels[..., 1] > 191, mask > 0.496)
    assert (np.nonzero(mask > 0.5)[1].mean() > 48) == mirrored
    scale = placement.scaled[0] / width
    assert np.nonzero(mask > 0.5)[0].mean() == pytest.approx((height / 2 + 3) * scale - placement.crop[1] - 0.5, abs=1)
    # Magenta has no green; nowhere does less of it show than in the grey behind.
    assert pixels[..., 1].min() >= 110
    assert np.abs(pixels[..., 0].astype(int) - pixels[..., 1]).max() <= 1


def test_hidden_colours_leave_no_fringe(tmp_path: Path) -> None:
    """Around a grey disc on transparent red, no pixel turns red, however it is scaled."""
    rows, columns = np.mgrid[:101, :101] - 50
    alpha = np.where(rows**2 + columns**2 < 900, 255, 0).astype(np.uint8)
    array = np.where(alpha[..., None], 128, [255, 0, 0]).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(np.dstack([array, alpha])))
    for frame in ((64, 64), (256, 256)):
        assert np.abs(load_placed(path, place(Size(101, 101), Size(*frame)))[0].astype(int) - 128).max() <= 1


def test_only_the_frame_is_computed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGB", (20000, 1), (9, 8, 7)))
    placement = place(Size(20000, 1), Size(512, 512))
    assert placement.scaled == (10_240_000, 512), "which would be 15 GB"
    pixels, _ = load_placed(path, placement)
    assert (pixels == (9, 8, 7)).all()


def test_a_single_pixel(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGB", (1, 1), (9, 8, 7)))
    pixels, _ = load_placed(path, Placement(Size(64, 64), Size(64, 64), (0, 0)))
    assert (pixels == (9, 8, 7)).all()


# ---- files that are no pictures -------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        inspect_image(path)
    assert caught.value.where == str(path)
    with pytest.raises(FileError):
        load_placed(path, Placement(Size(64, 64), Size(64, 64), (0, 0)))
    assert str(caught.value) == f"{path} {caught.value.problem}."
    return str(caught.value.problem)


ENCODED = [("png", {}), ("jpg", {}), ("gif", {}), ("bmp", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})]
ENCODED += [
    ("tif", {"compression": "tiff_adobe_deflate"}),
    ("webp", {}),
    ("pcx", {}),
    ("ico", {}),
    ("jpg", {"progressive": True}),
]


@pytest.mark.parametrize(("ending", "options"), ENCODED, ids=str)
def test_truncated(tmp_path: Path, ending: str, options: dict[str, Any]) -> None:
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(colours(64, 64)), **options)
    content = path.read_bytes()
    for kept in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        path.write_bytes(content[: int(len(content) * kept)])
        assert refusal(path).startswith(("is broken (", "is no image"))


def test_a_changed_bit(tmp_path: Path) -> None:
    """Decoding alone would miss most of them: the pixels come out, only wrong."""
    path = saved(tmp_path / "a.png", Image.new("RGB", (64, 64), (1, 2, 3)), compress_level=0)
    content = bytearray(path.read_bytes())
    for place_of_bit in range(100, len(content) - 20, 1000):
        content[place_of_bit] ^= 4
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            inspect_image(path)
        assert str(caught.value.problem).startswith("is broken (")
        content[place_of_bit] ^= 4


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty (0 bytes)"),
        (bytes(5000), "is broken (it holds nothing but zeros)"),
        (b"<!DOCTYPE html><html>404", "is no image, but a web page that was saved as one"),
        (b"  \n<HTML><body>", "is no image, but a web page that was saved as one"),
        (b"a cat, red hat", "is no image in a format that can be read"),
        (b"\0\0\0 ftypisom" + bytes(50), "is a video by its content; choose an image instead"),
        (b"8BPS\0\1" + bytes(50), "is in the Photoshop format; convert it to PNG or JPEG"),
        (b'<svg xmlns="x">', "is in the SVG format; convert it to PNG or JPEG"),
    ],
    ids=lambda value: value[:12].decode("latin-1").strip("\0") if isinstance(value, bytes) else "",
)
def test_what_is_no_picture_is_said_to_be_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert refusal(path) == what


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.png") == "cannot be opened (No such file or directory)"


def test_a_picture_that_claims_to_be_huge(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(np.zeros((1, 1, 1), np.uint8), colour=0, claimed=(40000, 30000)))
    assert refusal(path) == "is too large: 40000 x 30000 pixels, at most 1000 megapixels"
    assert MOST_PIXELS == 10**9


HUGE = """
import json, time
from pathlib import Path
from trainer.config.size import Size
from trainer.data.buckets import place
from trainer.data.images.decoding import inspect_image, load_placed
from trainer.data.problems import FileError
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.monotonic()
    try:
        size = inspect_image(path).size
        pixels, _ = load_placed(path, place(size, Size(64, 64)), size=size)
        what = [str(size), pixels.mean(axis=(0, 1)).tolist()]
    except FileError as error:
        what = str(error.problem)
    found[path.name] = [what, time.monotonic() - began]
print(json.dumps(found))
"""


@pytest.mark.more
def test_pictures_of_any_size_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    colour = (200, 100, 50)
    flat = Image.new("RGB", (9000, 9000), colour)
    flat.save(tmp_path / "a.png", compress_level=1)
    flat.save(tmp_path / "progressive.jpg", progressive=True)
    flat.save(tmp_path / "a.webp", quality=1, method=0)
    flat.save(tmp_path / "a.tif", compression="tiff_deflate")
    Image.new("RGBA", (8000, 8000), (*colour, 90)).save(tmp_path / "alpha.png", compress_level=1)
    Image.new("I;16", (9000, 9000), 30000).save(tmp_path / "deep.png", compress_level=1)
    Image.new("RGB", (20000, 15000), colour).save(tmp_path / "photograph.jpg", quality=30)
    claims = {"claims.png": (29000, 29000), "claims-less.png": (14000, 14000)}
    for name, claimed in claims.items():
        (tmp_path / name).write_bytes(png(np.zeros((1, 1, 4), np.uint8), colour=6, claimed=claimed))
    icon = png(np.zeros((1, 1, 4), np.uint8), colour=6, claimed=(29000, 29000))
    (tmp_path / "icon.ico").write_bytes(b"\0\0\1\0\1\0" + bytes(4) + struct.pack("<HHII", 1, 32, len(icon), 22) + icon)
    scans = (tmp_path / "progressive.jpg").read_bytes()
    last = scans.rindex(b"\xff\xda")
    (tmp_path / "scans.jpg").write_bytes(scans[:-2] + scans[last:-2] * 100 + scans[-2:])
    told = json.loads(run_bounded(HUGE, tmp_path, seconds=120, room=1_500_000_000))
    assert {name for name, (_, seconds) in told.items() if seconds > 10} == set()
    for name in ("a.png", "a.tif", "progressive.jpg"):
        size, mean = told[name][0]
        assert size == "9000 x 9000"
        np.testing.assert_allclose(mean, colour, atol=3)
    np.testing.assert_allclose(told["alpha.png"][0][1], [128 + (each - 128) * 90 / 255 for each in colour], atol=2)
    np.testing.assert_allclose(told["deep.png"][0][1], 30000 / 257, atol=1)
    assert told["photograph.jpg"][0][0] == "20000 x 15000"
    for name, most in (("claims.png", 75), ("claims-less.png", 75), ("icon.ico", 16), ("a.webp", 62)):
        assert f"at most {most} megapixels" in told[name][0]
    assert "goes over its 9000 x 9000 pixels" in told["scans.jpg"][0]


def test_a_picture_larger_than_the_memory_for_it_comes_out_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = np.stack(np.broadcast_arrays(np.arange(256)[:, None], np.arange(256), 90), axis=2).astype(np.uint8)
    for ending in ("png", "jpg", "gif"):
        path = saved(tmp_path / f"a.{ending}", Image.fromarray(ramp))
        where = place(Size(256, 256), Size(64, 64))
        exact, _ = load_placed(path, where, size=Size(256, 256))
        with monkeypatch.context() as patched:
            patched.setattr(decoding, "MOST_BYTES", 65536 * 11)
            smaller, _ = load_placed(path, where, size=Size(256, 256))
            patched.setattr(decoding, "MOST_BYTES", 1000)
            with pytest.raises(FileError, match="is too large: 256 x 256 pixels"):
                load_transparent(path)
        assert not np.array_equal(exact, smaller) or ending == "jpg"
        assert np.abs(exact.astype(int) - smaller).mean() < 3


def test_pictures_wait_until_there_is_room_for_them() -> None:
    memory = DecodingMemory(100)
    inside: list[int] = []
    go_on = threading.Event()

    def decode(size: int) -> None:
        with memory.of(size):
            inside.append(size)
            go_on.wait(20)

    threads = [threading.Thread(target=decode, args=(size,)) for size in (60, 30, 50)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    assert inside == [60, 30]
    go_on.set()
    for thread in threads:
        thread.join()
    assert inside == [60, 30, 50]
    with memory.of(1000):  # alone, one goes in whatever it takes
        pass


def test_a_picture_without_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.zeros((1, 1, 1), np.uint8), colour=0, claimed=(0, 30)))
    assert refusal(path).startswith(("has no pixels", "is broken ("))


def test_large_pictures_are_fine_whatever_the_limit_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for ending in ("png", "jpg", "bmp"):  # for others, Pillow has checks of its own
        path = saved(tmp_path / f"a.{ending}", Image.new("RGB", (40, 30), (9, 8, 7)))
        assert inspect_image(path).size == (40, 30)
        assert load_pixels(path)[0].shape == (30, 40, 3)


def test_truncated_files_are_seen_where_the_host_looks_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    path = saved(tmp_path / "a.jpg", Image.fromarray(colours(64, 64)))
    path.write_bytes(path.read_bytes()[:-500])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with whole_files_only(), pytest.raises(DataError):
        inspect_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


# ---- files written by hand, for what Pillow does not write ----------------------------------------------------------


def png(
    samples: Array,
    *,
    colour: int,
    claimed: tuple[int, int] | None = None,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> bytes:
    """A PNG of 8 or 16 bits with the samples (H, W, channels), perhaps claiming another size."""
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", *(claimed or (width, height)), samples.itemsize * 8, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    chunks = [(b"IHDR", header), *(extra or []), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def tiff(samples: Array, *, photometric: int, extra: int | None = None, order: str = "<") -> bytes:
    """An uncompressed TIFF with the samples (H, W, channels)."""
    height, width, channels = samples.shape
    data = samples.tobytes()
    tags = {256: width, 257: height, 258: samples.itemsize * 8, 259: 1, 262: photometric, 273: 8, 277: channels}
    tags |= {278: height, 279: len(data)} | ({} if extra is None else {338: extra})
    position = 8 + len(data)
    bits = struct.pack(f"{order}{channels}H", *[samples.itemsize * 8] * channels)
    entries = BytesIO()
    for tag, value in sorted(tags.items()):
        if tag == 258 and channels > 2:
            entries.write(struct.pack(f"{order}HHII", tag, 3, channels, position))
        else:
            entries.write(struct.pack(f"{order}HHII", tag, 4, 1, value))
    directory = struct.pack(f"{order}H", len(tags)) + entries.getvalue() + bytes(4)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", position + len(bits))
    return start + data + bits + directory
