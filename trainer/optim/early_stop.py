"""When a run ends before its last step, since it no longer gets better."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

WINDOW: Final = 8
"""Means of training losses, of 25 steps each, that are averaged once more: those of single steps depend more on their
timesteps than on what has been learned."""


class EarlyStop:
    """Ends a run whose loss has not fallen below its lowest for ``patience`` steps.

    It hears of validation losses and keeps the weights of the lowest; or of means of training losses, which say little
    about single steps, and then keeps none.

    Attributes:
        best: the lowest loss.
        best_step: after which it was measured.
        weights: of the parameters then; empty until there are any.
    """

    def __init__(self, patience: int, *, validates: bool) -> None:
        self.validates = validates
        self.best = math.inf
        self.best_step = 0
        self.weights: list[Tensor] = []
        self._patience = patience
        self._means: deque[float] = deque(maxlen=WINDOW)
        self._step = 0

    @property
    def is_over(self) -> bool:
        """Whether it is time to end."""
        return self._step - self.best_step >= self._patience

    def hear_validation(self, step: int, loss: float, parameters: Sequence[Tensor]) -> None:
        """Take in the validation loss after a step, of these parameters."""
        if self._heard(step, loss):
            self.weights = [each.detach().clone() for each in parameters]

    def hear_mean(self, step: int, loss: float) -> None:
        """Take in the mean of the latest training losses."""
        self._means.append(loss)
        if len(self._means) == WINDOW:
            self._heard(step, sum(self._means) / WINDOW)

    def _heard(self, step: int, loss: float) -> bool:
        is_best = loss < self.best
        if is_best:
            self.best = loss
        if is_best or not self.best_step:
            self.best_step = step
        self._step = step
        return is_best

    @torch.no_grad()
    def put_best(self, parameters: Sequence[Tensor]) -> None:
        """Give the parameters the weights of the lowest loss, if these are known."""
        for parameter, weight in zip(parameters, self.weights, strict=bool(self.weights)):
            parameter.copy_(weight)

    def kept(self) -> dict[str, Any]:
        """What it needs to continue; see :meth:`continue_from`."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "step": self._step,
            "means": list(self._means),
            "weights": self.weights,
        }

    def continue_from(self, kept: Mapping[str, Any]) -> None:
        self.best, self.best_step, self._step = kept["best"], kept["best_step"], kept["step"]
        self._means.extend(kept["means"])
        self.weights = list(kept["weights"])
