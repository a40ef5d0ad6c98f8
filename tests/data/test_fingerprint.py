"""Copies of an image are found by its pixels, and by its shape at another size or quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.data.images.decoding import inspect_image
from trainer.data.images.fingerprint import Copies, Fingerprint, copies_among


def drawing(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Large spots, as of a drawing: neighbours are alike, and no two seeds are."""
    levels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)


def known(path: Path) -> Fingerprint:
    found = inspect_image(path).fingerprint
    assert found is not None
    return found


def test_the_same_pixels_in_another_file_and_format(tmp_path: Path) -> None:
    image = drawing(1)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.png", compress_level=1)
    image.save(tmp_path / "c.webp", lossless=True)
    image.quantize(16).save(tmp_path / "d.png")
    image.quantize(16).convert("RGB").save(tmp_path / "e.bmp")
    a, b, c, d, e = (known(tmp_path / name).pixels for name in ("a.png", "b.png", "c.webp", "d.png", "e.bmp"))
    assert a == b == c
    assert d == e
    assert d != a


def test_one_pixel_more_is_another_image(tmp_path: Path) -> None:
    image = drawing(1)
    image.save(tmp_path / "a.png")
    image.putpixel((5, 5), (1, 2, 3))
    image.save(tmp_path / "b.png")
    assert known(tmp_path / "a.png").pixels != known(tmp_path / "b.png").pixels


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_images_of_every_mode_are_known_again(mode: str, tmp_path: Path) -> None:
    ending = "tif" if mode in ("CMYK", "F") else "png"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(drawing(1).convert("L")).astype(np.uint16) * 257)
    else:
        image = drawing(1).quantize(64) if mode == "P" else drawing(1).convert(mode)
    for name in "ab":
        image.save(tmp_path / f"{name}.{ending}")
    found = [known(tmp_path / f"{name}.{ending}") for name in "ab"]
    assert found[0] == found[1]
    assert found[0].shape is not None


def test_another_size_or_quality_looks_alike_and_another_drawing_does_not(tmp_path: Path) -> None:
    image = drawing(1)
    image.save(tmp_path / "0.png")
    image.resize((160, 120), Image.Resampling.LANCZOS).save(tmp_path / "1.png")
    image.save(tmp_path / "2.jpg", quality=70)
    drawing(2).save(tmp_path / "3.png")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "4.png")
    image.save(tmp_path / "5.png")
    prints = [known(path) for path in sorted(tmp_path.iterdir())]
    assert copies_among(prints) == Copies(same=((5, 0),), alike=((1, 0), (2, 0)))


def test_a_turned_photo_looks_as_its_exif_says(tmp_path: Path) -> None:
    image, exif = drawing(1), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png")
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b.png", exif=exif)
    assert copies_among([known(tmp_path / name) for name in ("a.png", "b.png")]).alike == ((1, 0),)


def test_flat_images_are_alike_only_by_their_pixels(tmp_path: Path) -> None:
    for name, colour in (("a.png", "red"), ("b.png", "blue"), ("c.png", "red")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / name)
    prints = [known(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    assert copies_among(prints) == Copies(same=((2, 0),))


def test_many_images_are_compared_in_blocks_and_the_first_of_its_like_is_named() -> None:
    rng = np.random.default_rng(0)
    shapes = [rng.bytes(256) for _ in range(1300)]
    shapes[1299] = shapes[700] = shapes[3]
    prints = [Fingerprint(str(number).encode(), shape) for number, shape in enumerate(shapes)]
    assert copies_among(prints).alike == ((700, 3), (1299, 3))


def test_comparing_can_be_stopped() -> None:
    prints = [Fingerprint(bytes([number]), bytes(range(number, number + 128)) * 2) for number in range(3)]

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        copies_among(prints, stop)
