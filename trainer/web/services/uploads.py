"""Images dropped on the page, kept as files byte for byte; and small copies to show."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DataError
from ...paths import path_of, write_unless_there
from ...sets.names import safe_name

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 500_000_000
_LETTERS, _DIGITS = 60, 12
"""Of a kept image's name: how it was called, and what its content makes of it."""
_SHOWN = 640
"""Longest side of a small copy, in pixels."""


def kept(content: bytes, name: str, folder: Path) -> Path:
    """Keep an image as a file named as it was and after its content, so that the same one is kept once.

    Args:
        name: its file's name where it came from.

    Raises:
        DataError: it is not an image that can be read.
        OutputError: the folder cannot be written to, or the disk is full.
    """
    from ...data.files import IMAGE_ENDINGS
    from ...data.images.decoding import inspect_image, whole_files_only

    ending = name.rpartition(".")[2].lower()
    ending = ending if ending in IMAGE_ENDINGS else "png"
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    stem = Path(safe_name(name)).stem.removesuffix(f"-{digest}")[:_LETTERS].strip()
    path = folder / f"{stem or 'image'}-{digest}.{ending}"
    is_new = write_unless_there(path, [content])
    try:
        with whole_files_only():
            inspect_image(path)
    except DataError as error:
        if is_new:
            path.unlink(missing_ok=True)
        raise error.at(name) from error
    return path


def small(written: str) -> Image.Image:
    """A small copy of the image at this path, upright, with its transparency.

    Raises:
        UserError: it is no path, or there is no image that can be read.
    """
    from ...data.images.decoding import load_transparent

    image = load_transparent(path_of(written.strip('" ')), may_be_smaller=True)
    image.thumbnail((_SHOWN, _SHOWN))
    return image


def data_address(image: Image.Image) -> str:
    """A small image as a data URL."""
    content = io.BytesIO()
    transparent = image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)
    if transparent:
        image.save(content, "PNG")
    else:
        image.convert("RGB").save(content, "JPEG", quality=88)
    kind = "png" if transparent else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
