"""What both trainings share: a running average of the weights, and the learning rate's way down."""

from __future__ import annotations

import math

import torch
from torch import nn


class Average:
    """An exponential running average of a module's trained weights."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.decay = decay
        self.updates = 0
        self.averages = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))  # forget the start early on
        torch._foreach_lerp_(self.averages, [weight.detach() for weight in self.weights], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges weights and averages; a second call undoes it."""
        for weight, average in zip(self.weights, self.averages, strict=True):
            kept = weight.detach().clone()
            weight.copy_(average)
            average.copy_(kept)

    @torch.no_grad()
    def store(self) -> None:
        """Puts the averages into the module for good."""
        for weight, average in zip(self.weights, self.averages, strict=True):
            weight.copy_(average)


def cosine(step: int, steps: int, warm_up: int, hold: float = 0.0) -> float:
    """The learning rate's factor: a linear warm-up, a hold (share of all steps), then a half cosine down to 0.02."""
    if step < warm_up:
        return (step + 1) / warm_up
    begin = max(warm_up, int(hold * steps))
    progress = max(0.0, (step - begin) / max(1, steps - begin))
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
