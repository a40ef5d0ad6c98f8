"""How large an image is, in pixels."""

from __future__ import annotations

from typing import Final, NamedTuple


class Size(NamedTuple):
    """Width before height, everywhere but in the JSON key ``image_size(height, width)``."""

    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"


DEFAULT_SIZE: Final = Size(512, 512)
"""What is made or trained where nothing else is said."""
