"""What is made of a caption at each step: tags in another order or left out, a line or a wildcard drawn, none at all.

The order of operations is sd-scripts': whether the caption is left out altogether, its line, prefix and suffix,
wildcards, shuffle, tags left out, secondary separator. What is drawn comes from a generator that is handed in, so a run
that is resumed makes the same captions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...config.settings import Settings

_JOINED = ", "
"""What tags are put together with, whatever they were taken apart at."""
_COUNT = re.compile(r"(\d+)(?:-(\d+))?\$\$(?:([^{}|]*?)\$\$)?")
"""``2$$``, ``1-3$$`` or ``2$$ and $$`` at the beginning of a wildcard: how many are taken, and what is between them."""
_DEEPEST = 50
"""Wildcards within wildcards; deeper braces are text."""


def with_trigger(trigger: str, caption: str) -> str:
    """The trigger word, then the caption; either alone where the other is empty, and the caption as it is where it has
    the word: doubled, the word would be learned in front of a caption that nobody writes."""
    trigger = trigger.strip()
    if has_trigger(caption, trigger):
        return caption
    return _JOINED.join(part for part in (trigger, caption) if part)


def has_trigger(caption: str, trigger: str) -> bool:
    """Whether a caption has a trigger word anywhere, in whatever case, as a word of its own."""
    trigger = trigger.strip()
    return bool(trigger) and _word(trigger).search(caption) is not None


def begins_with(caption: str, trigger: str) -> bool:
    """Whether a caption begins with a trigger word, in whatever case, as a word of its own."""
    trigger = trigger.strip()
    return bool(trigger) and _word(trigger).match(caption) is not None


def without_trigger(caption: str, trigger: str, filler: str = "") -> str:
    """A caption with something else, or nothing, wherever it has the trigger word, in whatever case."""
    trigger = trigger.strip()
    if not trigger:
        return caption
    found = _word(trigger).sub(lambda _match: filler, caption)
    if filler or found == caption:
        return found
    return _JOINED.join(filter(None, (" ".join(tag.split()) for tag in found.split(","))))


def _word(trigger: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(trigger)}(?!\w)", flags=re.IGNORECASE)


@dataclass(frozen=True)
class CaptionRules:
    """What the settings make of captions."""

    trigger: str
    lines: str
    prefix: str
    suffix: str
    wildcards: bool
    shuffle: bool
    keep: int
    keep_separator: str
    separator: str
    secondary_separator: str
    dropout: float
    dropout_epochs: int
    tag_dropout: float

    @staticmethod
    def of(settings: Settings) -> CaptionRules:
        return CaptionRules(
            trigger=settings.lora_trigger_word.strip(),
            lines=settings.caption_lines,
            prefix=settings.caption_prefix.strip(),
            suffix=settings.caption_suffix.strip(),
            wildcards=settings.caption_wildcards,
            shuffle=settings.caption_shuffle,
            keep=settings.caption_keep_tokens,
            keep_separator=settings.caption_keep_tokens_separator.strip(),
            separator=settings.caption_separator.strip() or ",",
            secondary_separator=settings.caption_secondary_separator.strip(),
            dropout=settings.caption_dropout_rate,
            dropout_epochs=settings.caption_dropout_every_n_epochs,
            tag_dropout=settings.caption_tag_dropout_rate,
        )

    def varies(self, written: str) -> bool:
        """Whether a caption may differ from step to step."""
        return (
            self.dropout > 0
            or self.dropout_epochs > 0
            or self.tag_dropout > 0
            or self.shuffle
            or (self.lines == "random" and "\n" in written)
            or (self.wildcards and "{" in written + self.prefix + self.suffix + self.trigger)
        )

    def plain(self, written: str) -> str:
        """The caption where nothing is drawn: the first line, the first of each wildcard, all tags in their order."""
        return self._made(written, None)

    def drawn(self, written: str, generator: random.Random, epoch: int) -> str:
        """The caption of one step.

        Args:
            written: what the file says, a line of it a line, without the trigger word.
            generator: what is drawn comes from it.
            epoch: counted from 1.
        """
        left_out = self.dropout > 0 and generator.random() < self.dropout
        if left_out or (self.dropout_epochs > 0 and epoch % self.dropout_epochs == 0):
            return ""
        return self._made(written, generator)

    def _made(self, written: str, generator: random.Random | None) -> str:
        caption, trigger = self._line(written, generator), self.trigger
        if self.wildcards:
            trigger = with_wildcards(trigger, generator).strip()
        first = next((word for word in (self.trigger, trigger) if self.prefix and begins_with(caption, word)), "")
        if first:  # which stays in front of the prefix
            caption = caption[len(first) :].lstrip(f"{self.separator} ")
        caption = " ".join(part for part in (self.prefix, caption, self.suffix) if part)
        if self.wildcards:  # before it is known whether the caption has the trigger word
            caption = with_wildcards(caption, generator)
        if first:  # even where the rest has the word once more
            caption = _JOINED.join(part for part in (trigger, caption) if part)
        else:
            caption = with_trigger(trigger, caption)
        divides = bool(self.keep_separator) and self.keep_separator in caption
        if divides or (generator is not None and (self.shuffle or self.tag_dropout > 0)):
            caption = _JOINED.join(self._tags(caption, trigger, generator))
        if self.secondary_separator:
            caption = caption.replace(self.secondary_separator, self.separator)
        return caption

    def _line(self, written: str, generator: random.Random | None) -> str:
        lines = written.split("\n")
        if self.lines == "joined":
            return " ".join(lines)
        return generator.choice(lines) if generator is not None and self.lines == "random" else lines[0]

    def _tags(self, caption: str, trigger: str, generator: random.Random | None) -> list[str]:
        first, free, last = self._divided(caption, trigger)
        if generator is not None and self.shuffle:
            called = [tag for tag in free if self._calls(tag, trigger)]
            free = [tag for tag in free if not self._calls(tag, trigger)]
            first = [*first, *called] if begins_with(caption, trigger) else [*called, *first]
            generator.shuffle(free)
        if generator is not None and self.tag_dropout > 0:
            free = [tag for tag in free if self._calls(tag, trigger) or generator.random() >= self.tag_dropout]
        return [*first, *free, *last]

    def _divided(self, caption: str, trigger: str) -> tuple[list[str], list[str], list[str]]:
        """The tags that stay at the beginning, those that may move or go, and those that stay at the end."""
        if self.keep_separator and self.keep_separator in caption:
            first, *rest = caption.split(self.keep_separator, 2)
            return self._split(first), self._split(rest[0]), self._split(rest[1]) if len(rest) > 1 else []
        tags = self._split(caption)
        keep = self.keep
        if begins_with(caption, trigger):
            keep = max(keep, len(self._split(trigger)))
        return tags[:keep], tags[keep:], []

    def _calls(self, tag: str, trigger: str) -> bool:
        """Whether a tag has the trigger word, or is one of the tags that it is made of."""
        parts = {part.casefold() for part in self._split(trigger)}
        return has_trigger(tag, trigger) or tag.casefold() in parts

    def _split(self, text: str) -> list[str]:
        return [tag.strip() for tag in text.split(self.separator) if tag.strip()]


# ---- wildcards ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wildcard:
    """``{a|b}``: texts to draw from, how many, and what is put between them."""

    alternatives: tuple[_Text, ...]
    least: int = 1
    most: int = 1
    between: str = _JOINED


_Text = tuple["str | _Wildcard", ...]


def with_wildcards(text: str, generator: random.Random | None) -> str:
    """The text with one of the alternatives for each ``{a|b}``; the first where there is no generator.

    Wildcards may be inside each other. ``{2$$a|b|c}`` takes two different ones, ``{1-2$$ and $$a|b|c}`` one or two with
    "and" between them. ``{{`` and ``}}`` are braces, and so is one without its partner.
    """
    return _drawn(_parsed(text), generator)


def _drawn(text: _Text, generator: random.Random | None) -> str:
    return "".join(part if isinstance(part, str) else _of_wildcard(part, generator) for part in text)


def _of_wildcard(wildcard: _Wildcard, generator: random.Random | None) -> str:
    alternatives = wildcard.alternatives
    most = min(wildcard.most, len(alternatives))
    least = min(wildcard.least, most)
    if generator is None:
        chosen: Sequence[_Text] = alternatives[:least]
    elif (least, most) == (1, 1):
        chosen = (generator.choice(alternatives),)
    else:
        chosen = generator.sample(alternatives, generator.randint(least, most))
    return wildcard.between.join(_drawn(each, generator) for each in chosen)


def _parsed(text: str) -> _Text:
    """A text in parts; a wildcard is one once its closing brace is found, else its braces are text like any other."""
    open_ones: list[_Open] = []
    parts: list[str | _Wildcard] = []
    at, escaped = 0, 0
    while at < len(text):
        inner = open_ones[-1] if open_ones else None
        two, here = text[at : at + 2], text[at]
        if two == "{{" or (two == "}}" and (inner.escaped if inner else escaped or not open_ones)):
            change = 1 if here == "{" else -1
            if inner:
                inner.escaped += change
            else:
                escaped = max(0, escaped + change)
            (inner.parts if inner else parts).append(here)
            at += 2
            continue
        at += 1
        if here == "{" and len(open_ones) < _DEEPEST:
            count = _COUNT.match(text, at)
            open_ones.append(_Open(text[at - 1 : count.end() if count else at], count))
            at = count.end() if count else at
        elif here == "|" and inner:
            inner.alternatives.append(tuple(inner.parts))
            inner.parts = []
        elif here == "}" and inner:
            open_ones.pop()
            (open_ones[-1].parts if open_ones else parts).extend(inner.closed())
        else:
            (inner.parts if inner else parts).append(here)
    for each in open_ones:
        parts.extend(each.unclosed())
    return tuple(parts)


class _Open:
    """A wildcard whose closing brace has not come yet."""

    def __init__(self, beginning: str, count: re.Match[str] | None) -> None:
        self.alternatives: list[_Text] = []
        self.parts: list[str | _Wildcard] = []
        self.escaped = 0
        self._beginning = beginning
        self._count = count

    def closed(self) -> _Text:
        if not self.parts and not self.alternatives:
            return (*self.unclosed(), "}")
        alternatives = (*self.alternatives, tuple(self.parts))
        if not self._count:
            return (_Wildcard(alternatives),)
        least, most, between = self._count.groups()
        return (_Wildcard(alternatives, int(least), int(most or least), _JOINED if between is None else between),)

    def unclosed(self) -> _Text:
        found: list[str | _Wildcard] = [self._beginning]
        for each in self.alternatives:
            found += [*each, "|"]
        return (*found, *self.parts)
