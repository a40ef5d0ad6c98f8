"""Whether a slider moves its concepts towards both of its ends.

Two judges compare an image at strength 1 and one at -1 with the base's, made from the same noise. Of the latents, what
the LoRA changes is projected onto what differs between the base's images of both ends: it goes :data:`SHARE` of that or
further towards the end. The base model as a classifier is the other: with the end's prompt, against the other end's, it
predicts the noise in the image better than it does in the base's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from torch import Tensor

from ...config.settings import Settings
from ...job import Asked
from ...modes.anchors import pool
from ...text.messages import Message, label, message
from .advice import more_training
from .images import IMAGES, NOISE, STEPS, Answer, Images, numbered

SHARE = 0.05

Slider = tuple[str, str, str]
"""The concept, and its positive and negative prompt."""


@dataclass(frozen=True)
class Sides:
    """Latents of one noise, ``(1, C, h, w)`` each.

    Attributes:
        positive: of the positive prompt, and so ``negative``; the base's.
        base: of the concept.
        up: of the concept at strength 1, and so ``down`` at -1.
    """

    prompts: Slider
    positive: Tensor
    negative: Tensor
    base: Tensor
    up: Tensor
    down: Tensor


@dataclass(frozen=True)
class Reading:
    """What was measured of one end.

    Attributes:
        share: of the difference between the ends, that the image goes towards it.
        better: by how much the share of its prompt's loss in both is lower than in the base's image.
    """

    share: float
    better: float

    @property
    def is_nearer(self) -> bool | None:
        """Whether the image is nearer to the end; None: the judges do not agree."""
        if self.share >= SHARE and self.better > 0:
            return True
        return False if self.share < SHARE and self.better <= 0 else None


@dataclass(frozen=True)
class SliderQuestion:
    """Do strengths above and below 0 lead to the two ends?"""

    sliders: Sequence[Slider]
    described: bool
    rows: int = 3

    def launches(self) -> int:
        """As :class:`Question` has it."""
        return IMAGES * (5 * STEPS + 3 * len(NOISE))

    def answer(self, images: Images, settings: Settings) -> Answer:
        seen = list(self.seen(images))
        readings = [readings_of(images, each) for each in seen]
        ends = [[each[side].is_nearer for each in readings] for side in range(2)]
        words = tuple(words_of(ends[0], ends[1], settings))
        shown = message("engine.asked_shown_slider", prompts=numbered(each.prompts[0] for each in seen))
        both = [one and other for one, other in zip(*ends, strict=True)]
        not_both = sum(False in each for each in zip(*ends, strict=True))
        rows = tuple(
            (text, tuple(getattr(each, name)[0] for each in seen))
            for text, name in (("-1", "down"), ("off", "base"), ("+1", "up"))
        )
        return Answer(Asked(both.count(True), not_both, IMAGES, words, shown=shown), rows)

    def examples(self, images: Images) -> list[Slider]:
        """One for each image, the concepts in turn; drawn by the images' seed."""
        rng, rounds = Random(images.request.seed), -(-IMAGES // len(self.sliders))
        drawn = [
            pool(concept, ends, rounds, rng) if self.described else [(concept, *ends)] * rounds
            for concept, *ends in self.sliders
        ]
        return [(each[0], each[1], each[2]) for together in zip(*drawn, strict=True) for each in together][:IMAGES]

    def seen(self, images: Images) -> Iterator[Sides]:
        """The images of every example."""
        for number, prompts in enumerate(self.examples(images)):
            base, positive, negative = (images.of(prompt, number) for prompt in prompts)
            up, down = (images.of(prompts[0], number, strength) for strength in (1.0, -1.0))
            yield Sides(prompts, positive, negative, base, up, down)


def readings_of(images: Images, seen: Sides) -> tuple[Reading, Reading]:
    """Of the positive and of the negative end."""
    _, *ends = seen.prompts
    whole = seen.positive - seen.negative
    length = float(whole.square().sum().clamp(min=1e-12))

    def share_of_positive(latents: Tensor) -> float:
        one, other = images.losses(latents, (ends[0], ends[1]))
        return one / (one + other)

    base = share_of_positive(seen.base)

    def reading(latents: Tensor, sign: float) -> Reading:
        along = float(((latents - seen.base) * whole).sum()) / length
        return Reading(sign * along, sign * (base - share_of_positive(latents)))

    return reading(seen.up, 1.0), reading(seen.down, -1.0)


def words_of(up: Sequence[bool | None], down: Sequence[bool | None], settings: Settings) -> Iterator[Message]:
    """What was found, in sentences, and what to change where it did not work."""
    if max(up.count(None), down.count(None)) > IMAGES // 2:
        yield message("engine.asked_unknown_slider")
        return
    yield message("engine.asked_slider", up=up.count(True), down=down.count(True), images=IMAGES)
    if max(up.count(False), down.count(False)) * 3 >= IMAGES:
        yield more_training(settings)
        yield message("engine.asked_scale", scale=label("slider_scale"), by=f"{settings.slider_scale:g}")
