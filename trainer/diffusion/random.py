"""Random numbers that depend on a run's seed and a step's number alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .seeds import mixed_seed


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
