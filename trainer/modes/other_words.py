"""Made-up words in a trigger word's place, and images that the base makes of captions with them.

A word the base does not know means nothing to it in particular: it makes something of the rest of the caption.
Trained on one such word alone, a LoRA learns its thing for all of them. Tokenizers take made-up words apart, and what
is learned of a piece ("zor" and "p" of "zorp") is learned for every word that has it, so two of three words share
letters with the trigger word, from its beginning or up to its end.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..config.size import Size
from ..data.captions.variants import has_trigger, without_trigger
from ..diffusion.seeds import mixed_seed
from ..models.image_spec import ImageSpec
from ..models.memory_trace import META
from ..models.placement import device_of
from ..models.sample import sample_latents
from ..text.messages import message
from .anchors import common_thing
from .base import PassContext

_STREAM = 8 << 32  # no step has this number
_CONSONANTS, _VOWELS, _LAST = "bdfgklmnprstvz", "aeiou", ("", "n", "k", "r", "s", "t")
_ALIKE = 2 / 3
"""The share of made-up words that have letters of the trigger word."""
_STEPS, _GUIDANCE = 10, 4.0


def other_word(trigger: str, rng: random.Random) -> str:
    """A pronounceable word that is not the trigger word; two of three begin or end like it."""
    while True:
        if rng.random() < _ALIKE:
            made = _alike(rng.choice(trigger.split()), rng)
        else:
            made = _syllables(rng, 1, 2, 2, 3) + rng.choice(_LAST)
        if made.casefold() != trigger.casefold():
            return made


def _alike(word: str, rng: random.Random) -> str:
    """Most end in the last letter or two, after a syllable: where tokenizers leave the end of an unknown word over."""
    if rng.random() < 0.65:
        return _before(word[-rng.choice((1, 1, 2)) :], _syllables(rng, 1, 1, 1, 2))
    cut = rng.randint(1, max(1, len(word) - 1))
    if rng.random() < 0.4:
        return word[:cut] + _syllables(rng, 1, 2, 2, 3) + rng.choice(_LAST)
    return _before(word[-cut:], _syllables(rng, 1, 1, 2))


def _before(end: str, syllables: str) -> str:
    return (syllables[:-1] if end[0].lower() in _VOWELS else syllables) + end


def _syllables(rng: random.Random, *counts: int) -> str:
    """As many syllables that end in a vowel as one of ``counts`` says."""
    return "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.choice(counts)))


class OtherWords:
    """What stands in a trigger word's place where captions are held: a made-up word in half of the draws, and words
    that the base knows in the other half.

    Args:
        named: the latter, such as the thing's class; where there are none, they are common things.
    """

    def __init__(self, trigger: str, named: Sequence[str]) -> None:
        self._trigger = trigger.strip()
        self._named = tuple(each for each in named if not has_trigger(each, trigger))

    def in_place(self, caption: str, rng: random.Random) -> str:
        """The caption with another word, or as it is where it has no trigger word."""
        made_up = rng.random() < 0.5
        return without_trigger(caption, self._trigger, other_word(self._trigger, rng) if made_up else self._known(rng))

    def _known(self, rng: random.Random) -> str:
        if self._named:
            return rng.choice(self._named)
        while has_trigger(thing := common_thing(rng), self._trigger):
            pass
        return thing


class MadeImages:
    """Latents of images that the base makes of captions with other words.

    They are made as many at a time as take no more memory than a training step.

    Args:
        frames: how many of the samples have each size; every size gets its share of the images, at least one.
        captions: those that have the trigger word.
        count: of images.
    """

    def __init__(
        self, context: PassContext, frames: Mapping[Size, int], captions: Sequence[str], words: OtherWords, count: int
    ) -> None:
        self._context, self._captions, self._words = context, tuple(captions), words
        samples = sum(frames.values())
        shares = {frame: max(1, round(count * of_frame / samples)) for frame, of_frame in frames.items()}
        requests = {frame: self._requests(frame, share) for frame, share in shares.items()}
        total, done = sum(shares.values()), 0
        self._made: dict[tuple[int, ...], Tensor] = {}
        at_once = context.settings.train_batch_size  # a step predicts twice as many, and so does guidance
        for frame, asked in requests.items():
            parts = []
            for at in range(0, len(asked), at_once):
                context.progress(message("phase.making_images_to_hold"), done + at, total)
                parts.append(self._sampled(asked[at : at + at_once]))
            done += len(asked)
            self._made[context.bundle.latent_shape(frame)] = torch.cat(parts)

    def of_step(self, like: Tensor, rng: random.Random) -> tuple[Tensor, list[str]]:
        """Latents of as many images as ``like`` has, of its shape, and a caption with another word for each."""
        made = self._made[tuple(like.shape[1:])]
        numbers = [rng.randrange(len(made)) for _ in range(len(like))]
        captions = [self._caption(number) for number in numbers]
        return made[numbers].to(like), [self._words.in_place(caption, rng) for caption in captions]

    def _sampled(self, requests: Sequence[ImageSpec]) -> Tensor:
        bundle = self._context.bundle
        if device_of(bundle.denoiser) == META:  # whatever they show, a step takes as much memory
            return torch.empty(len(requests), *bundle.latent_shape(requests[0].size), device=META)
        with self._context.network.off():
            return sample_latents(bundle, requests)

    def _caption(self, number: int) -> str:
        return self._captions[number % len(self._captions)]

    def _requests(self, frame: Size, count: int) -> list[ImageSpec]:
        draw = random.Random(mixed_seed(self._context.settings.train_seed, _STREAM, *frame))
        return [
            ImageSpec(
                self._words.in_place(self._caption(number), draw),
                seed=draw.getrandbits(32), steps=_STEPS, cfg=_GUIDANCE, size=frame,
            )
            for number in range(count)
        ]  # fmt: skip
