"""ADDifT (alternating direct difference training): what differs between two images, straight into the network.

The two directions share one noise and one timestep; ``z`` are latents, ``c`` the images' conditionings, ``a`` is
``diff_alt_ratio``::

    forward  loss(e(x_t(z_target), t, c_target; +1/4), e(x_t(z_original), t, c_original; 0))
    reverse  loss(e(x_t(z_original), t, c_target; -|a|/4), e(x_t(z_target), t, c_original; 0))

With the network on, the model no longer takes the difference for noise to be removed. It is trained at a quarter of
the strength it is used at. With ``a < 0`` the noise itself stands for both latents of the reverse direction, a pull
back to the base; with ``a = 0`` every step is forward.

That moves what the model makes by the difference, wherever it starts: from yellow, red → orange goes on to green. With
``diff_reach_target`` it is trained, at the strength it is used at, to end at the target from either side instead::

    forward  loss(e(x, t, c; +1),   e(x, t, c; 0) + m r)    r = e*(x, z_target) - e(x, t, c; 0)
    reverse  loss(e(x, t, c; -|a|), e(x, t, c; 0) + m r)    r = e*(x, z_original) - e(x, t, c; 0)
             x: x_t(z_original + m d) and x_t(z_target + m d')

``e*(x, z)`` is the prediction that takes ``x`` for ``z`` and noise, and ``m`` is how much the latents differ at a
place: 4 times their distance over the largest, at most 1. ``d`` and ``d'`` are random numbers, one a channel and
normal, as large as the images differ: what prompts make begins at neither image.

``m r`` is all of the end where the images differ: the place and the outline of what is changed, too. Where nearly all
of an image differs, it is what surrounds things that changes, and the end's outlines are not to be learned: with the
mean of ``m`` from 0.75 to 0.95, ``m r`` gives way to the projection of ``r`` onto ``m``, in each channel, and onto
``z_target - z_original``, which moves the surroundings as a whole and the change along itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.choices import TEXT_ENCODERS
from ..config.settings import Settings
from ..data.latents import Batch, Dataset
from ..diffusion.losses import sample_losses
from ..diffusion.process import Diffusion
from ..diffusion.random import StepRandom
from ..models.base import Conditioning
from ..models.checkpoint.parts import TEXT_ENCODER
from ..networks.files.metadata import Usage
from .base import Pass, PassContext, StepLoss
from .captions import CaptionConditionings
from .descriptions import Descriptions, StepDescriptions
from .keep import Keep
from .teacher import Asked, Teacher

STRENGTH = 0.25
"""What the forward direction is trained at, and at most the reverse one, with the opposite sign."""


_MOST, _ALL = 0.75, 0.95
"""Of how much of an image, by the mean of ``m``, its outlines are learned less, and from how much on not at all."""


class ADDifT:
    """The mode for one pair."""

    def trains_text_encoder(self, settings: Settings, captions: Sequence[str]) -> bool:
        return TEXT_ENCODERS in settings.network_blocks and any(captions)

    def passes(self, settings: Settings) -> list[Pass]:
        return [PairPass(pairs_repeated=settings.train_batch_size)]

    def usage(self, settings: Settings, captions: Sequence[str]) -> Usage:
        return usage(settings, captions)


def usage(settings: Settings, captions: Sequence[str]) -> Usage:
    """How a LoRA of pairs is used; its images show most where the prompt says as little as the original's caption."""
    trigger = settings.lora_trigger_word.strip()
    before, after = ("target", "original") if settings.diff_revert_original_target else ("original", "target")
    called = f', with "{trigger}" in the prompt' if trigger else ""
    meaning = f"what makes the {before} image the {after} image{called}"
    if not settings.diff_reach_target or settings.diff_alt_ratio > 0:
        meaning += "; below 0 the opposite"
    return Usage(trigger or next(iter(captions), ""), trigger, meaning)


@dataclass(frozen=True)
class End:
    """The end of a way.

    Attributes:
        predicted: ``(B, C, h, w)``, the prediction that takes the noisy image for the end: ``e*``.
        share: ``(B, 1, h, w)``, :func:`how_much_differs`.
        difference: ``(B, C, h, w)``, of the two latents.
    """

    predicted: Tensor
    share: Tensor
    difference: Tensor

    def reached(self, of_base: Tensor) -> Tensor:
        """What is to be matched, from the base's prediction ``(B, C, h, w)``."""
        rest, share = _wide(self.predicted - of_base), _wide(self.share)
        local = ((_ALL - share.mean((1, 2, 3), keepdim=True)) / (_ALL - _MOST)).clamp(0, 1)
        return (of_base + local * share * rest + (1 - local) * self._along(rest, share)).to(of_base)

    def _along(self, rest: Tensor, share: Tensor) -> Tensor:
        """The projection of ``rest`` onto ``share`` in each channel and onto the difference."""
        counted = share.square().sum((2, 3), keepdim=True).clamp(min=1e-6)

        def shift(each: Tensor) -> Tensor:
            return share * (share * each).sum((2, 3), keepdim=True) / counted

        own = _wide(self.difference) - shift(_wide(self.difference))
        length = own.square().sum((1, 2, 3), keepdim=True).clamp(min=1e-6)
        return shift(rest) + own * (own * rest).sum((1, 2, 3), keepdim=True) / length


@dataclass(frozen=True)
class Direction:
    """One direction of a step: what the network sees, and what the untouched base sees.

    Attributes:
        strength: the network's.
        noisy: ``(B, C, h, w)``, what the network sees.
        captions: the captions that go with it, but for those in whose place a description stands.
        base_noisy: ``(B, C, h, w)``, what the base sees, whose prediction is to be matched.
        base_captions: the captions that go with that.
        end: what is to be reached instead, on the way from that prediction.
        by: ``(B, C, h, w)``, how the latents that the network sees differ from those that the base sees; None: they do
            not, or are none.
    """

    strength: float
    noisy: Tensor
    captions: tuple[str, ...]
    base_noisy: Tensor
    base_captions: tuple[str, ...]
    end: End | None = None
    by: Tensor | None = None

    def wanted(self, of_base: Tensor, timesteps: Tensor, diffusion: Diffusion) -> Tensor:
        """What is to be matched, from the base's prediction ``(B, C, h, w)``."""
        if self.end is not None:
            return self.end.reached(of_base)
        return of_base if self.by is None else diffusion.moved(of_base, self.by, timesteps)


@dataclass(frozen=True)
class _Step:
    """What a step is made of.

    Attributes:
        timesteps: ``(B,)``, the same for each direction.
        noisy: ``(directions * B, C, h, w)``, what the network sees.
        described: what it is told in the place of the images' captions.
    """

    directions: list[Direction]
    timesteps: Tensor
    batch: Batch
    noisy: Tensor
    described: StepDescriptions

    @property
    def base_sees_the_same(self) -> bool:
        """Whether what is matched begins at the base's prediction of what the network sees."""
        return all(each.base_noisy is each.noisy and each.base_captions == each.captions for each in self.directions)


class PairPass(Pass):
    """The forward and the reverse direction on batches of pairs.

    Args:
        pairs_repeated: how often a batch of the data is taken at once, with a noise for each: where one pair is all
            there is, the batch size.
    """

    def __init__(self, *, pairs_repeated: int = 1) -> None:
        self._repeated = pairs_repeated

    def prepare(self, context: PassContext) -> None:
        assert context.data is not None
        self._context = context
        self._data: Dataset = context.data
        self._trains_text_encoder = bool(context.network.parameters_of(TEXT_ENCODER))
        self._descriptions = Descriptions(context.settings)
        self._base = CaptionConditionings(context, self._data, of_base=True, others=self._descriptions.all)
        self.needs_text_encoder = self._base.encodes_each_step
        self._keep = Keep(context)
        self._teacher = Teacher(context, self._ask)

    def loss(self, rng: StepRandom) -> StepLoss:
        step, of_base = self._teacher.of(rng)
        losses = self._losses(step, of_base, rng).view(len(step.directions), -1).sum(0)
        return StepLoss(self._context.weighted(losses, step.timesteps), step.timesteps, step.batch.names)

    @torch.no_grad()
    def _ask(self, rng: StepRandom) -> tuple[_Step, list[Asked]]:
        """A step, and what it asks of the base: what is to be matched, what is kept, and what is outside."""
        settings = self._context.settings
        number, forward, reverse = _directions_of(rng.step, settings)
        shared = rng.of(number)
        batch = self._data.of_step(number).repeated(self._repeated * settings.diff_noise_count)
        described = self._descriptions.of_step(shared, batch.captions, batch.target_captions)
        noise = shared.noise(tuple(batch.latents.shape), batch.latents.dtype)
        timesteps = self._context.timesteps(shared, batch.latents, swept=True)
        directions = self._directions(batch, noise, timesteps, shared, forward=forward, reverse=reverse)
        noisy = torch.cat([each.noisy for each in directions])
        step, times = _Step(directions, timesteps, batch, noisy, described), timesteps.repeat(len(directions))
        with self._context.network.off():
            seen = self._of_base([described.instead_of(each.captions) for each in directions], batch)
            base = self._of_base([each.base_captions for each in directions], batch)
            asked = [Asked(torch.cat([each.base_noisy for each in directions]), times, base)]
            if described:
                asked += described.asked(noisy, times, seen)
            if described and not step.base_sees_the_same:
                own = self._of_base([each.captions for each in directions], batch)
                asked += described.asked(noisy, times, own)
        if self._holds_outside(batch):
            asked.append(Asked(noisy, times, seen))
        return step, [*asked, *self._keep.asked(rng, noisy, times, seen)]

    def _holds_outside(self, batch: Batch) -> bool:
        return self._context.settings.diff_keep_outside > 0 and batch.outside is not None

    def _directions(
        self, batch: Batch, noise: Tensor, timesteps: Tensor, shared: StepRandom, *, forward: bool, reverse: bool
    ) -> list[Direction]:
        assert batch.targets is not None
        settings, diffusion = self._context.settings, self._context.diffusion
        if settings.diff_reach_target:
            return self._reaching(batch, noise, timesteps, shared, forward=forward, reverse=reverse)
        original = diffusion.noised(batch.latents, noise, timesteps)
        target = diffusion.noised(batch.targets, noise, timesteps)
        by, captions, target_captions = batch.targets - batch.latents, batch.captions, batch.target_captions
        if settings.diff_revert_original_target:
            original, target, captions, target_captions = target, original, target_captions, captions
            by = -by
        directions = []
        if forward:
            directions.append(Direction(STRENGTH, target, target_captions, original, captions, by=by))
        if reverse:
            strength, from_images = -abs(settings.diff_alt_ratio) * STRENGTH, settings.diff_alt_ratio > 0
            seen, base_seen = (original, target) if from_images else (noise, noise)
            back = -by if from_images else None
            directions.append(Direction(strength, seen, target_captions, base_seen, captions, by=back))
        return directions

    def _reaching(
        self, batch: Batch, noise: Tensor, timesteps: Tensor, shared: StepRandom, *, forward: bool, reverse: bool
    ) -> list[Direction]:
        """The directions that end at one image, from about both."""
        assert batch.targets is not None
        settings, diffusion = self._context.settings, self._context.diffusion
        a, s = (of(timesteps, noise) for of in (diffusion.schedule.signal_at, diffusion.schedule.noise_at))
        latents, captions = (batch.latents, batch.targets), batch.target_captions
        share = how_much_differs(*latents)
        seen = [
            diffusion.noised(each + share * displaced, noise, timesteps)
            for each, displaced in zip(latents, displacements(*latents, share, shared), strict=True)
        ]
        original, target = latents
        if settings.diff_revert_original_target:
            original, target, captions = target, original, batch.captions

        ends: list[tuple[float, Tensor]] = [(1.0, target)] if forward else []
        if reverse and settings.diff_alt_ratio > 0:
            ends.append((-settings.diff_alt_ratio, original))
        directions = [
            Direction(strength, x, captions, x, captions, End(predicted, share, target - original))
            for strength, end in ends
            for x in seen
            for predicted in [diffusion.target(end, (x - a * end) / s, timesteps)]
        ]
        if reverse and settings.diff_alt_ratio < 0:
            directions.append(Direction(settings.diff_alt_ratio, noise, captions, noise, captions))
        return directions

    def _losses(self, step: _Step, of_base: Sequence[Tensor], rng: StepRandom) -> Tensor:
        """Losses of all directions in one call, ``(directions * B,)``, one after the other."""
        settings, diffusion = self._context.settings, self._context.diffusion
        directions, batch, described, count = step.directions, step.batch, step.described, len(step.directions)
        matched, *rest = of_base
        timesteps = step.timesteps.repeat(count)
        with torch.no_grad():
            parts = zip(directions, matched.chunk(count), strict=True)
            wanted = torch.cat([each.wanted(predicted, step.timesteps, diffusion) for each, predicted in parts])
            if described:
                at_descriptions = rest.pop(0)
                own = described.of_those(matched) if step.base_sees_the_same else rest.pop(0)
                wanted = described.moved(wanted, at_descriptions, own)
        outside = [rest.pop(0)] if self._holds_outside(batch) else []
        conditioning = Conditioning.cat([self._with_network(each, described, batch) for each in directions])
        self._context.network.strength = _strength(directions)
        predicted, kept = self._keep.predict(step.noisy, timesteps, conditioning, rng, of_base=rest)
        losses = sample_losses(predicted, wanted, settings.train_loss_function, _of_all(batch.mask, count)) + kept
        for base in outside:
            mask = _of_all(batch.outside, count)
            moved = sample_losses(predicted, base, settings.train_loss_function, mask)
            losses = losses + settings.diff_keep_outside * moved
        return losses

    def _of_base(self, captions: Sequence[tuple[str, ...]], batch: Batch) -> Conditioning:
        """The captions of directions as the base makes them; both sides of a pair with the sizes of the original."""
        found = self._base.of([caption for each in captions for caption in each])
        return found.sized(batch.sizes.repeat(len(captions), 1))

    def _with_network(self, direction: Direction, described: StepDescriptions, batch: Batch) -> Conditioning:
        """The same with the network on; the text encoder has one strength for all its prompts."""
        captions = described.instead_of(direction.captions)
        if not self._trains_text_encoder:
            return self._of_base([captions], batch)
        self._context.network.strength = direction.strength
        return self._context.bundle.encode(captions, literal=True).sized(batch.sizes)


def _wide(each: Tensor) -> Tensor:
    """In single precision at least: sums over an image may be more than half precision has numbers for."""
    return each.to(torch.promote_types(each.dtype, torch.float32))


def how_much_differs(one: Tensor, other: Tensor) -> Tensor:
    """Where latents ``(B, C, h, w)`` differ, ``(B, 1, h, w)``: 4 times their distance over the largest, at most 1."""
    distance = (one - other).abs().sum(1, keepdim=True)
    return (4 * distance / distance.amax((1, 2, 3), keepdim=True).clamp(min=1e-6)).clamp(max=1)


def displacements(one: Tensor, other: Tensor, share: Tensor, rng: StepRandom) -> tuple[Tensor, Tensor]:
    """What latents ``(B, C, h, w)`` are moved by where they differ, ``(B, C, 1, 1)`` each.

    Normal, with the root mean square of their difference, over the places that ``share`` ``(B, 1, h, w)`` counts.
    """
    batch, channels = one.shape[:2]
    counted = channels * _wide(share).square().sum((1, 2, 3), keepdim=True).clamp(min=1e-6)
    spread = (_wide(one - other).square().sum((1, 2, 3), keepdim=True) / counted).sqrt().to(one)
    first, second = (spread * rng.noise((batch, channels, 1, 1), one.dtype) for _ in range(2))
    return first, second


def _directions_of(step: int, settings: Settings) -> tuple[int, bool, bool]:
    """The number, from 1, of the noise a step draws, and whether the step has the forward and the reverse direction."""
    if settings.diff_alt_ratio == 0:
        return step, True, False
    if settings.diff_both_turns:
        return step, True, True
    forward = step % 2 == 1
    return (step + 1) // 2, forward, not forward


def _strength(directions: list[Direction]) -> float | Tensor:
    if len(directions) == 1:
        return directions[0].strength
    return torch.cat([each.noisy.new_full((len(each.noisy),), each.strength) for each in directions])


def _of_all(mask: Tensor | None, directions: int) -> Tensor | None:
    return None if mask is None else mask.repeat(directions, 1, 1, 1)
