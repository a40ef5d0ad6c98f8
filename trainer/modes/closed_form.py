"""What turns the states of prompts into those of others, as one linear map, in closed form.

Keys and values of cross-attention are linear in a prompt's states ``c``: ``W c``. So a change of ``c`` by a linear map
``R`` is an update ``W R`` of each such ``W``, the same ``R`` for all. It is found by least squares (Gandikota et al.
2024, UCE, has one such problem for each ``W``)::

    R = argmin  mean |R c - d|^2 + sum of w mean |R p|^2 + r diag(M)-weighted |R|^2  =  G M^-1
        G = mean d c^T        M = mean c c^T + sum of w mean p p^T + r diag(…)

``d`` is what ``c`` is to be changed by, ``p`` are the states that stay as they are, ``w`` their weights. Without the
share ``r``, a map that fits a few hundred prompts in many dimensions does anything to all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.base import Network

SHARE = 0.01
"""``r``: more of it loses the nearest neighbours, less changes other prompts more; measured in docs/ileco.md."""


@dataclass(frozen=True)
class Change:
    """A prompt's states ``(places, D)`` and what they are to be changed by, likewise."""

    states: Tensor
    by: Tensor


@dataclass(frozen=True)
class Held:
    """The states ``(places, D)`` of prompts that stay as they are, and how much their mean counts."""

    states: Sequence[Tensor]
    weight: float


@dataclass(frozen=True)
class LowRank:
    """A map ``left @ right``: ``(D, r)`` with orthonormal columns, and ``(r, D)``; float64 on the CPU."""

    left: Tensor
    right: Tensor


def solved(changes: Sequence[Change], held: Sequence[Held], rank: int) -> LowRank:
    """The map that changes these states and holds those, as well as one of this rank can, over the same prompts."""
    before, by = ([_double(getattr(each, name)) for each in changes] for name in ("states", "by"))
    moved = torch.cat(by).T @ torch.cat(before) / len(changes)  # G
    seen = _second_moment(before)
    for each in held:
        seen = seen + each.weight * _second_moment([_double(states) for states in each.states])
    seen = seen + SHARE * torch.diag(seen.diagonal().clamp(min=1e-12))  # M
    full = torch.linalg.solve(seen, moved.T).T
    # The best map of low rank, R M R^T being what M makes of it: R with its results in the largest directions.
    results = full @ moved.T
    _, directions = torch.linalg.eigh((results + results.T) / 2)  # in ascending order
    left = directions[:, -rank:].flip(1)
    return LowRank(left, left.T @ full)


def start(network: Network, change: LowRank) -> int:
    """Begin with a map of the prompt's states wherever the network reads them; in how many places that is."""
    readers = [adapter for adapter in network if adapter.reads_prompt]
    for adapter in readers:
        weight = adapter.weight.detach()
        left, right = (each.to(weight.device, torch.float32) for each in (change.left, change.right))
        adapter.start_as(weight.float() @ left, right)
    return len(readers)


def _second_moment(states: Sequence[Tensor]) -> Tensor:
    """The mean over prompts of ``c c^T``, summed over their places."""
    together = torch.cat(list(states))
    return together.T @ together / len(states)


def _double(states: Tensor) -> Tensor:
    return states.to("cpu", torch.float64)
