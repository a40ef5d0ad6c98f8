"""Random numbers that depend on a run's seed and a step's number alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def mixed_seed(seed: int, *numbers: int) -> int:
    """A well-mixed 63-bit seed from ``seed`` and ``numbers`` (SplitMix64's finaliser, once a number)."""
    mask = (1 << 64) - 1
    state = seed & mask
    for number in (0, *numbers):
        state = (state + 0x9E3779B97F4A7C15 * (number + 1)) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1


@dataclass(frozen=True)
class StepRandom:
    """The random numbers of one step.

    They depend on the run's seed and the step's number alone, so a run that is resumed, or that makes samples between
    its steps, draws the same ones.
    """

    seed: int
    step: int
    generator: torch.Generator

    @staticmethod
    def of_step(seed: int, step: int, device: torch.device) -> StepRandom:
        generator = torch.Generator(device)
        generator.manual_seed(mixed_seed(seed, step))
        return StepRandom(seed, step, generator)

    def of(self, step: int) -> StepRandom:
        """The random numbers of another step of the run."""
        return StepRandom.of_step(self.seed, step, self.generator.device)

    def noise(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Standard normal noise of ``shape``: drawn in float32, so every precision sees the same numbers."""
        drawn = torch.randn(shape, generator=self.generator, device=self.generator.device)
        return drawn.to(dtype)
