"""Image files to pixels: eight bits of sRGB, upright, and what of them is transparent.

Whatever is wrong with a file is raised as a :class:`FileError` that names it; Pillow answers broken files with
nearly every kind of exception there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFile

from ...config.size import Size
from ...errors import DataError
from ...paths import NotAFile, open_file, reason_of
from ...text.messages import Message, message
from ..buckets import Placement, shapes_differ
from ..problems import FileError
from .colours import as_rgb, has_broken_profile
from .fingerprint import Fingerprint, fingerprint_of
from .formats import LEFT_OUT, decoder, too_many_pixels
from .memory import MOST_BYTES, DecodingMemory

MOST_PIXELS = 1_000_000_000
"""More is refused: a file of a few kilobytes can claim any size. Only JPEG can be decoded smaller than it is, so of
other formats less is too much already; :func:`_decoding` says how much."""
_MOST_WORK = 1_500_000_000
"""Pixels times how often a JPEG goes over them: a progressive one of some kilobytes may do so thousands of times."""
_SMALLEST_SHARE = 8
"""Of a JPEG, the eighth of its sides is the least that is decoded."""
_FAINTEST = 8
"""A level of a mask below this counts as black: JPEG leaves some around its edges."""
NEUTRAL = (128, 128, 128)
"""What lies behind transparent pixels. Mid-grey is what the VAE sees least of."""
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
_ANIMATED = frozenset(("GIF", "PNG", "WEBP", "AVIF"))

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
        fingerprint: by what it is known again.
        mask: the image that says how much each part of it counts; ``visible`` is the box of what counts, then.
    """

    path: Path
    size: Size
    visible: tuple[int, int, int, int] | None = None
    notes: tuple[tuple[Message, Message], ...] = ()
    fingerprint: Fingerprint | None = None
    mask: Path | None = None

    @property
    def has_alpha(self) -> bool:
        return self.visible is not None

    @property
    def is_invisible(self) -> bool:
        """Whether all of it is fully transparent."""
        return self.visible is not None and self.visible[2:] == (0, 0)


# ---- what others call -----------------------------------------------------------------------------------------------


def inspect_image(path: Path, *, memory: DecodingMemory | None = None) -> ImageInfo:
    """Decode an image to the end, to be sure it is whole, and keep no pixel of it.

    Args:
        path: its file.
        memory: shared with others that are decoded at the same time.

    Raises:
        FileError: it cannot be read, or is too large.
    """
    memory = memory or DecodingMemory()
    with _image_file(path, memory) as image, memory.of(_decoding(image, path)):
        notes = _notes(image)
        width, height = image.size
        if image.format == "PNG":
            _check_sums(path, memory)
        if image.format == "JPEG":  # every byte is read all the same, but an eighth of the pixels is enough
            _decode_smaller(image, _SMALLEST_SHARE)
            image.load()
            size = _upright_size(Size(width, height), _orientation(image))
            return ImageInfo(path, size, None, notes, _fingerprint(image, Size(width, height)))
        image.load()
        alpha = as_rgb(image, only_alpha=True)[1]
        alpha = alpha if alpha is None else _upright(alpha, _orientation(image))
        size = _upright_size(Size(*image.size), _orientation(image))
        visible = None if alpha is None else alpha.getbbox() or (0, 0, 0, 0)
        return ImageInfo(path, size, visible, notes, _fingerprint(image, Size(width, height)))


def inspect_mask(path: Path, *, memory: DecodingMemory | None = None) -> ImageInfo:
    """Look at a mask, an image that says by its lightness how much each part of another counts.

    Returns:
        ``visible`` is the box of what counts at all; empty if it is black.

    Raises:
        FileError: it cannot be read, or is too large; worded for the image that it belongs to.
    """
    try:
        grey, size = _grey(path, memory or DecodingMemory())
    except FileError as error:
        raise FileError(message("data.mask_unusable", file=path.name, problem=error.problem), path) from error
    left, top, right, bottom = grey.point([255 * (level >= _FAINTEST) for level in range(256)]).getbbox() or (
        0,
        0,
        0,
        0,
    )
    across, down = size.width / grey.width, size.height / grey.height
    box = math.floor(left * across), math.floor(top * down), math.ceil(right * across), math.ceil(bottom * down)
    return ImageInfo(path, size, box)


def with_mask(image: ImageInfo, mask: ImageInfo) -> ImageInfo:
    """The image with its mask.

    Raises:
        FileError: the mask has another shape, or leaves nothing of the image.
    """
    name = mask.path.name
    if shapes_differ(mask.size, image.size):
        sizes = {"size": str(mask.size), "other_size": str(image.size)}
        raise FileError(message("data.mask_other_shape", file=name, **sizes), image.path)
    assert mask.visible is not None
    across, down = image.size.width / mask.size.width, image.size.height / mask.size.height
    left, top, right, bottom = image.visible or (0, 0, *image.size)
    left, top = max(left, math.floor(mask.visible[0] * across)), max(top, math.floor(mask.visible[1] * down))
    right, bottom = min(right, math.ceil(mask.visible[2] * across)), min(bottom, math.ceil(mask.visible[3] * down))
    if left >= right or top >= bottom:
        raise FileError(message("data.mask_empty", file=name), image.path)
    return replace(image, visible=(left, top, right, bottom), mask=mask.path)


def load_transparent(path: Path, *, may_be_smaller: bool = False) -> Image.Image:
    """A whole image as RGBA in sRGB, upright, to be changed and written again.

    Args:
        path: its file.
        may_be_smaller: one that takes too much memory comes out scaled down instead of being refused.

    Raises:
        FileError: it cannot be read, or is too large.
    """
    rgb, alpha, _ = _whole(path, DecodingMemory(), may_be_smaller=may_be_smaller)
    image = rgb.convert("RGBA")
    if alpha is not None:
        image.putalpha(alpha)
    return image


def size_of(path: Path) -> Size:
    """The size of an image, upright, as its file says at its beginning; the rest of it may be broken.

    Raises:
        FileError: it is no image, or is too large.
    """
    with _image_file(path, DecodingMemory()) as image:
        return _upright_size(Size(*image.size), _orientation(image))


def load_small(path: Path, side: int, *, memory: DecodingMemory | None = None) -> Image.Image:
    """A copy to look at, no larger than ``side`` by ``side`` pixels: RGB, or RGBA where something is transparent.

    Args:
        memory: shared with others that are decoded at the same time.

    Raises:
        FileError: it cannot be read, or is too large.
    """
    memory = memory or DecodingMemory()
    with _image_file(path, memory) as image, memory.of(_decoding(image, path)):
        factor = max(1, max(image.size) // (2 * side))
        if image.format == "JPEG":
            _decode_smaller(image, factor)
            factor = max(1, max(image.size) // (2 * side))
        image.load()
        orientation = _orientation(image)
        rgb, alpha = as_rgb(image if factor == 1 else _shrunk(image, factor))
        if alpha is not None:
            rgb.putalpha(alpha)
        small = _upright(rgb, orientation)
        small.thumbnail((side, side))
        return small


def load_placed(
    path: Path, placement: Placement, *, mirrored: bool = False, size: Size | None = None,
    mask: Path | None = None, memory: DecodingMemory | None = None,
) -> tuple[Pixels, Mask | None]:  # fmt: skip
    """The part of an image that is trained: scaled, cropped, then mirrored.

    Args:
        path: its file.
        placement: made for its size.
        mirrored: left to right.
        size: what the image measured when the placement was made; another one now is refused.
        mask: an image of its shape that says how much each part of it counts, by its lightness.
        memory: shared with others that are decoded at the same time.

    Returns:
        sRGB, uint8 of shape (h, w, 3) for the frame (w, h); and how much each pixel counts, alpha times mask, float32
        of shape (h, w) from 0 to 1, or None if there is no mask and no part of the image is transparent.

    Raises:
        DataError: it cannot be read, is too large, or has another size than it had.
    """
    memory = memory or DecodingMemory()
    rgb, alpha, now = _load(path, memory)
    if size is not None and now != size:
        raise DataError("data.changed", where=str(path), before=str(size), now=str(now))
    pixels = np.array(_cut(rgb, placement))
    counts = None if alpha is None else _fractions(_cut(alpha, placement))
    if mask is not None:
        grey, mask_size = _grey(mask, memory)
        if shapes_differ(mask_size, now):
            raise DataError("data.changed", where=str(mask), before=str(now), now=str(mask_size))
        shown = _fractions(_cut(grey, placement))
        counts = shown if counts is None else counts * shown
    if mirrored:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        counts = None if counts is None else np.ascontiguousarray(counts[:, ::-1])
    return pixels, counts


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


def _load(path: Path, memory: DecodingMemory) -> tuple[Image.Image, Image.Image | None, Size]:
    """RGB over grey, and the alpha as L; upright, with the size that the file has."""
    rgb, alpha, size = _whole(path, memory, may_be_smaller=True)
    if alpha is None:
        return rgb, None, size
    # What is hidden under transparency would otherwise come out as a box or a fringe once the image is scaled.
    return Image.composite(rgb, Image.new("RGB", rgb.size, NEUTRAL), alpha), alpha, size


def _grey(path: Path, memory: DecodingMemory) -> tuple[Image.Image, Size]:
    """Lightness as L, black where it is transparent; upright, with the size that the file has."""
    rgb, alpha, size = _whole(path, memory, may_be_smaller=True)
    grey = rgb.convert("L")
    return (grey if alpha is None else ImageChops.multiply(grey, alpha)), size


def _whole(path: Path, memory: DecodingMemory, *, may_be_smaller: bool) -> tuple[Image.Image, Image.Image | None, Size]:
    """RGB as the file has it, also where it is transparent, and the alpha as L; upright, with the file's size.

    An image that would take too much memory with all that is made of it comes out scaled down, if it may.
    """
    with _image_file(path, memory) as image:
        size, decoding = Size(*image.size), _decoding(image, path)
        whole = decoding + size.area * _making(image)
        if not may_be_smaller:
            whole = max(whole, size.area * _VARYING)
        shrink = 1 if whole <= MOST_BYTES else math.ceil(math.sqrt(2 * whole / MOST_BYTES))
        if shrink > 1 and not may_be_smaller:
            raise too_many_pixels(size, path, MOST_BYTES * size.area // whole)
        with memory.of(min(whole, MOST_BYTES)):
            if shrink > 1 and image.format == "JPEG":
                _decode_smaller(image, shrink)
                shrink = -(-shrink * image.size[0] // size.width)
            image.load()
            orientation = _orientation(image)
            rgb, alpha = as_rgb(image if shrink == 1 else _shrunk(image, shrink))
            alpha = None if alpha is None else _upright(alpha, orientation)
            return _upright(rgb, orientation), alpha, _upright_size(size, orientation)


def _shrunk(image: Image.Image, factor: int) -> Image.Image:
    """Each square of so many pixels as their mean."""
    if image.mode.startswith("I;"):
        image = image.convert("I")
    elif image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    return image.reduce(factor)


def _decode_smaller(image: ImageFile.ImageFile, factor: int) -> None:
    """Have a JPEG's sides divided by a power of two up to ``factor`` while it is decoded."""
    width, height = image.size
    factor = max(power for power in (1, 2, 4, _SMALLEST_SHARE) if power <= factor)
    image.draft(image.mode, (max(1, width // factor), max(1, height // factor)))


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


def _fingerprint(image: Image.Image, size: Size) -> Fingerprint:
    orientation = _orientation(image)
    return fingerprint_of(image, size, lambda small: _upright(small, orientation))


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
    if LEFT_OUT in image.info:
        size = f"{image.info[LEFT_OUT] / 2**20:.0f}"
        notes.append((message("data.large_text", megabytes=size), message("data.text_unread")))
    if has_broken_profile(image):
        notes.append((message("data.broken_profile"), message("data.profile_unused")))
    return tuple(notes)


def _check_sums(path: Path, memory: DecodingMemory) -> None:
    """PNG has a check sum for each chunk, which decoding does not look at."""
    with open_file(path) as file:
        decoder(file, path, memory).verify()


# ---- files ----------------------------------------------------------------------------------------------------------


@contextmanager
def _image_file(path: Path, memory: DecodingMemory) -> Iterator[ImageFile.ImageFile]:
    """An image that is open, and within the limits; whatever goes wrong with it comes out as FileError."""
    try:
        with open_file(path) as file, decoder(file, path, memory) as image:
            _check_size(Size(*image.size), path)
            if image.format == "JPEG":
                _check_work(image, path)
            yield image
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(message("data.too_large_for_memory"), path) from error
    except Exception as error:
        raise FileError(_reason(error), path) from error


def _reason(error: Exception) -> Message:
    if isinstance(error, OSError) and (error.strerror or isinstance(error, NotAFile)):
        return message("data.cannot_open", reason=reason_of(error))
    if isinstance(error, Image.DecompressionBombError):
        return message("data.too_large", reason=str(error).partition(",")[0])
    return message("data.broken", reason=str(error).strip(" .") or type(error).__name__)


def _check_size(size: Size, path: Path) -> None:
    if size.width < 1 or size.height < 1:
        raise FileError(message("data.no_pixels", size=str(size)), path)
    if size.area > MOST_PIXELS:
        raise too_many_pixels(size, path, MOST_PIXELS)


# ---- memory ---------------------------------------------------------------------------------------------------------

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 9, "RGB": 4, "RGBA": 10, "CMYK": 4, "YCbCr": 4, "I;16": 8}
"""Of one pixel in an image of this mode as Pillow keeps it, with what is made of it to look at its alpha."""
_OTHER_BYTES = 14
_EXTRA_BYTES = {"WEBP": 8, "TIFF": 4, "GIF": 1, "AVIF": 8, "HEIF": 8, "JXL": 8}
"""What the decoder of a format keeps of each pixel beside that."""
_VARYING = 24
"""What it takes for each pixel of an image to turn the whole of it."""


def _decoding(image: ImageFile.ImageFile, path: Path) -> int:
    """How many bytes it takes at least to decode an image.

    Raises:
        FileError: too many.
    """
    size = Size(*image.size)
    if image.format == "JPEG":  # one that goes over its pixels several times keeps all their coefficients
        a_pixel = 6.0 if "progressive" in image.info else 4 / _SMALLEST_SHARE**2
    else:
        a_pixel = _PIXEL_BYTES.get(image.mode, _OTHER_BYTES) + _EXTRA_BYTES.get(image.format or "", 0)
    if size.area * a_pixel > MOST_BYTES:
        raise too_many_pixels(size, path, int(MOST_BYTES / a_pixel))
    return int(size.area * a_pixel)


def _making(image: ImageFile.ImageFile) -> int:
    """How many bytes a pixel everything takes that is made of an image on its way to RGB, turning included."""
    if image.mode.startswith("I") or image.mode == "F":
        return 30
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return 16
    return 12 if "icc_profile" in image.info else 8


def _check_work(image: ImageFile.ImageFile, path: Path) -> None:
    """Raises:
    FileError: a JPEG that goes over its pixels too often.
    """
    if "progressive" not in image.info:
        return
    scans, end = 0, b""
    with open_file(path) as file:
        while piece := file.read(2**20):
            scans += (end + piece).count(b"\xff\xda")
            end = piece[-1:]
    size = Size(*image.size)
    if scans * size.area > _MOST_WORK:
        raise FileError(message("data.too_many_passes", size=str(size), count=scans), path)
