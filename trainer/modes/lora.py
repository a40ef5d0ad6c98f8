"""LoRA from captioned images: the model learns to find the images behind the noise (Ho et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from ..config.choices import TEXT_ENCODERS
from ..config.settings import Settings
from ..data.latents import Dataset
from ..diffusion.random import StepRandom
from ..models.base import Conditioning
from ..networks.files.metadata import Usage
from .base import Pass, PassContext, StepLoss
from .captions import CaptionConditionings
from .denoising import denoising_loss
from .keep import Keep


class LoRAMode:
    """The mode."""

    def trains_text_encoder(self, settings: Settings, _captions: Sequence[str]) -> bool:
        return TEXT_ENCODERS in settings.network_blocks

    def passes(self, settings: Settings) -> list[Pass]:
        return [CaptionPass(trains_text_encoder=self.trains_text_encoder(settings, ()))]

    def usage(self, settings: Settings, captions: Sequence[str]) -> Usage:
        trigger = settings.lora_trigger_word.strip()
        meaning = f'write "{trigger}" in the prompt' if trigger else ""
        return Usage(trigger or next(iter(captions), ""), trigger, meaning)


class CaptionPass(Pass):
    """:func:`denoising_loss` on the images with their captions."""

    def __init__(self, *, trains_text_encoder: bool) -> None:
        self._trains_text_encoder = trains_text_encoder

    def prepare(self, context: PassContext) -> None:
        assert context.data is not None
        self._context = context
        self._data: Dataset = context.data
        self._captions = None if self._trains_text_encoder else CaptionConditionings(context, self._data)
        self.needs_text_encoder = self._captions is not None and self._captions.encodes_each_step
        self._keep = Keep(context)

    def loss(self, rng: StepRandom) -> StepLoss:
        batch = self._data.of_step(rng.step)
        self._context.network.strength = 1.0  # of the text encoder, too
        conditioning = self._conditioning(batch.captions).sized(batch.sizes)
        return denoising_loss(
            self._context, self._keep, rng, batch.latents, conditioning, batch.mask, batch.names, batch.weights
        )

    def _conditioning(self, captions: tuple[str, ...]) -> Conditioning:
        if self._captions is None:
            return self._context.bundle.encode(captions, literal=True)
        return self._captions.of(captions)
