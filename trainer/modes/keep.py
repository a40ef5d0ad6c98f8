"""What stays as the base has it: prompts that are named, and what classifier-free guidance subtracts.

Each step asks the network for some prompts as well, on the noisy latents and timesteps the step has anyway, and holds
the answer against the base's (prior preservation, without images)::

    weight * loss(e(x_t, t, p; s), e(x_t, t, p; 0))        p: drawn by seed and step, s: the step's strength

``p`` is one of ``keep_prompts``, with ``keep_weight``, or, where ``hold_unconditional`` says so, what guidance has in
the place of a negative prompt: the empty prompt, in every form hosts give it, or one of ``hold_negative``, with weight
1. Guidance computes ``u + g (c - u)``: a network that moves ``u`` as it moves ``c`` takes most of its effect back.

A mode makes a :class:`Keep` in ``prepare`` and predicts through it::

    self._keep = Keep(context)                                                    # prepare
    predicted, kept = self._keep.predict(noisy, timesteps, conditioning, rng)  # loss, with the strength set
    losses = sample_losses(predicted, ...) + kept                               # then Min-SNR, as for any loss

So it adds to each sample's own loss: Min-SNR weighs it like the rest, since the timestep is the same; a mask does not
reach it, since the base knows what belongs everywhere; a NaN is reported under that sample's name. Where nothing is
kept ``predict`` is the bundle's own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config.key_values import split_prompts
from ..config.settings import AUTOMATIC, YES
from ..diffusion.losses import sample_losses
from ..diffusion.process import Diffusion
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from ..models.base import Conditioning
from ..models.checkpoint.parts import TEXT_ENCODER
from ..text.messages import message
from .base import PassContext, encode_each
from .teacher import Asked
from .teacher import predicted as predicted_by_base

_STREAM = 3 << 32  # no step has this number


@dataclass(frozen=True)
class Kept:
    """Prompts, one a sample, of which the network shall make what the base makes of them.

    Attributes:
        base: what they become without the network.
        now: the same with it.
        weight: how much that counts, a number or one a prompt.
        rows: the samples they go with.
        latents: images of their own, ``(B, C, h, w)`` of these rows; None: the samples' noisy latents.
    """

    base: Conditioning
    now: Conditioning
    weight: float | Tensor
    rows: slice
    latents: Tensor | None = None

    def noised(self, diffusion: Diffusion, noise: Tensor, timesteps: Tensor) -> Kept:
        """With latents of its own under the noise of its samples."""
        if self.latents is None:
            return self
        hidden = diffusion.noised(self.latents, noise[self.rows], timesteps[self.rows])
        return replace(self, latents=hidden)

    def added(self, losses: Tensor, count: int) -> Tensor:
        """What each of ``count`` samples gets of the prompts' losses."""
        found = losses.new_zeros(count)
        found[self.rows] = self.weight * losses
        return found


class Keep:
    """What one pass keeps; the network is attached.

    What the base makes of the prompts is encoded here, once. If the text encoder is trained, a step encodes those it
    draws once more with the network on.

    Args:
        holds_unconditional: what ``hold_unconditional`` means where it is automatic.
        anchors: prompts that are kept like ``keep_prompts``; where there are both, each has every second draw.
    """

    def __init__(self, context: PassContext, *, holds_unconditional: bool = False, anchors: Sequence[str] = ()) -> None:
        self._context = context
        settings = context.settings
        chosen = split_prompts(settings.keep_prompts)
        named = (*chosen, *anchors) if settings.keep_weight > 0 else ()
        held = settings.hold_unconditional == YES or (settings.hold_unconditional == AUTOMATIC and holds_unconditional)
        negatives = ("", *split_prompts(settings.hold_negative)) if held else ()
        self._trains_text_encoder = bool(context.network.parameters_of(TEXT_ENCODER))
        self._prompts: list[str | None] = [*named, *negatives]
        with context.network.off():
            self._base = encode_each(context, (*named, *negatives), message("phase.encoding_keep_prompts"))
        self._named, self._chosen = len(named), len(chosen) if named else 0
        if held:
            empty = self._base[self._named]
            without = empty.without([0])
            if without is not empty:  # some hosts encode the empty prompt, others give zeros in its place
                self._prompts.append(None)
                self._base.append(without)

    def held(self) -> list[tuple[list[Conditioning], float]]:
        """What the base makes of the prompts, and how much each group counts: those of ``keep_prompts`` as much as the
        anchors, and what guidance subtracts."""
        weight = self._context.settings.keep_weight
        by_name = [self._base[: self._chosen], self._base[self._chosen : self._named]]
        groups = [(each, weight / sum(map(bool, by_name))) for each in by_name if each]
        return [*groups, (self._base[self._named :], 1.0)] if self._base[self._named :] else groups

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        rng: StepRandom,
        also: Kept | None = None,
        of_base: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What the network predicts for a step's samples, and what each of them adds to the loss to keep the rest.

        One launch of the denoiser does both. The network's strength must be set: a number, or one a sample ``(B,)``;
        the latter is set again here, with those of the rows added, and left set for the backward pass.

        Args:
            noisy: ``(B, C, h, w)``, in the denoiser's type.
            timesteps: ``(B,)``.
            conditioning: of ``B`` prompts, or of one for the whole batch.
            also: what else is kept in this step; latents of its own are noisy ones.
            of_base: the base's predictions of what :meth:`asked` has said, where they are known; then ``also`` is None.

        Returns:
            The prediction ``(B, C, h, w)`` and the kept prompts' losses times their weights, ``(B,)``.
        """
        context, settings, count = self._context, self._context.settings, len(noisy)
        conditioning = conditioning.expand(count)
        parts = [each for each in (self._drawn(rng, conditioning), also) if each is not None]
        losses = torch.zeros(count, device=noisy.device)
        if not parts:
            return context.bundle.predict(noisy, timesteps, conditioning), losses
        rows = [len(each.base) for each in parts]
        seen = torch.cat([noisy[each.rows] if each.latents is None else each.latents for each in parts])
        at = torch.cat([timesteps[each.rows] for each in parts])
        wanted = of_base
        if wanted is None:
            base = Conditioning.cat([each.base for each in parts])
            wanted = predicted_by_base(context, [Asked(seen, at, base)])[0].split(rows)

        strength = context.network.strength
        if isinstance(strength, Tensor):
            context.network.strength = torch.cat([strength, *(strength[each.rows] for each in parts)])
        whole = Conditioning.cat([conditioning, *(each.now for each in parts)])
        found = context.bundle.predict(torch.cat([noisy, seen]), torch.cat([timesteps, at]), whole)
        predicted, *kept = found.split([count, *rows])
        of_parts = [
            part.added(sample_losses(one, other, settings.train_loss_function), count)
            for part, one, other in zip(parts, kept, wanted, strict=True)
        ]
        return predicted, of_parts[0] if len(of_parts) == 1 else torch.stack(of_parts).sum(0)

    def asked(self, rng: StepRandom, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> list[Asked]:
        """What :meth:`predict` will ask of the base for the same; the network is not needed."""
        drawn = self._drawn(rng, conditioning.expand(len(noisy)), only_base=True)
        return [] if drawn is None else [Asked(noisy[drawn.rows], timesteps[drawn.rows], drawn.base)]

    def _drawn(self, rng: StepRandom, conditioning: Conditioning, *, only_base: bool = False) -> Kept | None:
        """A prompt for each sample that keeps one, for images of the same sizes; None where none does."""
        settings, named, count = self._context.settings, self._named, len(conditioning)
        held = len(self._prompts) - named
        holding = half_of(count, rng.step) if held else slice(0, 0)
        rows = slice(None) if named else holding
        generator = random.Random(mixed_seed(rng.seed, _STREAM, rng.step))
        numbers = [
            named + generator.randrange(held) if sample in range(count)[holding] else self._named_one(generator)
            for sample in range(count)[rows]
        ]
        if not numbers:
            return None
        base = Conditioning.cat([self._base[number] for number in numbers])
        weight: float | Tensor = settings.keep_weight if named else 1.0
        if named and held and not only_base:
            weight = torch.full((count,), settings.keep_weight, device=rng.generator.device)
            weight[holding] = 1.0
        sizes = conditioning[rows]
        now = base if only_base else self._now(rows, numbers, base)
        return Kept(base.sized_like(sizes), now.sized_like(sizes), weight, rows)

    def _named_one(self, generator: random.Random) -> int:
        """The number of a prompt of those that are named; of the anchors every second time."""
        if not 0 < self._chosen < self._named:
            return generator.randrange(self._named)
        if generator.random() < 0.5:
            return generator.randrange(self._chosen)
        return generator.randrange(self._chosen, self._named)

    def _now(self, rows: slice, numbers: Sequence[int], base: Conditioning) -> Conditioning:
        """The drawn prompts with the network on; each is encoded once, or for each sample at its own strength."""
        if not self._trains_text_encoder:
            return base
        network, strength = self._context.network, self._context.network.strength
        if isinstance(strength, Tensor):
            parts = []
            for row, (own, number) in enumerate(zip(strength[rows].split(1), numbers, strict=True)):
                network.strength = own
                parts.append(base[row] if self._prompts[number] is None else self._encoded([number]))
            network.strength = strength
            return Conditioning.cat(parts)
        distinct = sorted(set(numbers))
        words = [each for each in distinct if self._prompts[each] is not None]
        parts = [self._encoded(words)] if words else []
        if len(words) < len(distinct):  # the form without words has the highest number
            parts.append(base[numbers.index(distinct[-1])])
        return Conditioning.cat(parts)[[distinct.index(number) for number in numbers]]

    def _encoded(self, numbers: Sequence[int]) -> Conditioning:
        prompts = [self._prompts[number] for number in numbers]
        return self._context.bundle.encode([prompt for prompt in prompts if prompt is not None])


def half_of(count: int, step: int) -> slice:
    """The samples of a step that hold the unconditional: the first half and the second half in turn.

    The first, which is the larger one of an odd number, in steps 1, 4, 5, 8 …, since modes take turns of two steps.
    """
    middle = (count + 1) // 2
    return slice(0, middle) if step % 4 in (0, 1) else slice(middle, count)
