"""Which timesteps a step is trained at: densities over the window that the settings leave open."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from .random import StepRandom

_TENTHS = 10


class Density(ABC):
    """How often each timestep is drawn. A family says which is its own."""

    @abstractmethod
    def draw(self, random: StepRandom, count: int, low: int, high: int) -> Tensor:
        """``count`` timesteps from ``[low, high)``, int64, each drawn independently."""

    @abstractmethod
    def sweep(self, random: StepRandom, count: int, low: int, high: int) -> Tensor:
        """``count`` timesteps that sweep ``[low, high)`` evenly, int64: its tenths in turn, a draw within each.

        A tenth holds a tenth of the density. The samples of a batch take one after the other, and the next step
        continues where they end.
        """


class Uniform(Density):
    """Every timestep alike."""

    def draw(self, random: StepRandom, count: int, low: int, high: int) -> Tensor:
        return torch.randint(low, high, (count,), generator=random.generator, device=random.generator.device)

    def sweep(self, random: StepRandom, count: int, low: int, high: int) -> Tensor:
        tenths = tenths_of(random, count)
        starts = low + (high - low) * tenths // _TENTHS
        widths = low + (high - low) * (tenths + 1) // _TENTHS - starts
        drawn = torch.rand(count, generator=random.generator, device=random.generator.device)
        return starts + (drawn * widths).long()


class Swept(Density):
    """Those of another density that are swept, wherever they are drawn: for losses that are compared."""

    def __init__(self, density: Density) -> None:
        self._density = density

    def draw(self, random: StepRandom, count: int, low: int, high: int) -> Tensor:
        return self._density.sweep(random, count, low, high)

    def sweep(self, random: StepRandom, count: int, low: int, high: int) -> Tensor:
        return self._density.sweep(random, count, low, high)


def tenths_of(random: StepRandom, count: int) -> Tensor:
    """The tenth ``0 … 9`` that each of a step's ``count`` samples takes in a sweep, ``(count,)`` int64."""
    return (torch.arange(count, device=random.generator.device) + (random.step - 1) * count) % _TENTHS
