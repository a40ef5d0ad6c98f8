"""Caption files: bytes to text, whatever program wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Caption:
    """What a caption file says.

    Attributes:
        text: one line, without spaces at its ends; may be empty.
        encoding: the file's, as users know it.
        certain: False if the encoding is no more than the least bad guess.
    """

    text: str
    encoding: str
    certain: bool = True


def read_caption(path: Path) -> Caption:
    """Raises:
    DataError: the file cannot be opened, or holds no text.
    """
    return Caption(" ".join(path.read_text("utf-8-sig").split()), "UTF-8")
