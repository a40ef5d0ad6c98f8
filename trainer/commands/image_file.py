"""Image files that commands write."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError


def check_ending(path: Path) -> None:
    """Reported before a minute is spent on the image.

    Raises:
        UserError: the name is not that of an image file.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp") or path.is_dir():
        raise UserError("commands.no_image_name", where=str(path))


def save_image(image: object, path: Path) -> None:
    """Write a Pillow image or a matplotlib figure.

    Raises:
        UserError: the folder cannot be written to, or neither Pillow nor matplotlib knows the ending.
    """
    write = getattr(image, "savefig", None) or image.save  # type: ignore[attr-defined]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except (OSError, ValueError) as error:
        raise UserError("commands.image_not_written", where=str(path), reason=error) from error
