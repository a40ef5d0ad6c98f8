"""``(tag:1.2)``, ``(tag)``, ``[tag]`` and ``\\(`` in a text, as the WebUIs read them in prompts."""

from __future__ import annotations

import re

import torch
from torch import Tensor

_STEP = 1.1
"""What a pair of brackets multiplies by; square ones divide."""
_MOST = 1000
_PIECES = re.compile(r"\\[()\[\]\\]|:\s*([+-]?[.\d]+)\s*\)|[()\[\]]|[^()\[\]\\:]+|.", re.DOTALL)


def emphasised(text: str) -> list[tuple[str, float]]:
    """The text in pieces, each with the factor of its tokens; neighbours have different ones.

    A bracket that is never closed counts up to the end; one that was never opened is text, and so are more of them than
    anybody writes.
    """
    if sum(map(text.count, "([")) > _MOST:
        return [(text, 1.0)]
    pieces: list[tuple[str, float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(bracket: str, factor: float) -> None:
        start = opened[bracket].pop()
        pieces[start:] = [(piece, weight * factor) for piece, weight in pieces[start:]]

    for match in _PIECES.finditer(text):
        piece, number = match[0], _number(match[1])
        if piece in opened:
            opened[piece].append(len(pieces))
        elif number is not None and opened["("]:
            multiply("(", number)
        elif piece == ")" and opened["("]:
            multiply("(", _STEP)
        elif piece == "]" and opened["["]:
            multiply("[", 1 / _STEP)
        else:
            pieces.append((piece[1:] if piece[0] == "\\" and len(piece) > 1 else piece, 1.0))
    for bracket, factor in (("(", _STEP), ("[", 1 / _STEP)):
        while opened[bracket]:
            multiply(bracket, factor)
    return _merged(pieces)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _merged(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for piece, weight in pieces:
        if found and found[-1][1] == weight:
            found[-1] = found[-1][0] + piece, weight
        else:
            found.append((piece, weight))
    return found


def weighted(states: Tensor, weights: Tensor) -> Tensor:
    """Hidden states with the factors of their tokens; each window keeps its mean.

    Args:
        states: ``(B, 77·k, D)``.
        weights: ``(B, k, 77)``.
    """
    windows = states.reshape(*weights.shape, -1).float()
    heavier = windows * weights.to(windows.device)[..., None]
    means = windows.mean((2, 3), keepdim=True) / heavier.mean((2, 3), keepdim=True)
    changed = torch.where((weights != 1).any(-1).to(windows.device)[..., None, None], heavier * means, windows)
    return changed.to(states.dtype).reshape(states.shape)
