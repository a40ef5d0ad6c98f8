"""Difference: what two images differ in, in two passes over one image each.

The 1st pass trains a copier: a network that makes the original image out of any noise. The 2nd trains a network that
makes the target image, with the copier active and frozen. What both images share the copier gives already, so the
2nd network, which is what is saved, holds the difference alone. Either pass is LoRA training (Ho et al. 2020) on that
one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from ..config.settings import Settings, of_second_pass
from ..diffusion.random import StepRandom
from ..models.base import Conditioning
from ..networks.files.metadata import Usage
from ..text.messages import message
from .base import Pass, PassContext, PassSpec, StepLoss, encode_each
from .denoising import denoising_loss
from .descriptions import Descriptions
from .keep import Keep

_SECOND_STREAM = 1
Side = Literal["original", "target"]


class Difference:
    """The mode."""

    def trains_text_encoder(self, _settings: Settings, _captions: Sequence[str]) -> bool:
        return False

    def passes(self, settings: Settings) -> list[Pass]:
        only = settings.diff_1st_pass_only
        copier = PassSpec(
            settings=settings if only else replace(settings, network_resume=""),
            name=message("phase.first_pass"),
            suffix="_copy",
            saved=only or settings.diff_save_1st_pass,
            loaded=settings.diff_load_1st_pass,
            usage=Usage(settings.original_prompt, meaning="the original image is copied, whatever the noise"),
        )
        passes: list[Pass] = [ImagePass("original", copier)]
        if not only:
            second = PassSpec(
                settings=of_second_pass(settings), name=message("phase.second_pass"), stream=_SECOND_STREAM
            )
            passes.append(ImagePass("target", second))
        return passes

    def usage(self, settings: Settings, _captions: Sequence[str]) -> Usage:
        return Usage(settings.target_prompt, meaning="the original image becomes the target image")


class ImagePass(Pass):
    """:func:`denoising_loss` on one image with its prompt, ``train_batch_size`` times a step.

    Networks of earlier passes take part as they are.
    """

    def __init__(self, side: Side, spec: PassSpec) -> None:
        self.spec = spec
        self._side = side

    def prepare(self, context: PassContext) -> None:
        assert context.data is not None
        self._context = context
        pair = context.data.of_step(1)
        # Of a pair of which only the target is given, that is the sample itself.
        is_target = self._side == "target" and pair.targets is not None
        self._latents = pair.targets[:1] if is_target and pair.targets is not None else pair.latents[:1]
        self._mask = None if pair.mask is None else pair.mask[:1]
        sample = context.data.samples[0]
        image = sample.target if is_target and sample.target is not None else sample
        self._name = image.path.name
        self._caption, self._descriptions = image.caption, Descriptions(context.settings)
        prompts = (image.caption, *self._descriptions.all)
        encoded = encode_each(context, prompts, message("phase.encoding_captions"), literal=True, keeps=False)
        sizes = torch.tensor([image.sizes])
        self._conditionings = {each: made.sized(sizes) for each, made in zip(prompts, encoded, strict=True)}
        self._keep = Keep(context)

    def loss(self, rng: StepRandom) -> StepLoss:
        count = self._context.settings.train_batch_size
        latents = self._latents.expand(count, -1, -1, -1)  # (B, C, h, w)
        mask = None if self._mask is None else self._mask.expand(count, -1, -1, -1)
        names = (self._name,) * count
        described = self._descriptions.of_step(rng, [self._caption] * count)
        own = self._conditionings[self._caption]
        told = described.instead_of([self._caption] * count)
        conditioning = Conditioning.cat([self._conditionings[each] for each in told]) if described else own
        return denoising_loss(
            self._context, self._keep, rng, latents, conditioning, mask, names, described=described, own=own
        )
