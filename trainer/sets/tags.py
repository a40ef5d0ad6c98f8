"""A caption as the tags between its commas, and what is done to the captions of many images at once.

A caption of several lines is several captions: each line is changed by itself. What leaves its tags as they are leaves
the text as it is, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from ..data.files import natural_key
from ..errors import UserError

SEPARATOR: Final = ","
Kind = Literal["add", "front", "remove", "replace", "replace_text", "sort", "tidy"]
KINDS: Final = get_args(Kind)


@dataclass(frozen=True)
class TagCount:
    """A tag, as it is mostly written, and how many captions have it."""

    tag: str
    count: int


@dataclass(frozen=True)
class Change:
    """What is to be done to captions.

    Attributes:
        kind: *add* appends tags that are not there yet; *front* puts tags in front, adding them with ``adds``;
            *remove* takes them out; *replace* puts ``by`` in the place of a tag; *replace_text* the same for any part
            of the text, as it is written; *sort* orders them, after the first ``keep``; *tidy* takes out tags that
            are there twice, and empty ones.
        tags: what it is about; of *replace_text* the text alone.
        by: what takes their place.
        adds: whether *front* adds tags that a caption lacks.
        keep: how many tags at the beginning *sort* leaves where they are.
    """

    kind: Kind
    tags: tuple[str, ...] = ()
    by: str = ""
    adds: bool = False
    keep: int = 0

    def __post_init__(self) -> None:
        """Raises:
        UserError: it lacks what it is about.
        """
        if self.kind not in KINDS:
            raise UserError("sets.no_such_change", where=str(self.kind), known=list(KINDS))
        if self.kind not in ("sort", "tidy") and not any(each.strip() for each in self.tags):
            raise UserError("sets.no_tags_given")

    def of(self, caption: str) -> str:
        """A caption as it is afterwards."""
        if self.kind == "replace_text":
            return caption.replace(self.tags[0], self.by)
        return "\n".join(self._of_line(line) for line in caption.split("\n"))

    def _of_line(self, line: str) -> str:
        before = _split(line)
        after = _WORK[self.kind](self, before)
        has_empty = self.kind == "tidy" and line.count(SEPARATOR) >= max(1, len(before))
        return line if after == before and not has_empty else f"{SEPARATOR} ".join(after)


def tags_of(caption: str) -> list[str]:
    """The tags of all lines, in their order."""
    return [tag for line in caption.split("\n") for tag in _split(line)]


def folded(tag: str) -> str:
    """By what a tag is found, however it is written: ``Blue_Eyes`` is ``blue eyes``, but ``^_^`` has its own sign."""
    plain = " ".join(tag.split())
    return (plain.replace("_", " ") if len(plain) > _SMILEY else plain).casefold()


_SMILEY: Final = 3
"""Characters at most of a tag whose underscores are a face's."""


def written_tags(text: str) -> tuple[str, ...]:
    """The tags of a text that was typed, each once."""
    return tuple(_once(_split(text.replace("\n", SEPARATOR))))


def tag_counts(captions: Iterable[str]) -> list[TagCount]:
    """How many captions have each tag, the most frequent first, and those alike by their names."""
    counts: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for caption in captions:
        found = {folded(tag): tag for tag in reversed(tags_of(caption))}
        counts.update(found.keys())
        for key, tag in found.items():
            spellings.setdefault(key, Counter())[tag] += 1
    ordered = sorted(counts.items(), key=lambda each: (-each[1], natural_key(each[0])))
    return [TagCount(spellings[key].most_common(1)[0][0], count) for key, count in ordered]


def has_tags(caption: str, wanted: Collection[str], unwanted: Collection[str] = ()) -> bool:
    """Whether a caption has all tags of the first, and none of the second."""
    there = {folded(tag) for tag in tags_of(caption)}
    return {folded(tag) for tag in wanted} <= there and there.isdisjoint(folded(tag) for tag in unwanted)


# ---- one line -------------------------------------------------------------------------------------------------------


def _split(line: str) -> list[str]:
    return [tag for tag in (" ".join(part.split()) for part in line.split(SEPARATOR)) if tag]


def _once(tags: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(folded(tag), tag)
    return list(found.values())


def _add(change: Change, tags: list[str]) -> list[str]:
    there = {folded(tag) for tag in tags}
    return [*tags, *(tag for tag in change.tags if folded(tag) not in there)]


def _front(change: Change, tags: list[str]) -> list[str]:
    own = {folded(tag): tag for tag in reversed(tags)}
    wanted = [folded(tag) for tag in change.tags]
    first = [own.get(key, tag) for key, tag in zip(wanted, change.tags, strict=True) if change.adds or key in own]
    return [*first, *(tag for tag in tags if folded(tag) not in wanted)]


def _remove(change: Change, tags: list[str]) -> list[str]:
    gone = {folded(tag) for tag in change.tags}
    return [tag for tag in tags if folded(tag) not in gone]


def _replace(change: Change, tags: list[str]) -> list[str]:
    old, new = {folded(tag) for tag in change.tags}, _split(change.by)
    if not any(folded(tag) in old for tag in tags):
        return tags
    found = [each for tag in tags for each in (new if folded(tag) in old else [tag])]
    return _once(found)


def _sort(change: Change, tags: list[str]) -> list[str]:
    return [*tags[: change.keep], *sorted(tags[change.keep :], key=natural_key)]


def _tidy(change: Change, tags: list[str]) -> list[str]:
    del change
    return _once(tags)


_WORK: Mapping[str, Callable[[Change, list[str]], list[str]]] = MappingProxyType(
    {"add": _add, "front": _front, "remove": _remove, "replace": _replace, "sort": _sort, "tidy": _tidy}
)
