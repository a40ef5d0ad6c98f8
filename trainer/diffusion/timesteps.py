"""Which timesteps a step is trained at: densities over the window that the settings leave open.

A density is one of ``u`` in 0 … 1, cut into as many equal bins as there are timesteps; of a rectified flow ``u`` is how
much noise there is. Where only a window is open, it is the same density within it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .random import StepRandom

_TENTHS = 10
_FEWEST, _MOST = (256, 0.5), (4096, 1.15)
"""Patches of 2 x 2 latents, and the logarithm of the shift that Flux has for them."""


class Density(ABC):
    """How often each timestep is drawn. A family says which is its own."""

    @abstractmethod
    def below(self, u: float) -> float:
        """How much of the density lies below ``u`` in 0 … 1."""

    @abstractmethod
    def at(self, share: Tensor) -> Tensor:
        """The inverse of :meth:`below`: where these shares ``(count,)`` of the density lie below, float64."""

    def draw(self, random: StepRandom, count: int, window: tuple[int, int], steps: int) -> Tensor:
        """``count`` timesteps from ``[window[0], window[1])`` of ``steps``, int64, each drawn independently."""
        return self._within(_shares(random, count), window, steps)

    def sweep(self, random: StepRandom, count: int, window: tuple[int, int], steps: int) -> Tensor:
        """``count`` timesteps that sweep the window evenly, int64: its tenths in turn, a draw within each.

        A tenth holds a tenth of the density. The samples of a batch take one after the other, and the next step
        continues where they end.
        """
        return self._within((tenths_of(random, count) + _shares(random, count)) / _TENTHS, window, steps)

    def for_size(self, _height: int, _width: int) -> Density:
        """The same for latents of this size, where the density depends on it."""
        return self

    def _within(self, shares: Tensor, window: tuple[int, int], steps: int) -> Tensor:
        low, high = window
        first, last = self.below(low / steps), self.below(high / steps)
        wide = (shares.cpu() if shares.device.type == "mps" else shares).double()  # tails are too thin for float32
        found = self.at(first + wide * (last - first)) * steps
        return found.long().clamp(low, high - 1).to(shares.device)  # rounding must not lead out of the window


class Uniform(Density):
    """Every timestep alike."""

    def below(self, u: float) -> float:
        return u

    def at(self, share: Tensor) -> Tensor:
        return share

    def draw(self, random: StepRandom, count: int, window: tuple[int, int], _steps: int) -> Tensor:
        return torch.randint(*window, (count,), generator=random.generator, device=random.generator.device)

    def sweep(self, random: StepRandom, count: int, window: tuple[int, int], _steps: int) -> Tensor:
        low, high = window
        tenths = tenths_of(random, count)
        starts = low + (high - low) * tenths // _TENTHS
        widths = low + (high - low) * (tenths + 1) // _TENTHS - starts
        return starts + (_shares(random, count) * widths).long()


@dataclass(frozen=True)
class LogitNormal(Density):
    """``u = sigmoid(mean + std n)`` with ``n ~ N(0, 1)`` (Esser et al. 2024): most where there is about as much noise
    as signal, with a higher mean where there is more noise."""

    mean: float = 0.0
    std: float = 1.0

    def below(self, u: float) -> float:
        if not 0.0 < u < 1.0:
            return u
        return 0.5 * math.erfc((self.mean - math.log(u / (1.0 - u))) / (self.std * math.sqrt(2.0)))

    def at(self, share: Tensor) -> Tensor:
        return torch.sigmoid(self.mean + self.std * torch.special.ndtri(share))


@dataclass(frozen=True)
class Shifted(Density):
    """Another density, moved towards more noise: ``u' = k u / (1 + (k - 1) u)`` (Esser et al. 2024), which multiplies
    the ratio of noise and signal by ``k``."""

    density: Density
    shift: float

    def below(self, u: float) -> float:
        return self.density.below(u / (self.shift - (self.shift - 1.0) * u))

    def at(self, share: Tensor) -> Tensor:
        u = self.density.at(share)
        return self.shift * u / (1.0 + (self.shift - 1.0) * u)


@dataclass(frozen=True)
class ShiftedBySize(Density):
    """Another density, the more shifted the larger the image: the logarithm of the shift is linear in the number of
    2 x 2 patches of latents, from 0.5 for 256 of them to 1.15 for 4096 (Black Forest Labs 2024, Flux)."""

    density: Density

    def below(self, u: float) -> float:
        return self.density.below(u)

    def at(self, share: Tensor) -> Tensor:
        return self.density.at(share)

    def for_size(self, height: int, width: int) -> Density:
        (fewest, least), (many, most) = _FEWEST, _MOST
        patches = height * width / 4
        return Shifted(self.density, math.exp(least + (most - least) * (patches - fewest) / (many - fewest)))


class Swept(Density):
    """Those of another density that are swept, wherever they are drawn: for losses that are compared."""

    def __init__(self, density: Density) -> None:
        self._density = density

    def below(self, u: float) -> float:
        return self._density.below(u)

    def at(self, share: Tensor) -> Tensor:
        return self._density.at(share)

    def draw(self, random: StepRandom, count: int, window: tuple[int, int], steps: int) -> Tensor:
        return self._density.sweep(random, count, window, steps)

    def sweep(self, random: StepRandom, count: int, window: tuple[int, int], steps: int) -> Tensor:
        return self._density.sweep(random, count, window, steps)

    def for_size(self, height: int, width: int) -> Density:
        return Swept(self._density.for_size(height, width))


def tenths_of(random: StepRandom, count: int) -> Tensor:
    """The tenth ``0 … 9`` that each of a step's ``count`` samples takes in a sweep, ``(count,)`` int64."""
    return (torch.arange(count, device=random.generator.device) + (random.step - 1) * count) % _TENTHS


def _shares(random: StepRandom, count: int) -> Tensor:
    return torch.rand(count, generator=random.generator, device=random.generator.device)
