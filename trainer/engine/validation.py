"""The loss of the images that are not trained, with the same noise and the same timesteps each time."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..config.settings import NO
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from ..diffusion.timesteps import Swept
from ..modes.base import Pass, PassContext

_STREAM = 6 << 32  # no step has this number
_LEAST_SAMPLES = 10
"""Fewer would not reach every tenth of the timesteps."""


class Validation:
    """Measures the loss of a pass on images of their own.

    Args:
        training: a pass like the one that is trained, for itself alone.
        context: as that one has it, the network attached, with the validation images.

    Captions are as they are where nothing is drawn.
    """

    def __init__(self, training: Pass, context: PassContext, device: torch.device) -> None:
        assert context.data is not None
        context = replace(context, data=context.data.with_plain_captions())
        assert context.data is not None
        settings, diffusion = context.settings, context.diffusion
        self._pass = training
        self._pass.prepare(
            replace(
                context,
                settings=replace(settings, keep_prompts="", hold_unconditional=NO, train_self_reg=0.0),
                diffusion=replace(diffusion, density=Swept(diffusion.density)),
            )
        )
        rounds = -(-_LEAST_SAMPLES // len(context.data.samples))
        if any(sample.target is not None for sample in context.data.samples):
            rounds *= 2  # one for each direction
        self._batches = range(1, rounds * context.data.batches.per_epoch + 1)
        self._seed = mixed_seed(settings.train_seed, _STREAM)
        self._device = device

    @torch.no_grad()
    def loss(self) -> float:
        """The mean over all samples, each of them noised once a round."""
        losses = [
            self._pass.loss(StepRandom.of_step(self._seed, batch, self._device)).samples for batch in self._batches
        ]
        return float(torch.cat(losses).double().mean())
