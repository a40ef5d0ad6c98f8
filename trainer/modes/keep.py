"""The keep term: what the base model makes of some prompts shall stay (prior preservation, without images).

Each step asks the network for one kept prompt a sample as well, on the noisy latents and timesteps the step has
anyway, and holds the answer against the base's::

    keep_weight * loss(e(x_t, t, p; s), e(x_t, t, p; 0))        p: drawn by seed and step, s: the step's strength

A mode makes a :class:`Keep` in ``prepare`` and predicts through it::

    self._keep = Keep(context)                                                    # prepare
    predicted, kept = self._keep.predict(noisy, timesteps, conditioning, rng)  # loss, with the strength set
    losses = sample_losses(predicted, ...) + kept                               # then Min-SNR, as for any loss

So it adds to each sample's own loss: Min-SNR weighs it like the rest, since the timestep is the same; a mask does not
reach it, since the base knows what belongs everywhere; a NaN is reported under that sample's name. Without
kept prompts ``predict`` is the bundle's own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.key_values import split_prompts
from ..diffusion.losses import sample_losses
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from ..models.base import Conditioning
from ..models.checkpoint.parts import TEXT_ENCODER
from ..text.messages import message
from .base import PassContext, encode_each

_STREAM = 3 << 32  # no step has this number


@dataclass(frozen=True)
class Kept:
    """Prompts, one a sample, of which the network shall make what the base makes of them.

    Attributes:
        base: what they become without the network.
        now: the same with it.
        weight: how much that counts, a number or one a sample ``(B,)``.
    """

    base: Conditioning
    now: Conditioning
    weight: float | Tensor


class Keep:
    """The kept prompts of one pass; the network is attached.

    What the base makes of them is encoded here, once. If the text encoder is trained, a step encodes those it draws
    once more with the network on.
    """

    def __init__(self, context: PassContext) -> None:
        self._context = context
        weight = context.settings.keep_weight
        self._prompts = split_prompts(context.settings.keep_prompts) if weight > 0 else ()
        self._trains_text_encoder = bool(context.network.parameters_of(TEXT_ENCODER))
        with context.network.off():
            self._base = encode_each(context, self._prompts, message("phase.encoding_keep_prompts"))

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        rng: StepRandom,
        also: Kept | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What the network predicts for a step's samples, and what each of them adds to the loss to keep the rest.

        One launch of the denoiser does both. The network's strength must be set: a number, or one a sample ``(B,)``;
        the latter is set again here, repeated for the rows added, and left set for the backward pass.

        Args:
            noisy: ``(B, C, h, w)``, in the denoiser's type.
            timesteps: ``(B,)``.
            conditioning: of ``B`` prompts, or of one for the whole batch.
            also: what else is kept in this step.

        Returns:
            The prediction ``(B, C, h, w)`` and the kept prompts' losses times their weights, ``(B,)``.
        """
        context, settings, count = self._context, self._context.settings, len(noisy)
        conditioning = conditioning.expand(count)
        parts = [each for each in (self._of_prompts(rng, conditioning), also) if each is not None]
        losses = torch.zeros(count, device=noisy.device)
        if not parts:
            return context.bundle.predict(noisy, timesteps, conditioning), losses
        times = len(parts)
        base = Conditioning.cat([each.base for each in parts])
        with torch.no_grad(), context.network.off():
            wanted = context.bundle.predict(noisy.repeat(times, 1, 1, 1), timesteps.repeat(times), base).chunk(times)

        whole, times = Conditioning.cat([conditioning, *(each.now for each in parts)]), times + 1
        strength = context.network.strength
        if isinstance(strength, Tensor):
            context.network.strength = strength.repeat(times)
        found = context.bundle.predict(noisy.repeat(times, 1, 1, 1), timesteps.repeat(times), whole)
        predicted, *kept = found.chunk(times)
        of_parts = [
            part.weight * sample_losses(one, other, settings.train_loss_function)
            for part, one, other in zip(parts, kept, wanted, strict=True)
        ]
        return predicted, of_parts[0] if len(of_parts) == 1 else torch.stack(of_parts).sum(0)

    def _of_prompts(self, rng: StepRandom, conditioning: Conditioning) -> Kept | None:
        """A kept prompt for each sample, for images of the same sizes; None where none is kept."""
        if not self._prompts:
            return None
        numbers = self._drawn(rng, len(conditioning))
        base = Conditioning.cat([self._base[number] for number in numbers]).sized_like(conditioning)
        now = self._now(numbers, base).sized_like(conditioning)
        return Kept(base, now, self._context.settings.keep_weight)

    def _drawn(self, rng: StepRandom, count: int) -> list[int]:
        """The number of a kept prompt for each sample; on the host, where the text encoder needs them."""
        generator = random.Random(mixed_seed(rng.seed, _STREAM, rng.step))
        return [generator.randrange(len(self._prompts)) for _ in range(count)]

    def _now(self, numbers: list[int], base: Conditioning) -> Conditioning:
        """The drawn prompts with the network on; each is encoded once, or for each sample at its own strength."""
        if not self._trains_text_encoder:
            return base
        bundle, network, strength = self._context.bundle, self._context.network, self._context.network.strength
        if isinstance(strength, Tensor):
            parts = []
            for number, own in zip(numbers, strength.split(1), strict=True):
                network.strength = own
                parts.append(bundle.encode([self._prompts[number]]))
            network.strength = strength
            return Conditioning.cat(parts)
        distinct = sorted(set(numbers))
        encoded = bundle.encode([self._prompts[number] for number in distinct])
        return encoded[[distinct.index(number) for number in numbers]]
