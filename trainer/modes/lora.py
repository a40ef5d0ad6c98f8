"""LoRA from captioned images: the model learns to find the images behind the noise (Ho et al. 2020).

With ``train_self_reg``, the captions without their trigger word are held to what the base makes of them, at the same
noisy latents (the comparison is TrainTrain's), so that the words beside the trigger word do not learn its thing::

    train_self_reg * loss(e(x_t, t, c without trigger; 1), e(x_t, t, c without trigger; 0))

With ``train_self_reg_images``, another word ``w`` stands in the trigger word's place, drawn for each sample, and the
noisy latents are those of images that the base has made of such captions::

    train_self_reg * loss(e(y_t, t, c with w; 1), e(y_t, t, c with w; 0))        y: made by the base of c with w'
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import torch

from ..config.choices import TEXT_ENCODERS
from ..config.key_values import split_prompts
from ..config.settings import Settings
from ..data.captions.variants import without_trigger
from ..data.latents import Batch, Dataset
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from ..models.base import Conditioning
from ..networks.files.metadata import Usage
from .base import Pass, PassContext, StepLoss
from .captions import CaptionConditionings
from .denoising import denoising_loss
from .keep import Keep, Kept
from .other_words import MadeImages, OtherWords

_STREAM = 9 << 32  # no step has this number


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
        context.network.strength = 1.0
        self._captions = None
        if not self._trains_text_encoder:
            self._captions = CaptionConditionings(context, self._data, of_base=False)
        self._without_trigger = self._stripped_now = self._made = None
        settings = context.settings
        if settings.train_self_reg > 0 and settings.train_self_reg_images > 0:
            self._made = self._images_to_hold(context, settings)
        elif settings.train_self_reg > 0:
            self._without_trigger = CaptionConditionings(context, self._data, of_base=True, change=self._stripped)
            if not self._trains_text_encoder and context.bundle.text_is_changed():
                self._stripped_now = CaptionConditionings(context, self._data, of_base=False, change=self._stripped)
        made = (self._captions, self._without_trigger, self._stripped_now)
        self.needs_text_encoder = self._made is not None or any(
            each.encodes_each_step for each in made if each is not None
        )
        self._keep = Keep(context)

    def loss(self, rng: StepRandom) -> StepLoss:
        batch = self._data.of_step(rng.step)
        self._context.network.strength = 1.0  # of the text encoder, too
        conditioning = self._conditioning(batch.captions).sized(batch.sizes)
        return denoising_loss(
            self._context, self._keep, rng, batch.latents, conditioning, batch.mask, batch.names, batch.weights,
            self._self_reg(batch) if self._made is None else self._other_words(self._made, batch, rng),
        )  # fmt: skip

    def _conditioning(self, captions: tuple[str, ...]) -> Conditioning:
        if self._captions is None:
            return self._context.bundle.encode(captions, literal=True)
        return self._captions.of(captions)

    def _images_to_hold(self, context: PassContext, settings: Settings) -> MadeImages | None:
        """What the base makes of captions with other words; None where no caption has the trigger word."""
        trigger = settings.lora_trigger_word
        captions = [each for each in self._data.captions if without_trigger(each, trigger, "") != each]
        words = OtherWords(trigger, split_prompts(settings.train_self_reg_filler))
        if not captions:
            return None
        frames = Counter(sample.frame for sample in self._data.samples)
        return MadeImages(context, frames, captions, words, settings.train_self_reg_images)

    def _other_words(self, made: MadeImages, batch: Batch, rng: StepRandom) -> Kept:
        """Captions with other words, at images the base made of such, of which the network shall make the same."""
        context = self._context
        draw = random.Random(mixed_seed(rng.seed, _STREAM, rng.step))
        latents, captions = made.of_step(batch.latents, draw)
        with torch.no_grad(), context.network.off():
            base = context.bundle.encode(captions, literal=True).sized(batch.sizes)
        now = base
        if self._trains_text_encoder or context.bundle.text_is_changed():
            now = context.bundle.encode(captions, literal=True).sized(batch.sizes)
        return Kept(base, now, context.settings.train_self_reg, slice(None), latents)

    def _self_reg(self, batch: Batch) -> Kept | None:
        """The captions without their trigger word, of which the network shall make what the base makes of them; those
        that have none are what is to be learned, and are not held."""
        if self._without_trigger is None:
            return None
        base = self._without_trigger.of(batch.captions).sized(batch.sizes)
        stripped = [self._stripped(caption) for caption in batch.captions]
        now = base
        if self._trains_text_encoder:
            now = self._context.bundle.encode(stripped, literal=True).sized(batch.sizes)
        elif self._stripped_now is not None:
            now = self._stripped_now.of(batch.captions).sized(batch.sizes)
        held = [float(one != other) for one, other in zip(stripped, batch.captions, strict=True)]
        weight = torch.tensor(held, device=batch.latents.device) * self._context.settings.train_self_reg
        return Kept(base, now, weight, slice(None))

    def _stripped(self, caption: str) -> str:
        settings = self._context.settings
        return without_trigger(caption, settings.lora_trigger_word, settings.train_self_reg_filler.strip())
