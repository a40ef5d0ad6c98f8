"""What makes one image of a prompt. Nothing heavy is imported here: the page asks before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.size import DEFAULT_SIZE, Size


@dataclass(frozen=True)
class ImageSpec:
    """One image to be made.

    Attributes:
        cfg: guidance scale; 1 or less leaves the negative prompt out.
        size: multiples of 8.
    """

    prompt: str
    negative: str = ""
    seed: int = 0
    steps: int = 20
    cfg: float = 7.0
    size: Size = DEFAULT_SIZE
