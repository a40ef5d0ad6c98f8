"""Quiet: what the model predicts for a prompt becomes smaller. It learns from the prompt alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..config.settings import Settings
from ..diffusion.losses import sample_losses
from ..diffusion.random import StepRandom
from ..networks.files.metadata import Usage
from .base import Pass, PassContext, StepLoss
from .keep import Keep


class Quiet:
    """The mode."""

    def trains_text_encoder(self, settings: Settings, captions: Sequence[str]) -> bool:
        del settings, captions
        return False

    def passes(self, settings: Settings) -> list[Pass]:
        del settings
        return [QuietPass()]

    def usage(self, settings: Settings, captions: Sequence[str]) -> Usage:
        del captions
        return Usage(settings.original_prompt, meaning="less of everything")


class QuietPass(Pass):
    """``quiet_weight * loss(e(n, t, c; 1), 0)``: what is predicted of noise ``n`` at ``t`` for the prompt ``c``."""

    def prepare(self, context: PassContext) -> None:
        self._context = context
        with torch.no_grad(), context.network.off():
            self._conditioning = context.bundle.encode([context.settings.original_prompt])
        self._keep = Keep(context)

    def loss(self, rng: StepRandom) -> StepLoss:
        context, settings = self._context, self._context.settings
        count = settings.train_batch_size
        noise = rng.noise((count, *context.bundle.latent_shape(settings.size)), torch.float32)
        timesteps = context.timesteps(rng, noise)
        context.network.strength = 1.0
        predicted, kept = self._keep.predict(noise, timesteps, self._conditioning, rng)
        losses = sample_losses(predicted, torch.zeros_like(predicted), settings.train_loss_function)
        return StepLoss(context.weighted(settings.quiet_weight * losses + kept, timesteps), timesteps)
