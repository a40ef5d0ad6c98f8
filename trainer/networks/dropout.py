"""Dropout of a network: what of it is left out in one batch, as in sd-scripts' LoRA.

Every mask is a function of the seed, the batch and the adapter. So a run that is resumed leaves out the same, and with
gradient checkpointing the backward pass sees the masks of the forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed

_STREAM = 8 << 32  # no step has this number


@dataclass
class Dropout:
    """What the adapters of a network share.

    Attributes:
        hidden: the share of the numbers between an adapter's two factors that is set to zero; the others grow by as
            much.
        rank: the same for whole ranks, for each sample on its own.
        module: the share of the adapters that do not act at all.
    """

    hidden: float
    rank: float
    module: float
    _seed: int | None = None

    @contextmanager
    def during(self, rng: StepRandom) -> Iterator[None]:
        """Leave something out of one batch, its backward pass included; outside the block nothing is."""
        self._seed = mixed_seed(rng.seed, _STREAM, rng.step)
        try:
            yield
        finally:
            self._seed = None

    def leaves_out(self, adapter: int) -> bool:
        """Whether the adapter of this number does not act."""
        if self._seed is None or not self.module:
            return False
        return mixed_seed(self._seed, adapter, 1) < self.module * 2**63  # of 63 bits; here, where Python decides

    def thinned(self, hidden: Tensor, adapter: int, ranks: int) -> Tensor:
        """The numbers between an adapter's factors, some of them zero.

        Args:
            ranks: the dimension that counts the ranks; the first counts the samples.
        """
        if self._seed is None or not (self.hidden or self.rank):
            return hidden
        generator = torch.Generator(hidden.device).manual_seed(mixed_seed(self._seed, adapter))
        if self.hidden:
            hidden = hidden * self._mask(tuple(hidden.shape), self.hidden, generator, hidden) / (1 - self.hidden)
        if self.rank:
            shape = [1] * hidden.ndim
            shape[0], shape[ranks] = hidden.shape[0], hidden.shape[ranks]
            hidden = hidden * self._mask(tuple(shape), self.rank, generator, hidden) / (1 - self.rank)
        return hidden

    def rows(self, count: int, adapter: int, like: Tensor) -> Tensor | None:
        """Which of an update's ``count`` rows act, 0 or 1 each, or None if all do.

        What LyCORIS takes for rank dropout; the others do not grow.
        """
        if self._seed is None or not self.rank:
            return None
        generator = torch.Generator(like.device).manual_seed(mixed_seed(self._seed, adapter))
        return self._mask((count,), self.rank, generator, like)

    def _mask(self, shape: tuple[int, ...], share: float, generator: torch.Generator, like: Tensor) -> Tensor:
        return (torch.rand(shape, generator=generator, device=like.device) >= share).to(like.dtype)
