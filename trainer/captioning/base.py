"""What describes an image, whatever does it: a tagger, a captioner, a server, a WebUI's interrogator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

GENERAL, CHARACTER, RATING = "general", "character", "rating"
"""Categories of tags; those that a tagger may have beside them count as general."""

_MOST_OF_REASON = 300
"""Characters."""

Check = Callable[[], None]
"""Called again and again; raises ``Stopped`` where the work is no longer wanted."""


@dataclass(frozen=True)
class Tag:
    """A tag that a tagger may give an image.

    Attributes:
        name: as the tagger has it, with underscores.
        score: how sure it is, 0 to 1.
        category: :data:`GENERAL`, :data:`CHARACTER` or :data:`RATING`.
    """

    name: str
    score: float
    category: str = GENERAL


@dataclass(frozen=True)
class Description:
    """What was found in an image: tags, of which some are chosen, or a text.

    Attributes:
        tags: all that the tagger knows or thinks likely, in any order.
        text: as the captioner wrote it; empty where there are tags.
    """

    tags: tuple[Tag, ...] = ()
    text: str = ""


class Captioner(Protocol):
    """Ready to describe images; :meth:`close` gives its memory back."""

    def describe(self, image: Image.Image, check: Check) -> Description:
        """Look at one image.

        Args:
            image: RGBA, upright, in sRGB.
            check: raises ``Stopped``, which comes out of here soon.

        Raises:
            UserError: it cannot be done.
        """

    def close(self) -> None:
        """Give back the memory. Nothing is described afterwards."""


def over_white(image: Image.Image) -> Image.Image:
    """RGB of an RGBA image: what is transparent becomes white."""
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def first_line(error: Exception) -> str:
    """Why a library failed, to be put into a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_MOST_OF_REASON]
