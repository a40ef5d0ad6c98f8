"""What a LoRA of captions changes in their images, and whether another unknown word makes much the same.

Every image is made from the same noise with the LoRA and without it. It is clearly changed where its latents are at
least :data:`CHANGED` of what two of the base's images differ by away from the base's. With another made-up word in the
place of the trigger word, the LoRA makes much the same where its image is far nearer to the trigger word's than to the
base's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from torch import Tensor

from ...config.choices import TEXT_ENCODERS
from ...config.settings import Settings
from ...data.captions.variants import without_trigger
from ...job import Asked
from ...modes.other_words import other_word
from ...text.messages import Message, label, message
from .advice import more_training
from .images import IMAGES, STEPS, Answer, Images, distance, mean_distance, numbered

CHANGED = 0.3
MADE, NOT_MADE = 0.35, 0.65
"""Of both distances of an image of another word, the share of that from the trigger word's: up to the first it is
much the same, from the second on it is not."""


@dataclass(frozen=True)
class Seen:
    """Latents of one noise, ``(1, C, h, w)`` each.

    Attributes:
        base: of the caption.
        own: with the network.
        other_base: of the caption with another word, and so ``other`` with the network; None: it has no trigger word.
    """

    caption: str
    base: Tensor
    own: Tensor
    other_base: Tensor | None
    other: Tensor | None

    @property
    def share(self) -> float | None:
        """How far the other word's image is from the trigger word's, of that and how far it is from the base's."""
        if self.other is None or self.other_base is None:
            return None
        near, far = distance(self.other, self.own), distance(self.other, self.other_base)
        return near / (near + far) if near + far else 1.0

    @property
    def is_same(self) -> bool | None:
        """Whether the other word makes what the trigger word makes; None: it cannot be told."""
        if self.share is None or MADE < self.share < NOT_MADE:
            return None
        return self.share <= MADE


@dataclass(frozen=True)
class Counts:
    """Images, of :data:`IMAGES`.

    Attributes:
        changed: differ from the base's.
        made: of these, those that another word makes as well; None: there is no trigger word.
        not_made: that it does not.
    """

    changed: int
    made: int | None = None
    not_made: int = 0


@dataclass(frozen=True)
class CaptionQuestion:
    """What becomes of the captions' images?

    Attributes:
        trigger: the trigger word; empty: there is none.
    """

    captions: Sequence[str]
    trigger: str
    rows: int = 2

    def launches(self) -> int:
        """As :class:`Question` has it."""
        return IMAGES * STEPS * (4 if self.trigger else 2)

    def answer(self, images: Images, settings: Settings) -> Answer:
        seen = list(self.seen(images))
        apart = mean_distance([each.base for each in seen])
        found = counted(seen, apart)
        words = tuple(words_of(found, self.trigger, settings))
        shown = message("engine.asked_shown", prompts=numbered(each.caption for each in seen))
        asked = Asked(found.changed, IMAGES - found.changed, IMAGES, words, shown=shown)
        off, on = (tuple(getattr(each, name)[0] for each in seen) for name in ("base", "own"))
        return Answer(asked, (("off", off), ("+1", on)))

    def seen(self, images: Images) -> Iterator[Seen]:
        """The images of the captions in turn, each with a made-up word of its own."""
        rng = Random(images.request.seed)
        for number in range(IMAGES):
            caption = self.captions[number % len(self.captions)]
            base, own, other_base, other = images.of(caption, number), images.of(caption, number, 1.0), None, None
            if self.trigger:
                prompt = without_trigger(caption, self.trigger, other_word(self.trigger, rng))
                other_base, other = (images.of(prompt, number, strength) for strength in (0.0, 1.0))
            yield Seen(caption, base, own, other_base, other)


def counted(seen: Sequence[Seen], apart: float) -> Counts:
    """What the images show; ``apart`` is how far two of the base's are from one another."""
    changed = [each for each in seen if distance(each.own, each.base) >= CHANGED * apart]
    if any(each.share is None for each in seen):
        return Counts(len(changed))
    same = [each.is_same for each in changed]
    return Counts(len(changed), same.count(True), same.count(False))


def words_of(found: Counts, trigger: str, settings: Settings) -> Iterator[Message]:
    """What was found, in sentences, and what to change where it did not work."""
    if trigger:
        yield message("engine.asked_trigger", trigger=trigger, changed=found.changed, images=IMAGES)
    else:
        yield message("engine.asked_captions", changed=found.changed, images=IMAGES)
    if found.changed * 3 <= IMAGES:
        yield more_training(settings)
    if found.made is None or not found.changed:
        return
    untold = found.changed - found.made - found.not_made
    if untold * 2 > found.changed:
        yield message("engine.asked_other_word_unknown", trigger=trigger)
        return
    yield message("engine.asked_other_word", trigger=trigger, made=found.made, images=found.changed)
    if found.made * 3 >= found.changed:
        yield from _hold(settings)


def _hold(settings: Settings) -> Iterator[Message]:
    """What keeps other words from making the same."""
    held = {"weight": label("train_self_reg"), "count": label("train_self_reg_images")}
    now = {"now": f"{settings.train_self_reg:g}", "images_now": settings.train_self_reg_images}
    holds = settings.train_self_reg > 0 and settings.train_self_reg_images > 0
    yield message("engine.asked_hold_more_words" if holds else "engine.asked_hold_words", **held, **now)
    if TEXT_ENCODERS not in settings.network_blocks:
        yield message("engine.asked_train_text", block=TEXT_ENCODERS, blocks=label("network_blocks"))
