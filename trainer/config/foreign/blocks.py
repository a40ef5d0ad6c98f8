"""sd-scripts' learning rates of blocks, as Trainyard writes them."""

from __future__ import annotations

import math
from typing import Any

from .synonyms import Given, as_list, as_number, is_on

_SD1, _SDXL = 12, 9
"""How many blocks the way down and the way up have."""


def rates_of_blocks(given: Given) -> tuple[str, bool]:
    """Factors of learning rates as ``IN04=0.5, M00=2``, and whether they say all that was given.

    The ways down and up have twelve blocks, and nine in SDXL, whose middle block has three parts; here it is one.
    Instead of a list there may be the name of a curve.
    """
    down, middle, up = (given.value(f"network_args.{name}_lr_weight") for name in ("down", "mid", "up"))
    threshold = given.number("network_args.block_lr_zero_threshold") or 0.0
    lengths = [len(_numbers(each)) for each in (down, up)]
    is_sdxl = is_on(given.value("sdxl")) or _SDXL in lengths or len(_numbers(middle)) == 3
    count = _SDXL if is_sdxl else _SD1
    centre = _numbers(middle)
    rates = [
        *_named("IN", _curve(down, count)),
        *_named("M", centre[len(centre) // 2 : len(centre) // 2 + 1]),
        *_named("OUT", _curve(up, count)),
    ]
    kept = [f"{name}={rate if rate > threshold else 0:g}" for name, rate in rates if rate != 1]
    by_curve = any(each is not None and not _numbers(each) for each in (down, up))
    family_is_told = is_sdxl or given.value("sdxl") is not None or _SD1 in lengths
    return ", ".join(kept), len(set(centre)) <= 1 and (family_is_told or not by_curve)


def _named(kind: str, rates: list[float]) -> list[tuple[str, float]]:
    return [(f"{kind}{number:02}", rate) for number, rate in enumerate(rates)]


def _numbers(value: Any) -> list[float]:
    parts = value.split(",") if isinstance(value, str) else as_list(value)
    numbers = [as_number(part) for part in parts]
    return [] if None in numbers else [number for number in numbers if number is not None]


def _curve(value: Any, count: int) -> list[float]:
    """The factors of one way; too many are cut off."""
    if value is None:
        return []
    numbers = _numbers(value)
    if numbers:
        return numbers[:count]
    name, _, base = str(value).partition("+")
    rising = [number / (count - 1) for number in range(count)]
    sine = [math.sin(math.pi * each / 2) for each in rising]
    curves = {"sine": sine, "cosine": sine[::-1], "linear": rising, "reverse_linear": rising[::-1]}
    return [round(each + (as_number(base) or 0.0), 6) for each in curves.get(name.strip(), [0.0] * count)]
