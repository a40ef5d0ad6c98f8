"""iLECO (instant LECO): one concept becomes another, or is erased, without a picture.

Pure noise stands in for the noisy picture at whatever timestep is drawn: the network learns to predict for the
original prompt what the untouched model predicts for the target prompt. LECO proper denoises to the timestep first,
hundreds of times slower; here the noise is drawn fresh each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from ..loss import sample_losses, snr_weight
from ..models.base import Conditioning
from ..models.placement import dtype_of
from ..networks.metadata import Usage
from ..noise import Draw
from ..settings import Settings
from .base import Pass, Pictures, Scene, StepLoss
from .keep import Keep


class ILECO:
    """The mode."""

    name = "iLECO"
    pictures: Pictures = "none"

    def trains_text_encoder(self, settings: Settings, captions: Sequence[str]) -> bool:
        del captions
        return settings.network_train_text_encoder and "BASE" in settings.network_blocks

    def passes(self, settings: Settings) -> list[Pass]:
        return [ConceptPass(trains_text_encoder=self.trains_text_encoder(settings, ()))]

    def usage(self, settings: Settings, captions: Sequence[str]) -> Usage:
        del captions
        target = settings.target_prompt.strip()
        becomes = f'becomes "{target}"' if target else "is erased"
        return Usage(settings.original_prompt, meaning=f'"{settings.original_prompt.strip()}" {becomes}')


class ConceptPass(Pass):
    """``loss(e(x, t, c_original; 1), e(x, t, c_target; 0))`` with ``x ~ N(0, 1)``."""

    def __init__(self, *, trains_text_encoder: bool) -> None:
        self._trains_text_encoder = trains_text_encoder

    def prepare(self, scene: Scene) -> None:
        self._scene = scene
        with torch.no_grad(), scene.network.off():
            self._target = scene.bundle.encode([scene.settings.target_prompt], size=scene.settings.image_size)
            self._original = None if self._trains_text_encoder else self._encode_original()
        self._keep = Keep(scene)

    def loss(self, draw: Draw) -> StepLoss:
        scene, settings = self._scene, self._scene.settings
        batch = settings.train_batch_size
        height, width = settings.image_size
        bundle = scene.bundle
        x = draw.noise((batch, *bundle.latent_shape(height, width)), dtype_of(bundle.unet))  # (B, C, H/8, W/8)
        timesteps = draw.timesteps(
            batch,
            settings.train_min_timesteps,
            settings.train_max_timesteps,
            same=settings.train_fixed_timsteps_in_batch,
        )
        with torch.no_grad(), scene.network.off():
            wanted = bundle.predict(x, timesteps, self._target.expand(batch))
        scene.network.strength = 1.0
        original = self._original or self._encode_original()
        predicted, kept = self._keep.predict(x, timesteps, original, draw)

        losses = sample_losses(predicted, wanted, settings.train_loss_function) + kept
        if settings.train_snr_gamma > 0:
            schedule = scene.schedule
            losses = losses * snr_weight(schedule.snr(timesteps), settings.train_snr_gamma, schedule.prediction_type)
        return StepLoss(losses, timesteps)

    def _encode_original(self) -> Conditioning:
        with nullcontext() if self._trains_text_encoder else torch.no_grad():
            settings = self._scene.settings
            return self._scene.bundle.encode([settings.original_prompt], size=settings.image_size)
