"""Which formats of images are read, and by what: Pillow itself, or one of its plugins where that is installed."""

from __future__ import annotations

import importlib
import struct
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, ImageFile

from ...config.size import Size
from ...text.messages import Message, message
from ..problems import FileError
from .memory import MOST_BYTES, DecodingMemory
from .png_text import plain_png

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PCX", "ICO")
"""What every Pillow reads."""
LEFT_OUT = "trainyard_left_out"
_MOST_ICON_PIXELS = 16_000_000
_JXL_BYTES = 20
"""Of one pixel of a JPEG XL, with all that its decoder makes of it."""
_MOST_BOXES = 1000
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True)
class _Newer:
    """A format that some Pillows read, or none.

    Attributes:
        label: what it is called.
        module: the plugin's.
        package: what to install.
        register: the function of the module that makes it known to Pillow; empty: importing it does.
    """

    label: str
    module: str
    package: str
    register: str = ""


_NEWER = {
    "AVIF": _Newer("AVIF", "pillow_avif", "pillow-avif-plugin"),
    "HEIF": _Newer("HEIC", "pillow_heif", "pillow-heif", "register_heif_opener"),
    "JXL": _Newer("JPEG XL", "pillow_jxl", "pillow-jxl-plugin"),
}
"""By Pillow's name."""


def decoder(file: IO[bytes], path: Path, memory: DecodingMemory) -> ImageFile.ImageFile:
    """Like ``Image.open``, but for our formats only, and with our own limit instead of the process's.

    Of text in a PNG that is larger than Pillow reads, ``info`` says under :data:`LEFT_OUT` how many bytes there are.

    Raises:
        FileError: none of the formats, or one whose plugin is missing.
    """
    Image.init()
    prefix = file.read(16)
    if not prefix:
        raise FileError(message("data.empty_file"), path)
    newer = _newer_format(file, prefix)
    failures: list[Exception] = []
    for name in (*FORMATS, *([newer] if newer else [])):
        if not _reads(name, prefix):
            continue
        try:
            return _opened(name, file, path, memory)
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:  # "not a … file"
            failures.append(error)
    file.seek(0)
    if failures:
        raise failures[0]
    if newer:
        found = _NEWER[newer]
        raise FileError(message("data.needs_plugin", format=found.label, package=found.package), path)
    raise FileError(_what_it_is(file.read(512)), path)


def too_many_pixels(size: Size, path: Path, most: int) -> FileError:
    return FileError(message("data.too_many_pixels", size=str(size), most=most // 1_000_000), path)


def _opened(name: str, file: IO[bytes], path: Path, memory: DecodingMemory) -> ImageFile.ImageFile:
    if name == "ICO":
        _check_icon(file, path)
    file.seek(0)
    plain = plain_png(file) if name == "PNG" else None
    needed = _jxl_bytes(file, path) if name == "JXL" else 0
    # Without its name: given one, Pillow maps some files into memory, and turned TIFFs come out scrambled.
    with memory.of(needed) if needed else nullcontext():
        image = Image.OPEN[name][0](plain.file if plain else file, "")
    assert isinstance(image, ImageFile.ImageFile)
    if plain is not None:
        if plain.text:
            image.info[LEFT_OUT] = plain.text
        if plain.profile is not None:
            image.info["icc_profile"] = plain.profile
    return image


# ---- plugins --------------------------------------------------------------------------------------------------------


def _newer_format(file: IO[bytes], prefix: bytes) -> str:
    """Pillow's name of the format if it is one of :data:`_NEWER` by its content, else empty."""
    if prefix.startswith(_JXL_STARTS):
        return "JXL"
    if prefix[4:8] != b"ftyp":
        return ""
    file.seek(0)
    box = file.read(min(512, int.from_bytes(prefix[:4], "big")))
    brands = {box[at : at + 4] for at in (8, *range(16, len(box) - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else ""


def _reads(name: str, prefix: bytes) -> bool:
    """Whether Pillow takes a file that begins like this for one of the format; a plugin is imported for it."""
    if not _accepts(name, prefix) and name in _NEWER:
        plugin = _NEWER[name]
        try:
            module = importlib.import_module(plugin.module)
            if plugin.register:
                getattr(module, plugin.register)()
        except (ImportError, OSError):  # not installed, or not for this Python
            return False
    return _accepts(name, prefix)


def _accepts(name: str, prefix: bytes) -> bool:
    factory, accepts = Image.OPEN.get(name, (None, None))
    return factory is not None and accepts is not None and accepts(prefix) is True  # or what is missing, as a string


# ---- what is decoded while a file is opened -------------------------------------------------------------------------


def _check_icon(file: IO[bytes], path: Path) -> None:
    """An icon holds a PNG or a BMP of any size, which Pillow decodes while it opens the file.

    Raises:
        FileError: one that is larger than any icon.
    """
    file.seek(4)
    (count,) = struct.unpack("<H", file.read(2))
    for number in range(count):
        file.seek(6 + 16 * number + 12)
        (place,) = struct.unpack("<I", file.read(4))
        file.seek(place)
        head = file.read(24)
        layout, at = (">II", 16) if head.startswith(b"\x89PNG") else ("<ii", 4)
        size = Size(*map(abs, struct.unpack_from(layout, head, at)))
        if size.area > _MOST_ICON_PIXELS:
            raise too_many_pixels(size, path, _MOST_ICON_PIXELS)


def _jxl_bytes(file: IO[bytes], path: Path) -> int:
    """The memory it takes to decode a JPEG XL, which is done while it is opened. The file is at its start afterwards.

    Raises:
        FileError: too much.
    """
    size = _jxl_size(_jxl_head(file))
    file.seek(0)
    if size.area * _JXL_BYTES > MOST_BYTES:
        raise too_many_pixels(size, path, MOST_BYTES // _JXL_BYTES)
    return size.area * _JXL_BYTES


def _jxl_head(file: IO[bytes]) -> bytes:
    """The beginning of the code stream, which is the whole file, or in one of its boxes.

    Raises:
        SyntaxError: there is none.
    """
    file.seek(0)
    if (head := file.read(16)).startswith(_JXL_STARTS[0]):
        return head
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        start = 8
        if length == 1:
            length, start = int.from_bytes(header[8:16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            file.seek(at + start + (4 if kind == b"jxlp" else 0))  # after the number of the part
            return file.read(16)
        if length < start:
            break
        at += length
    raise SyntaxError("no code stream")


def _jxl_size(head: bytes) -> Size:
    """From the size header (ISO/IEC 18181-1, D.3): bits, the lowest of each byte first."""
    bits = int.from_bytes(head[2:].ljust(14, b"\0"), "little")

    def take(count: int) -> int:
        nonlocal bits
        found = bits & ((1 << count) - 1)
        bits >>= count
        return found

    def side(small: int) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side(small)
    ratio = take(3)
    if ratio == 0:
        return Size(side(small), height)
    across, down = _JXL_RATIOS[ratio - 1]
    return Size(height * across // down, height)


# ---- other files ----------------------------------------------------------------------------------------------------


def _what_it_is(head: bytes) -> Message:
    """What to report about a file that is in none of our formats."""
    if not head.strip(b"\0"):
        return message("data.only_zeros")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html")):
        return message("data.web_page")
    if head[4:8] == b"ftyp":
        return message("data.video")
    for start, name in ((b"PK\3\4", "ZIP"), (b"8BPS", "Photoshop"), (b"%PDF", "PDF")):
        if head.startswith(start):
            return message("data.other_format", format=name)
    if head.lstrip()[:5].lower() in (b"<?xml", b"<svg "):
        return message("data.other_format", format="SVG")
    return message("data.unknown_format")
