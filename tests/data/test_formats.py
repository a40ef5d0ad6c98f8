"""Formats that not every Pillow reads, and PNG files with more text or profile than Pillow allows."""

from __future__ import annotations

import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin, features

from tests.helpers.icc import wide_gamut_profile
from trainer.config.size import Size
from trainer.data.buckets import place
from trainer.data.images import formats
from trainer.data.images.decoding import inspect_image, load_placed
from trainer.data.problems import FileError

SIZE = Size(40, 30)


def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIZE.height, SIZE.width, 3), dtype=np.uint8)


def pixels_in(path: Path) -> np.ndarray:
    return load_placed(path, place(SIZE, SIZE))[0]


def notes_on(path: Path) -> list[str]:
    return [f"{what}: {done}" for what, done in inspect_image(path).notes]


def refusal(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        inspect_image(path)
    return str(caught.value.problem)


# ---- endings and plugins --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "kind"), [("jfif", "JPEG"), ("jpe", "JPEG"), ("jif", "JPEG"), ("apng", "PNG")])
def test_other_endings_of_what_every_pillow_reads(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", SIZE, (200, 100, 50)).save(path, kind)
    assert inspect_image(path).size == SIZE
    np.testing.assert_allclose(pixels_in(path), np.broadcast_to((200, 100, 50), (30, 40, 3)), atol=3)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    image = Image.new("RGBA", SIZE, (200, 100, 50, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 30))
    image.save(path, "AVIF", quality=90)
    found = inspect_image(path)
    assert (found.size, found.visible) == (SIZE, (20, 0, 40, 30))
    np.testing.assert_allclose(pixels_in(path)[15, 30], (200, 100, 50), atol=6)


BOX = b"\0\0\0\x18ftyp%s\0\0\0\0mif1%s"
CONTENT = {
    "avif": BOX % (b"avif", b"miaf"),
    "avif of a container": BOX % (b"mif1", b"avif"),
    "heic": BOX % (b"heic", b"miaf"),
    "heic of a container": BOX % (b"mif1", b"miaf"),
    "jxl": b"\xff\x0a" + bytes(20),
    "jxl in boxes": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("avif", "is in the AVIF format, which cannot be read here; install pillow-avif-plugin, or convert it to PNG"),
        ("avif of a container", "is in the AVIF format, which cannot be read here; install pillow-avif-plugin, "),
        ("heic", "is in the HEIC format, which cannot be read here; install pillow-heif, or convert it to PNG or JPEG"),
        ("heic of a container", "is in the HEIC format, which cannot be read here; install pillow-heif, "),
        ("jxl", "is in the JPEG XL format, which cannot be read here; install pillow-jxl-plugin, "),
        ("jxl in boxes", "is in the JPEG XL format, which cannot be read here; install pillow-jxl-plugin, "),
    ],
)
def test_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    Image.init()
    for kind, plugin in (("AVIF", "pillow_avif"), ("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")):
        monkeypatch.delitem(Image.OPEN, kind, raising=False)
        monkeypatch.setitem(sys.modules, plugin, None)
    path = tmp_path / "a.img"
    path.write_bytes(CONTENT[name])
    assert refusal(path).startswith(expected)


class _Plain(ImageFile.ImageFile):
    """Stands for a plugin's format: 40 x 30 grey pixels, after the beginning that a HEIC file has."""

    format = "HEIF"

    def _open(self) -> None:
        self._size, self._mode = SIZE, "L"
        self.tile = [("raw", (0, 0, *SIZE), len(CONTENT["heic"]), "L")]


def test_a_plugin_is_used_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = ModuleType("pillow_heif")
    plugin.register_heif_opener = (
        lambda: Image.OPEN.update(  # type: ignore[attr-defined]
            HEIF=(_Plain, lambda prefix: prefix[8:12] == b"heic")
        )
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    monkeypatch.setitem(Image.OPEN, "HEIF", Image.OPEN.get("HEIF", (_Plain, None)))  # so that it is taken back
    del Image.OPEN["HEIF"]
    path = tmp_path / "a.heic"
    path.write_bytes(CONTENT["heic"] + bytes(range(100)) * 12)
    grey = np.arange(1200).reshape(30, 40) % 100
    np.testing.assert_array_equal(pixels_in(path), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("head", "size"),
    [  # the beginnings of files that libjxl has written
        ("ff0a4f06001388020030", (64, 64)),
        ("ff0acb06001388020030", (64, 48)),
        ("ff0af8be010013880200", (640, 480)),
        ("ff0a0090010013880200", (1, 1)),
        ("ff0a3107001388020060", (300, 200)),
        ("ff0a4880cec700138802", (1000, 10)),
        ("ff0a8000014018001388", (8193, 17)),
        ("ff0aba211d0013880200", (1920, 1080)),
        ("ff0a1800df221a001388", (70000, 4)),
        ("ff0ab107001388020068", (250, 200)),
    ],
)
def test_the_size_of_a_jpeg_xl_before_it_is_decoded(head: str, size: tuple[int, int]) -> None:
    start = bytes.fromhex(head)
    in_boxes = (
        CONTENT["jxl in boxes"][:12] + struct.pack(">I4s", 12, b"ftyp") + b"jxl " + struct.pack(">I4sI", 0, b"jxlp", 0)
    )
    for content in (start, in_boxes + start):
        assert formats._jxl_size(formats._jxl_head(BytesIO(content))) == size


def test_a_jpeg_xl_that_claims_to_be_huge_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setitem(Image.OPEN, "JXL", (never, lambda _: True))
    path = tmp_path / "bomb.jxl"
    # Not small, both sides of 30 bits: 100000 - 1 each, and the ratio 0 between them.
    bits = 0b0 | 0b11 << 1 | 99999 << 3 | 0b000 << 33 | 0b11 << 36 | 99999 << 38
    path.write_bytes(b"\xff\x0a" + bits.to_bytes(12, "little"))
    assert refusal(path) == "is too large: 100000 x 100000 pixels, at most 37 megapixels"


# ---- text and profiles in PNG ---------------------------------------------------------------------------------------


def saved(path: Path, info: PngImagePlugin.PngInfo | None = None) -> Path:
    Image.fromarray(colours()).save(path, pnginfo=info)
    return path


def with_chunk(path: Path, kind: bytes, data: bytes, *, last: bool = False) -> None:
    """Put a chunk behind the header, or before the end."""
    content = path.read_bytes()
    at = len(content) - 12 if last else 33
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content[:at] + chunk + content[at:])


TOO_MUCH = "holds at least 1 MB of text beside its pixels: used; its text is not read"


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("kind", "head"),
    [(b"zTXt", b"workflow\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")],
)
def test_compressed_text_above_the_limit(tmp_path: Path, kind: bytes, head: bytes, last: bool) -> None:
    path = saved(tmp_path / "a.png")
    with_chunk(path, kind, head + zlib.compress(b"x" * 3_000_000), last=last)
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"), Image.open(path) as image:
        image.load()
    assert notes_on(path) == [TOO_MUCH]
    np.testing.assert_array_equal(pixels_in(path), colours())


def test_text_of_a_size_that_pillow_reads(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    with_chunk(path, b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 1_000_000))
    with_chunk(path, b"tEXt", b"workflow\0" + b"x" * 3_000_000)
    with_chunk(path, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"x" * 3_000_000)
    assert notes_on(path) == []


def test_more_text_in_all_than_pillow_reads(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    for number in range(5):
        with_chunk(path, b"tEXt", b"%d\0" % number + b"x" * 16_000_000)
    assert notes_on(path) == ["holds at least 15 MB of text beside its pixels: used; its text is not read"]
    np.testing.assert_array_equal(pixels_in(path), colours())


def test_text_that_zlib_cannot_read_is_no_obstacle(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    with_chunk(path, b"zTXt", b"workflow\0\0no zlib")
    assert notes_on(path) == []


def test_a_broken_file_with_much_text_is_broken_all_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    with_chunk(path, b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3_000_000))
    content = bytearray(path.read_bytes())
    content[-20] ^= 4  # of the last pixels, or their check sum
    path.write_bytes(content)
    assert refusal(path).startswith("is broken (")


def test_a_large_profile_is_applied(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    profile = wide_gamut_profile()
    padded = struct.pack(">I", 2_000_000) + profile[4:] + bytes(2_000_000 - len(profile))
    with_chunk(path, b"iCCP", b"wide\0\0" + zlib.compress(padded))
    Image.fromarray(colours()).save(tmp_path / "b.png", icc_profile=profile)
    assert notes_on(path) == []
    np.testing.assert_array_equal(pixels_in(path), pixels_in(tmp_path / "b.png"))
    assert np.abs(pixels_in(path).astype(int) - colours()).max() > 20


@pytest.mark.parametrize("length", [2_000_000, 20_000_000])
def test_a_large_profile_that_is_none(tmp_path: Path, length: int) -> None:
    path = saved(tmp_path / "a.png")
    with_chunk(path, b"iCCP", b"icc\0\0" + zlib.compress(bytes(length)))
    assert notes_on(path) == ["has a broken colour profile: used without it"]
    np.testing.assert_array_equal(pixels_in(path), colours())
