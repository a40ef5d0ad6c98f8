"""Masks that are drawn over images: kept beside them under the names that training looks for.

White counts in full, black not at all. The mask that was there before is set aside, and every change can be undone.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from PIL import Image

from ..config.size import Size
from ..data.buckets import shapes_differ
from ..data.images.decoding import size_of
from ..data.problems import FileError
from ..errors import DataError
from ..paths import write_whole
from ..text.messages import message
from .image_set import ASIDE, Done, ImageSet, Item, move
from .journal import Moved

MOST_BYTES: Final = 50_000_000
_MOST_SIDE: Final = 16384
_KEPT: Final = ".masks"
"""The folder among what is set aside that masks are in which are no longer, or not yet, used."""
_ENDING: Final = "-masklabel.png"


def put_mask(images: ImageSet, name: str, content: bytes) -> Done:
    """Give an image a mask in place of the one it may have; a mask that is white all over takes that away.

    Args:
        content: a PNG of the image's shape, of which the lightness counts.

    Raises:
        DataError: there is no such image, or the mask is none for it.
        OutputError: it cannot be written.
    """
    grey = _grey(content)
    with images.journal.held():
        item = images.item(name)
        size = _size(item)
        if shapes_differ(Size(*grey.size), size):
            raise DataError("sets.mask_other_size", where=name, size=str(size))
        moves = []
        if item.mask is not None:
            moves.append((item.mask, _free(images, item.mask.stem, item.mask.suffix)))
        if grey.getextrema() != (255, 255):
            moves.append((_written(images, item, grey), _place(item)))
        what = message("sets.did_mask", name=name)
        if moves:
            noted = [Moved(*(path.relative_to(images.folder).as_posix() for path in pair)) for pair in moves]
            images.journal.add(what, 1, moves=noted, apart=True)
            for one, two in moves:
                move(one, two)
        return Done(1 if moves else 0, (), what)


def mask_of(images: ImageSet, name: str) -> bytes | None:
    """The mask of an image as a grey PNG; None if it has none.

    Raises:
        DataError: there is no such image, or its mask cannot be read.
    """
    from ..data.images.decoding import load_small

    item = images.item(name)
    if item.mask is None:
        return None
    found = io.BytesIO()
    rgb = load_small(item.mask, _MOST_SIDE)
    black = Image.new("RGB", rgb.size)
    black.paste(rgb, mask=rgb.getchannel("A") if rgb.mode == "RGBA" else None)
    black.convert("L").save(found, "PNG")
    return found.getvalue()


def _grey(content: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if max(image.size) > _MOST_SIDE:
                raise DataError("sets.mask_no_image", problem=f"{image.width} × {image.height}")
            return image.convert("L")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError("sets.mask_no_image", problem=str(error).strip(" .")) from error


def _size(item: Item) -> Size:
    try:
        return size_of(item.path)
    except FileError as error:
        raise DataError("sets.mask_no_image", where=item.name, problem=error.problem) from error


def _place(item: Item) -> Path:
    """Where training looks for it first: in the file that there was, or beside the image."""
    if item.mask is not None and item.mask.suffix.lower() == ".png":
        return item.mask
    return item.path.with_name(item.path.stem + _ENDING)


def _written(images: ImageSet, item: Item, grey: Image.Image) -> Path:
    """The mask as a file that is not used yet."""
    content = io.BytesIO()
    grey.save(content, "PNG", optimize=True)
    return write_whole(images.folder / ASIDE / _KEPT / f"{item.path.stem}.png", [content.getvalue()])


def _free(images: ImageSet, stem: str, ending: str) -> Path:
    folder = images.folder / ASIDE / _KEPT
    number = 1
    while (folder / f"{stem}_before_{number}{ending}").exists():
        number += 1
    return folder / f"{stem}_before_{number}{ending}"
