"""Image files to pixels: eight bits of sRGB, upright, and what of them is transparent.

Whatever is wrong with a file is raised as a :class:`FileError` that names it; Pillow answers broken files with
nearly every kind of exception there is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from ..config.size import Size
from ..errors import DataError
from ..text.messages import Message, message
from .buckets import Placement
from .colours import as_rgb, has_broken_profile
from .problems import FileError

MOST_PIXELS = 1_000_000_000
"""More is refused: a file of a few kilobytes can claim any size."""
NEUTRAL = (128, 128, 128)
"""What lies behind transparent pixels. Mid-grey is what the VAE sees least of."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PCX", "ICO")
_ORIENTATION = 0x0112
_TURNS = (
    None,
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
"""What sets an image upright, by its EXIF orientation 1 … 8."""
_ANIMATED = frozenset(("GIF", "PNG", "WEBP"))

Pixels = NDArray[np.uint8]
Mask = NDArray[np.float32]


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image that is whole.

    Attributes:
        path: its file.
        size: upright.
        visible: left, top, right and bottom of what is not fully transparent; None if nothing is transparent at all.
            An image that cannot be seen has an empty box.
        notes: what a user may not expect, each with what is done about it.
    """

    path: Path
    size: Size
    visible: tuple[int, int, int, int] | None = None
    notes: tuple[tuple[Message, Message], ...] = ()

    @property
    def has_alpha(self) -> bool:
        return self.visible is not None

    @property
    def is_invisible(self) -> bool:
        """Whether all of it is fully transparent."""
        return self.visible is not None and self.visible[2:] == (0, 0)


# ---- what others call -----------------------------------------------------------------------------------------------


def inspect_image(path: Path) -> ImageInfo:
    """Decode an image to the end, to be sure it is whole, and keep no pixel of it.

    Raises:
        FileError: it cannot be read, or is too large.
    """
    with _image_file(path) as image:
        notes = _notes(image)
        width, height = image.size
        if image.format == "PNG":
            _check_sums(path)
        if image.format == "JPEG":  # every byte is read all the same, but an eighth of the pixels is enough
            image.draft(image.mode, (max(1, width // 8), max(1, height // 8)))
            image.load()
            return ImageInfo(path, _upright_size(Size(width, height), _orientation(image)), None, notes)
        image.load()
        alpha = as_rgb(image, only_alpha=True)[1]
        alpha = alpha if alpha is None else _upright(alpha, _orientation(image))
        size = _upright_size(Size(*image.size), _orientation(image))
        visible = None if alpha is None else alpha.getbbox() or (0, 0, 0, 0)
        return ImageInfo(path, size, visible, notes)


def load_transparent(path: Path) -> Image.Image:
    """A whole image as RGBA in sRGB, upright, to be changed and written again.

    Raises:
        FileError: it cannot be read, or is too large.
    """
    rgb, alpha = _whole(path)
    image = rgb.convert("RGBA")
    if alpha is not None:
        image.putalpha(alpha)
    return image


def load_placed(
    path: Path, placement: Placement, *, mirrored: bool = False, size: Size | None = None
) -> tuple[Pixels, Mask | None]:
    """The part of an image that is trained: scaled, cropped, then mirrored.

    Args:
        path: its file.
        placement: made for its size.
        mirrored: left to right.
        size: what the image measured when the placement was made; another one now is refused.

    Returns:
        sRGB, uint8 of shape (h, w, 3) for the frame (w, h); and the alpha, float32 of shape (h, w) from 0 to 1, or
        None if no part of the image is transparent.

    Raises:
        DataError: it cannot be read, is too large, or has another size than it had.
    """
    rgb, alpha = _load(path)
    if size is not None and Size(*rgb.size) != size:
        raise DataError("data.changed", where=str(path), before=str(size), now=str(Size(*rgb.size)))
    pixels = np.array(_cut(rgb, placement))
    mask = None if alpha is None else _fractions(_cut(alpha, placement))
    if mirrored:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        mask = None if mask is None else np.ascontiguousarray(mask[:, ::-1])
    return pixels, mask


@contextmanager
def whole_files_only() -> Iterator[None]:
    """Pillow has a switch, for the whole process, to take truncated files for whole. Under a WebUI somebody may have
    set it."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


# ---- steps ----------------------------------------------------------------------------------------------------------


def _load(path: Path) -> tuple[Image.Image, Image.Image | None]:
    """RGB over grey, and the alpha as L; upright."""
    rgb, alpha = _whole(path)
    if alpha is None:
        return rgb, None
    # What is hidden under transparency would otherwise come out as a box or a fringe once the image is scaled.
    return Image.composite(rgb, Image.new("RGB", rgb.size, NEUTRAL), alpha), alpha


def _whole(path: Path) -> tuple[Image.Image, Image.Image | None]:
    """RGB as the file has it, also where it is transparent, and the alpha as L; upright."""
    with _image_file(path) as image:
        image.load()
        orientation = _orientation(image)
        rgb, alpha = as_rgb(image)
        return _upright(rgb, orientation), None if alpha is None else _upright(alpha, orientation)


def _cut(image: Image.Image, placement: Placement) -> Image.Image:
    """Only the frame is computed: the whole of a long, narrow image, scaled to cover it, may not fit into memory."""
    size, (left, top) = Size(*image.size), placement.crop
    across, down = size.width / placement.scaled.width, size.height / placement.scaled.height
    right = min((left + placement.frame.width) * across, size.width)
    bottom = min((top + placement.frame.height) * down, size.height)
    return image.resize(placement.frame, Image.Resampling.LANCZOS, box=(left * across, top * down, right, bottom))


def _fractions(alpha: Image.Image) -> Mask:
    return np.asarray(alpha).astype(np.float32) * np.float32(1 / 255)


def _orientation(image: Image.Image) -> int:
    """1 … 8: how the image lies now that it is loaded."""
    if image.format == "TIFF":  # Pillow sets it upright while loading, and not every version takes the tag away
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - EXIF is written by anything, and broken EXIF is no broken image
        return 1
    return orientation if orientation in range(1, 9) else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS[orientation]
    return image if turn is None else image.transpose(turn)


def _upright_size(size: Size, orientation: int) -> Size:
    return size if orientation < 5 else Size(size.height, size.width)


def _notes(image: ImageFile.ImageFile) -> tuple[tuple[Message, Message], ...]:
    notes = []
    try:
        several = bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - a broken second frame does not matter
        several = True
    if several and image.format in _ANIMATED:
        notes.append((message("data.animated"), message("data.first_frame_used")))
    elif several and image.format == "TIFF":
        notes.append((message("data.several_pages"), message("data.first_page_used")))
    if has_broken_profile(image):
        notes.append((message("data.broken_profile"), message("data.profile_unused")))
    return tuple(notes)


def _check_sums(path: Path) -> None:
    """PNG has a check sum for each chunk, which decoding does not look at."""
    with path.open("rb") as file:
        _decoder(file, path).verify()


# ---- files ----------------------------------------------------------------------------------------------------------


@contextmanager
def _image_file(path: Path) -> Iterator[ImageFile.ImageFile]:
    """An image that is open, and within the limits; whatever goes wrong with it comes out as FileError."""
    try:
        with path.open("rb") as file, _decoder(file, path) as image:
            _check_size(Size(*image.size), path)
            yield image
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(message("data.too_large_for_memory"), path) from error
    except Exception as error:
        raise FileError(_reason(error), path) from error


def _reason(error: Exception) -> Message:
    if isinstance(error, OSError) and error.strerror:
        return message("data.cannot_open", reason=error.strerror)
    if isinstance(error, Image.DecompressionBombError):
        return message("data.too_large", reason=str(error).partition(",")[0])
    return message("data.broken", reason=str(error).strip(" .") or type(error).__name__)


def _check_size(size: Size, path: Path) -> None:
    if size.width < 1 or size.height < 1:
        raise FileError(message("data.no_pixels", size=str(size)), path)
    if size.area > MOST_PIXELS:
        raise FileError(message("data.too_many_pixels", size=str(size), most=MOST_PIXELS // 1_000_000), path)


def _decoder(file: IO[bytes], path: Path) -> ImageFile.ImageFile:
    """Like ``Image.open``, but for our formats only, and with our own limit instead of the process's.

    Raises:
        FileError: none of the formats.
    """
    Image.init()
    prefix = file.read(16)
    if not prefix:
        raise FileError(message("data.empty_file"), path)
    failures: list[Exception] = []
    for name in FORMATS:
        factory, accepts = Image.OPEN.get(name, (None, None))
        if factory is None or accepts is None or accepts(prefix) is not True:
            continue
        file.seek(0)
        try:
            # Without its name: given one, Pillow maps some files into memory, and turned TIFFs come out scrambled.
            image = factory(file, "")
            assert isinstance(image, ImageFile.ImageFile)
            return image
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:  # "not a … file"
            failures.append(error)
    file.seek(0)
    if failures:
        raise failures[0]
    raise FileError(_what_it_is(file.read(512)), path)


def _what_it_is(head: bytes) -> Message:
    """What to report about a file that is in none of our formats."""
    if not head.strip(b"\0"):
        return message("data.only_zeros")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html")):
        return message("data.web_page")
    if head[4:8] == b"ftyp":
        kinds = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}
        kind = kinds.get(head[8:12])
        return message("data.video") if kind is None else message("data.other_format", format=kind)
    for start, name in ((b"PK\3\4", "ZIP"), (b"8BPS", "Photoshop"), (b"%PDF", "PDF"), (b"\xff\x0a", "JPEG XL")):
        if head.startswith(start):
            return message("data.other_format", format=name)
    if head.lstrip()[:5].lower() in (b"<?xml", b"<svg "):
        return message("data.other_format", format="SVG")
    return message("data.unknown_format")
