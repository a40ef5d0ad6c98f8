"""Settings given as text: ``key=value`` per line or set off by ``;``, the values written as Python writes them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..errors import WrongValue
from .choices import BLOCKS

_WORD = re.compile(r"[^\W\d][\w.\-]*")
_MOST_FACTOR: Final = 100
_BARE: tuple[tuple[str, Any], ...] = (("true", True), ("false", False), ("none", None))


def parse_literals(text: str) -> dict[str, Any]:
    """``"betas=0.9,0.99; weight_decay=0.01"`` as ``{"betas": (0.9, 0.99), "weight_decay": 0.01}``.

    A bare word is taken as text, a trailing comma is forgiven.

    Raises:
        WrongValue: a part cannot be read.
    """
    found: dict[str, Any] = {}
    for part in _parts(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise WrongValue("config.no_equals", part=part)
        if not key.isidentifier():
            raise WrongValue("config.no_key", key=key)
        if key in found:
            raise WrongValue("config.key_twice", key=key)
        found[key] = _value(key, value)
    return found


def split_prompts(text: str) -> tuple[str, ...]:
    """Several prompts out of one text: one per line or set off by ``;``, each once, in their order."""
    stripped = (part.strip() for part in re.split(r"[;\r\n]", text))
    return tuple(dict.fromkeys(part for part in stripped if part))


def split_lines(text: str) -> tuple[str, ...]:
    """One prompt a line; at least one, which may be empty."""
    return tuple(line.strip() for line in text.rstrip().split("\n"))


def prompt_pairs(originals: str, targets: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines of both texts, which belong together one by one; without any target every one of them is empty."""
    found, wanted = split_lines(originals), tuple(line.strip() for line in targets.split("\n"))
    if not any(wanted):
        return found, ("",) * len(found)
    return found, wanted[:-1] if len(wanted) == len(found) + 1 and not wanted[-1] else wanted


def split_loras(text: str) -> tuple[tuple[str, float], ...]:
    """Names of LoRA files with their strengths, ``name:0.8`` or ``name`` for 1; one per line or set off by ``;``."""
    found = []
    for entry in split_prompts(text):
        name, _, strength = entry.rpartition(":")
        try:
            found.append((name.strip(), float(strength)) if name else (entry, 1.0))
        except ValueError:  # the colon is part of the path
            found.append((entry, 1.0))
    return tuple(found)


def split_block_rates(text: str) -> dict[str, float]:
    """``"IN04=0.5, OUT=0"`` as ``{"IN04": 0.5, "OUT": 0.0}``: factors of single blocks and of all of a kind.

    Raises:
        WrongValue: a part cannot be read, or names no block.
    """
    kinds = list(dict.fromkeys(_kind_of(block) for block in BLOCKS))
    found: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in re.split(r"[,，、;\r\n]", text))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name = name.upper()
        if not equals:
            raise WrongValue("config.no_block_rate", part=part)
        if name not in (*BLOCKS, *kinds):
            raise WrongValue("config.no_block_of_rate", name=name, kinds=kinds)
        if name in found:
            raise WrongValue("config.key_twice", key=name)
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not 0 <= found[name] <= _MOST_FACTOR:
            raise WrongValue("config.wrong_block_rate", name=name, value=value, most=_MOST_FACTOR)
    return found


def rate_of_block(rates: Mapping[str, float], block: str | None) -> float:
    """The factor of a block's learning rate, as :func:`split_block_rates` found it; 1 where none is given."""
    if block is None:
        return 1.0
    return rates.get(block, rates.get(_kind_of(block), 1.0))


def _kind_of(block: str) -> str:
    """``IN`` of ``IN04``."""
    return block.rstrip("0123456789")


def _parts(text: str) -> Iterator[str]:
    """The text between line breaks and ``;``, save those inside quotes and brackets."""
    start, depth, quote = 0, 0, ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == ";" or (character in "\n\r" and depth <= 0):
            yield from _piece(text[start:place])
            start, depth = place + 1, 0
    yield from _piece(text[start:])


def _piece(text: str) -> Iterator[str]:
    piece = text.strip().rstrip(",").rstrip()
    if piece:
        yield piece


def _value(key: str, text: str) -> Any:
    if not text:
        raise WrongValue("config.no_value", key=key)
    if text.lower() in dict(_BARE):
        return dict(_BARE)[text.lower()]
    if _WORD.fullmatch(text) and text.lower() not in ("nan", "inf", "infinity"):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        wrong = "config.two_in_one_value" if "=" in text else "config.unreadable_value"
        raise WrongValue(wrong, key=key, text=text) from error
    if not _finite(value):
        raise WrongValue("config.infinite_value", key=key)
    return value


def _finite(value: Any) -> bool:
    if isinstance(value, (tuple, list, set)):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
