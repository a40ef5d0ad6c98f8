"""TrainTrain's formulas where they differ from ours, on the product's own loop, for the tables that compare them.

iLECO has one fixed noise for the whole run, and nothing is held. ADDifT takes one direction a step at one of five
timesteps: the middles of every other tenth of the window. Difference and LoRA differ in settings alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from trainer.config.key_values import prompt_pairs, split_lines
from trainer.config.settings import ROWS, Settings
from trainer.diffusion.losses import sample_losses
from trainer.diffusion.random import StepRandom
from trainer.models.base import Conditioning
from trainer.models.checkpoint.parts import TEXT_ENCODER
from trainer.models.placement import device_of, dtype_of
from trainer.modes.addift import ADDifT
from trainer.modes.base import Pass, PassContext, StepLoss
from trainer.modes.captions import CaptionConditionings
from trainer.modes.ileco import ILECO
from trainer.modes.multi_addift import MultiADDifT

STRENGTH = 0.25
_FIXED = 0
"""The number of no step: what it draws is the run's one noise."""

WITHOUT_OURS = {
    "keep_prompts": "", "hold_unconditional": "no", "ileco_denoise_steps": "0", "ileco_descriptions": "0",
    "diff_both_turns": "false", "diff_reach_target": "false", "diff_noise_count": "1", "diff_keep_outside": "0",
    "train_self_reg": "0",
}  # fmt: skip
"""What none of TrainTrain's formulas has."""


def without_ours() -> dict[str, str]:
    """:data:`WITHOUT_OURS`, as far as there are such settings."""
    known = {row.name for row in ROWS}
    return {name: value for name, value in WITHOUT_OURS.items() if name in known}


@contextmanager
def formulas() -> Iterator[None]:
    """While it lasts, runs are made of TrainTrain's passes."""

    def concept(_mode: ILECO, _settings: Settings) -> list[Pass]:
        return [FixedNoisePass()]

    def pair(_mode: ADDifT, settings: Settings) -> list[Pass]:
        return [FiveTimestepsPass(settings.train_batch_size)]

    def pairs(_mode: MultiADDifT, _settings: Settings) -> list[Pass]:
        return [FiveTimestepsPass()]

    with patch.object(ILECO, "passes", concept), patch.object(ADDifT, "passes", pair):
        with patch.object(MultiADDifT, "passes", pairs):
            yield


class FixedNoisePass(Pass):
    """``loss(e(x, t, c_original; 1), e(x, t, c_target; 0))`` with the same ``x`` in every step and sample.

    Sliders, which TrainTrain has not, keep our target.
    """

    def prepare(self, context: PassContext) -> None:
        self._context, settings = context, context.settings
        originals, targets = prompt_pairs(settings.original_prompt, settings.target_prompt)
        ends = [split_lines(text) for text in (settings.slider_positive, settings.slider_negative)]
        is_slider = ends != [("",), ("",)]
        with torch.no_grad(), context.network.off():
            self._original = self._encode(originals)
            self._target = self._encode(originals if is_slider else targets)
            self._ends = [self._encode(lines) for lines in ends] if is_slider else []
        device, dtype = device_of(context.bundle.denoiser), dtype_of(context.bundle.denoiser)
        fixed = StepRandom.of_step(settings.train_seed, _FIXED, device)
        self._x = fixed.noise((1, *context.bundle.latent_shape(settings.size)), dtype)

    def loss(self, rng: StepRandom) -> StepLoss:
        context, settings = self._context, self._context.settings
        batch, bundle = settings.train_batch_size, context.bundle
        x = self._x.expand(batch, -1, -1, -1)
        timesteps = context.timesteps(rng, x)
        numbers = [((rng.step - 1) * batch + sample) % len(self._original) for sample in range(batch)]
        with torch.no_grad(), context.network.off():
            wanted = bundle.predict(x, timesteps, self._target[numbers])
            if self._ends:
                positive, negative = (bundle.predict(x, timesteps, end[numbers]) for end in self._ends)
                wanted = wanted + settings.slider_scale * (positive - negative)
        context.network.strength = 1.0
        losses = sample_losses(
            bundle.predict(x, timesteps, self._original[numbers]), wanted, settings.train_loss_function
        )
        return StepLoss(context.weighted(losses, timesteps), timesteps)

    def _encode(self, prompts: tuple[str, ...]) -> Conditioning:
        return self._context.bundle.encode(list(prompts), size=self._context.settings.size)


class FiveTimestepsPass(Pass):
    """ADDifT, forward and reverse in turn with one noise and one timestep for both, each of five in turn."""

    def __init__(self, pairs_repeated: int = 1) -> None:
        self._repeated = pairs_repeated

    def prepare(self, context: PassContext) -> None:
        assert context.data is not None
        self._context, self._data = context, context.data
        self._trains_text_encoder = bool(context.network.parameters_of(TEXT_ENCODER))
        self._base = CaptionConditionings(context, context.data, of_base=True)
        self.needs_text_encoder = self._base.encodes_each_step

    def loss(self, rng: StepRandom) -> StepLoss:
        context, settings, diffusion = self._context, self._context.settings, self._context.diffusion
        number, is_forward = (rng.step + 1) // 2, rng.step % 2 == 1
        batch = self._data.of_step(number).repeated(self._repeated)
        assert batch.targets is not None
        shared = rng.of(number)
        noise = shared.noise(tuple(batch.latents.shape), batch.latents.dtype)
        timesteps = torch.full((len(noise),), five_timesteps(settings)[(number - 1) % 5], device=noise.device)
        original = diffusion.noised(batch.latents, noise, timesteps)
        target = diffusion.noised(batch.targets, noise, timesteps)
        captions, target_captions = batch.captions, batch.target_captions
        if settings.diff_revert_original_target:
            original, target, captions, target_captions = target, original, target_captions, captions
        if is_forward:
            strength, seen, base_seen = STRENGTH, target, original
        elif settings.diff_alt_ratio > 0:
            strength, seen, base_seen = -settings.diff_alt_ratio * STRENGTH, original, target
        else:
            strength, seen, base_seen = settings.diff_alt_ratio * STRENGTH, noise, noise
        with torch.no_grad(), context.network.off():
            base = self._base.of(captions).sized(batch.sizes)
            wanted = context.bundle.predict(base_seen, timesteps, base)
        context.network.strength = strength
        predicted = self._predict(seen, timesteps, target_captions, batch.sizes)
        losses = sample_losses(predicted, wanted, settings.train_loss_function, batch.mask)
        return StepLoss(context.weighted(losses, timesteps), timesteps, batch.names)

    def _predict(self, seen: Tensor, timesteps: Tensor, captions: tuple[str, ...], sizes: Tensor) -> Tensor:
        bundle = self._context.bundle
        found = bundle.encode(captions, literal=True) if self._trains_text_encoder else self._base.of(captions)
        return bundle.predict(seen, timesteps, found.sized(sizes))


def five_timesteps(settings: Settings) -> list[int]:
    """550, 650 … 950 for a window from 500 to 1000."""
    low, high = settings.train_min_timesteps, settings.train_max_timesteps
    return [low + (high - low) * odd // 10 for odd in (1, 3, 5, 7, 9)]
