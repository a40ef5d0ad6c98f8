"""Words that a model takes for one another, by what its text encoders make of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..models.base import Bundle
from ..models.memory_trace import META
from ..models.placement import device_of
from .anchors import Anchors

_ALIKE = 0.1
"""Of the squared distance that a concept goes: what lies nearer is taken for it."""


@torch.no_grad()
def taken_for(bundle: Bundle, concept: str, others: Sequence[str]) -> list[str]:
    """The words of a concept's kind that the model takes for the concept itself; no network is on.

    They cannot stay while the concept goes. Such are words a model does not know, beside one that changes nothing.

    Args:
        others: what the concept becomes.
    """
    kind, ends = Anchors(concept, others).of_its_kind(), [each for each in others if each]
    if not kind or device_of(bundle.denoiser) == META:
        return []
    states = bundle.family.states_of(bundle.encode([concept, *kind, *ends])).float()
    away = (states[1:] - states[0]).square().sum((1, 2))
    whole = away[len(kind) :].max() if ends else away.max()
    return [each for each, distance in zip(kind, away, strict=False) if distance < _ALIKE * whole]


def same_words(bundle: Bundle, prompt_pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The prompts of pairs that the model takes for other words, with those; no network is on.

    Args:
        prompt_pairs: prompts, and what they become; where that is empty, nothing can be told.
    """
    every = [pair for pair in prompt_pairs if all(pair)]
    turned = [*every, *(pair[::-1] for pair in every)]
    return {one: same for one, other in turned if (same := taken_for(bundle, one, (other,)))}
