"""How new words join the caption that an image has."""

from __future__ import annotations

from .tag_choice import SEPARATOR, plain

REPLACE, APPEND, PREPEND, MISSING = "replace", "append", "prepend", "missing"
MODES = (MISSING, APPEND, PREPEND, REPLACE)
"""Only where there is no caption; behind what is there; in front of it; in its place."""


def merged(before: str, new: str, mode: str, trigger: str = "") -> str | None:
    """The caption that an image gets; None if it keeps the one it has.

    Args:
        before: its caption; several lines are several captions, and each of them gets the words.
        new: the words for it, in one line.
        mode: one of :data:`MODES`. Words that the caption has already are not added a second time.
        trigger: put in front, unless the caption has it.
    """
    old = [line.strip() for line in before.splitlines() if line.strip()]
    if mode == MISSING and old:
        return None
    if mode == REPLACE or not old:
        lines = [new.strip()]
    else:
        lines = [_joined(line, new, behind=mode == APPEND) for line in old]
    lines = [with_trigger(line, trigger) for line in lines]
    after = "\n".join(line for line in lines if line)
    return None if not after or after == "\n".join(old) else after


def with_trigger(caption: str, trigger: str) -> str:
    """A caption with the trigger word in front, unless it begins with it or has it between commas."""
    word = " ".join(trigger.split()).strip(" ,")
    begins = f"{plain(caption)} ".startswith((f"{plain(word)} ", f"{plain(word)},"))
    if not word or begins or plain(word) in map(plain, caption.split(",")):
        return caption
    return f"{word}{SEPARATOR}{caption}" if caption else word


def _joined(line: str, new: str, *, behind: bool) -> str:
    there = {plain(part) for part in line.split(",")}
    added = [part.strip() for part in new.split(",") if part.strip() and plain(part) not in there]
    if not added:
        return line
    words = SEPARATOR.join(added)
    return f"{line.rstrip(' ,')}{SEPARATOR}{words}" if behind else f"{words}{SEPARATOR}{line.lstrip(' ,')}"
