"""The exponential moving average of what is trained (Polyak & Juditsky 1992), which is what a run then saves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """The average of parameters over the steps: ``m <- d m + (1 - d) p`` after each.

    ``d`` is ``min(decay, (1 + n) / (10 + n))`` after step ``n``, as TensorFlow's, so that the first steps, far from
    where the run ends, are soon forgotten.

    Attributes:
        means: of each parameter, in float32 or wider, where the parameter is.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = list(parameters)
        self._decay = decay
        self.means = [each.detach().to(torch.promote_types(each.dtype, torch.float32), copy=True)
                      for each in self._parameters]  # fmt: skip

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Take in the parameters as they are after a step, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mean, parameter in zip(self.means, self._parameters, strict=True):
            mean.lerp_(parameter.to(mean.dtype), 1 - decay)

    @torch.no_grad()
    def put(self) -> None:
        """Give the parameters their averages."""
        for mean, parameter in zip(self.means, self._parameters, strict=True):
            parameter.copy_(mean)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters are their averages, while the block lasts."""
        before = [each.detach().clone() for each in self._parameters]
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self._parameters, before, strict=True):
                    parameter.copy_(value)

    @torch.no_grad()
    def continue_from(self, means: Sequence[Tensor]) -> None:
        """Put a new average where another one was, which had these ``means``."""
        for mean, value in zip(self.means, means, strict=True):
            mean.copy_(value)
