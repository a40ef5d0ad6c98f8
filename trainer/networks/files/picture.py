"""The picture beside a LoRA, which WebUIs show in their lists."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...paths import is_file, open_file, write_whole

if TYPE_CHECKING:
    from PIL import Image

ENDING: Final = ".preview.png"
"""Of ours."""
_ENDINGS: Final = (ENDING, ".png", ".preview.jpg", ".jpg", ".preview.jpeg", ".jpeg", ".preview.webp", ".webp")
"""What a WebUI looks for beside a LoRA."""
_MADE: Final = "trainyard"
"""Under which a picture that was made by itself says so: what the user has put there instead stays."""


def picture_of(lora: Path) -> Path | None:
    """The picture beside a LoRA file, rather the user's than one made by itself; None if there is none."""
    there = [path for ending in _ENDINGS if is_file(path := lora.with_name(lora.stem + ending))]
    return next((path for path in there if not is_made(path)), there[0] if there else None)


def is_made(picture: Path) -> bool:
    """Whether it was made by :func:`write_picture`. False for what cannot be read."""
    from PIL import Image

    if not picture.name.endswith(ENDING):
        return False
    try:
        with open_file(picture) as file, Image.open(file) as opened:
            return _MADE in opened.info
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def write_picture(lora: Path, image: Image.Image) -> bool:
    """Write what a LoRA makes as its picture, unless it has one that was not made so.

    Returns:
        Whether it was written.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    from PIL import PngImagePlugin

    there = picture_of(lora)
    if there is not None and not is_made(there):
        return False
    content, texts = io.BytesIO(), PngImagePlugin.PngInfo()
    texts.add_text(_MADE, "strength 1")
    image.save(content, "PNG", pnginfo=texts)
    write_whole(lora.with_name(lora.stem + ENDING), [content.getvalue()], overwrite=True)
    return True
