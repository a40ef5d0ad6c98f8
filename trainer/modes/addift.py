"""ADDifT (alternating direct difference training): what differs between two pictures, straight into the network.

A pair of turns shares one noise and one timestep; ``z`` are latents, ``c`` the pictures' conditionings, ``a`` is
``diff_alt_ratio``::

    forward  loss(e(x_t(z_target), t, c_target; +1/4), e(x_t(z_original), t, c_original; 0))
    reverse  loss(e(x_t(z_original), t, c_target; -|a|/4), e(x_t(z_target), t, c_original; 0))

With the network on, the model no longer takes the difference for noise to be removed. It is trained at a quarter of
the strength it is used at. With ``a < 0`` the noise itself stands for both latents of the reverse turn, a pull back to
the base; with ``a = 0`` every step is a forward turn.
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
from ..diffusion.random import StepRandom
from ..models.base import Conditioning
from ..models.checkpoint.parts import TEXT_ENCODER
from ..networks.files.metadata import Usage
from .base import Pass, Scene, StepLoss, encode_each
from .keep import Keep

STRENGTH = 0.25
"""What a forward turn is trained at, and at most a reverse turn, with the sign turned round."""


class ADDifT:
    """The mode for one pair."""

    def trains_text_encoder(self, settings: Settings, captions: Sequence[str]) -> bool:
        return TEXT_ENCODERS in settings.network_blocks and any(captions)

    def passes(self, settings: Settings) -> list[Pass]:
        return [TurnsPass(pairs_repeated=settings.train_batch_size)]

    def usage(self, settings: Settings, captions: Sequence[str]) -> Usage:
        return usage(settings, captions)


def usage(settings: Settings, captions: Sequence[str]) -> Usage:
    """How a LoRA of pairs is used; its pictures show most where the prompt says as little as the original's caption."""
    trigger = settings.lora_trigger_word.strip()
    before, after = ("target", "original") if settings.diff_revert_original_target else ("original", "target")
    called = f', with "{trigger}" in the prompt' if trigger else ""
    meaning = f"what makes the {before} image the {after} image{called}; below 0 the opposite"
    return Usage(trigger or next(iter(captions), ""), trigger, meaning)


@dataclass(frozen=True)
class Turn:
    """One side of a step: what the network sees, and what the untouched base sees.

    Attributes:
        strength: the network's.
        noisy: ``(B, C, h, w)``, what the network sees.
        captions: the captions that go with it.
        base_noisy: ``(B, C, h, w)``, what the base sees, whose prediction is the target.
        base_captions: the captions that go with that.
    """

    strength: float
    noisy: Tensor
    captions: tuple[int, ...]
    base_noisy: Tensor
    base_captions: tuple[int, ...]


class TurnsPass(Pass):
    """Forward and reverse turns on batches of pairs.

    Args:
        pairs_repeated: how often a batch of the data is taken at once, with a noise for each: where one pair is all
            there is, the batch size.
    """

    def __init__(self, *, pairs_repeated: int = 1) -> None:
        self._repeated = pairs_repeated

    def prepare(self, scene: Scene) -> None:
        assert scene.data is not None
        self._scene = scene
        self._data: Dataset = scene.data
        self._trains_text_encoder = bool(scene.network.parameters_of(TEXT_ENCODER))
        with scene.network.off():
            self._base = encode_each(scene, self._data.captions, "encoding the captions", literal=True)
        self._keep = Keep(scene)

    def loss(self, rng: StepRandom) -> StepLoss:
        settings = self._scene.settings
        pair_of_turns, forward, reverse = _turns_of(rng.step, settings)
        shared = StepRandom.of_step(rng.seed, pair_of_turns, rng.generator.device)
        batch = self._data.of_step(pair_of_turns).repeated(self._repeated * settings.diff_noise_count)
        noise = shared.noise(tuple(batch.latents.shape), batch.latents.dtype)
        timesteps = self._scene.timesteps(shared, len(batch.latents), swept=True)
        turns = self._turns(batch, noise, timesteps, forward=forward, reverse=reverse)
        losses = self._losses(turns, timesteps, batch, rng).view(len(turns), -1).sum(0)
        return StepLoss(self._scene.weighted(losses, timesteps), timesteps, batch.names)

    def _turns(self, batch: Batch, noise: Tensor, timesteps: Tensor, *, forward: bool, reverse: bool) -> list[Turn]:
        assert batch.targets is not None
        settings, diffusion = self._scene.settings, self._scene.diffusion
        original = diffusion.noised(batch.latents, noise, timesteps)
        target = diffusion.noised(batch.targets, noise, timesteps)
        captions, target_captions = batch.captions, batch.target_captions
        if settings.diff_revert_original_target:
            original, target, captions, target_captions = target, original, target_captions, captions
        turns = []
        if forward:
            turns.append(Turn(STRENGTH, target, target_captions, original, captions))
        if reverse:
            seen, base_seen = (original, target) if settings.diff_alt_ratio > 0 else (noise, noise)
            turns.append(Turn(-abs(settings.diff_alt_ratio) * STRENGTH, seen, target_captions, base_seen, captions))
        return turns

    def _losses(self, turns: list[Turn], timesteps: Tensor, batch: Batch, rng: StepRandom) -> Tensor:
        """Of all turns in one launch, ``(turns * B,)``, turn after turn."""
        settings, bundle, network = self._scene.settings, self._scene.bundle, self._scene.network
        count = len(turns)
        timesteps = timesteps.repeat(count)
        noisy = torch.cat([turn.noisy for turn in turns])
        base_noisy = torch.cat([turn.base_noisy for turn in turns])
        with torch.no_grad(), network.off():
            wanted = bundle.predict(base_noisy, timesteps, self._of_base([turn.base_captions for turn in turns], batch))
        conditioning = Conditioning.cat([self._with_network(turn, batch) for turn in turns])
        network.strength = _strength(turns)
        predicted, kept = self._keep.predict(noisy, timesteps, conditioning, rng)
        mask = _of_all(batch.mask, count)
        losses = sample_losses(predicted, wanted, settings.train_loss_function, mask) + kept
        if settings.diff_keep_outside > 0 and batch.outside is not None:
            with torch.no_grad(), network.off():
                base = bundle.predict(noisy, timesteps, self._of_base([turn.captions for turn in turns], batch))
            outside = sample_losses(predicted, base, settings.train_loss_function, _of_all(batch.outside, count))
            losses = losses + settings.diff_keep_outside * outside
        return losses

    def _of_base(self, captions: Sequence[tuple[int, ...]], batch: Batch) -> Conditioning:
        """The captions of turns as the base makes them; both sides of a pair with the sizes of the original."""
        found = Conditioning.cat([self._base[number] for numbers in captions for number in numbers])
        return found.sized(batch.sizes.repeat(len(captions), 1))

    def _with_network(self, turn: Turn, batch: Batch) -> Conditioning:
        """The captions of a turn as the network makes them; the text encoder has one strength for all its prompts."""
        if not self._trains_text_encoder:
            return self._of_base([turn.captions], batch)
        self._scene.network.strength = turn.strength
        captions = [self._data.captions[number] for number in turn.captions]
        return self._scene.bundle.encode(captions, literal=True).sized(batch.sizes)


def _turns_of(step: int, settings: Settings) -> tuple[int, bool, bool]:
    """Which pair of turns a step belongs to, counted from 1, and whether it has the forward and the reverse one."""
    if settings.diff_alt_ratio == 0:
        return step, True, False
    if settings.diff_both_turns:
        return step, True, True
    forward = step % 2 == 1
    return (step + 1) // 2, forward, not forward


def _strength(turns: list[Turn]) -> float | Tensor:
    if len(turns) == 1:
        return turns[0].strength
    return torch.cat([turn.noisy.new_full((len(turn.noisy),), turn.strength) for turn in turns])


def _of_all(mask: Tensor | None, turns: int) -> Tensor | None:
    return None if mask is None else mask.repeat(turns, 1, 1, 1)
