"""From what was found in an image to the words of its caption: which tags, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .base import CHARACTER, GENERAL, RATING, Description, Tag

SEPARATOR = ", "
_ORDER = (CHARACTER, GENERAL, RATING)
_SIDE = r"[^a-z0-9_]*[a-z0-9]?[^a-z0-9_]*"
_FACE = re.compile(rf"{_SIDE}_{_SIDE}", re.IGNORECASE)
"""At most one letter or digit on each side: ``^_^``, ``o_o``, ``(o)_(o)``, ``||_||``."""
_LONGEST_FACE = 7
_BRACKET = re.compile(r"(?<!\\)[()\[\]]")


@dataclass(frozen=True)
class TagChoice:
    """Which tags become words.

    Attributes:
        threshold: how sure the tagger must be of a general tag, 0 to 1.
        character_threshold: the same for a character's name.
        unwanted: tags that are left out; :func:`plain` of each.
        rating: whether the likeliest rating is one of them, at the end.
        underscores: whether those between words stay.
        escape: whether brackets get a backslash, as a prompt needs it where they are not emphasis.
    """

    threshold: float = 0.35
    character_threshold: float = 0.85
    unwanted: frozenset[str] = frozenset()
    rating: bool = False
    underscores: bool = False
    escape: bool = False


def plain(tag: str) -> str:
    """A tag by which it is the same one, however it is written: ``Smile_(Arms)`` and ``smile \\(arms\\)``."""
    return " ".join(tag.replace("\\", "").replace("_", " ").casefold().split())


def unwanted_in(written: str) -> frozenset[str]:
    """Tags separated by commas or line breaks, as :attr:`TagChoice.unwanted` has them."""
    return frozenset(filter(None, map(plain, re.split(r"[,\n]", written))))


def words_of(found: Description, choice: TagChoice) -> str:
    """The words for a caption; empty if nothing is left.

    Of a text, those parts between commas are left out that are unwanted tags.
    """
    if found.text:
        parts = [part for part in found.text.split(",") if plain(part) not in choice.unwanted]
        return " ".join(",".join(parts).split()).strip(" ,")
    return SEPARATOR.join(written(tag.name, choice) for tag in chosen(found.tags, choice))


def chosen(tags: Iterable[Tag], choice: TagChoice) -> list[Tag]:
    """The tags that are sure enough and wanted: characters, then general ones, each from the surest; then a rating."""
    wanted = sorted((tag for tag in tags if plain(tag.name) not in choice.unwanted), key=lambda tag: -tag.score)
    ratings = [tag for tag in wanted if tag.category == RATING][: int(choice.rating)]
    least = {CHARACTER: choice.character_threshold, RATING: 0.0}
    sure = [tag for tag in wanted if tag.category != RATING and tag.score >= least.get(tag.category, choice.threshold)]
    return sorted([*sure, *ratings], key=lambda tag: _ORDER.index(tag.category))


def written(name: str, choice: TagChoice) -> str:
    """A tag as it stands in a caption."""
    is_face = len(name) <= _LONGEST_FACE and _FACE.fullmatch(name)
    text = name if choice.underscores or is_face else " ".join(name.replace("_", " ").split())
    return _BRACKET.sub(r"\\\g<0>", text) if choice.escape else text
