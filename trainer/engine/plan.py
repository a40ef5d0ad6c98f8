"""What a pass does at which step: the batches it takes, and after which steps it saves, draws and validates."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Protocol

from ..config.settings import CODES, Settings

IMAGE_STEPS = 10
"""Denoising steps of an image that a run makes by itself: enough to see a difference."""
_IMAGE, _SAMPLE = 2 * IMAGE_STEPS + 3, 3
"""What an image and a training sample cost, in forward passes of the denoiser: guidance takes two a step and decoding
about three; of a sample, the way back takes two. A mode that predicts more often has images for a smaller share."""
SHARE, _MOST_IMAGES = 0.1, 9
"""Of a run, what its images may take; and how many there are at most."""


class Steps(Sized, Protocol):
    """Some of a pass's steps."""

    def __contains__(self, step: int, /) -> bool: ...


def makes_previews(settings: Settings) -> bool:
    """Whether the settings ask for any."""
    return settings.sample_every_steps > 0 or settings.sample_every_epochs > 0 or settings.sample_at_start


def saves_memory(settings: Settings) -> bool:
    """Whether the settings give time for memory. If so, the text encoders leave the device before each image is made
    of the prompts; if not, they stay while images are made."""
    return settings.recomputes or settings.train_model_precision in CODES


def is_filmed(settings: Settings) -> bool:
    """Whether a run makes images of its LoRA by itself while it trains."""
    return settings.effect_strip and not makes_previews(settings)


def filmed_steps(steps: int, samples: int) -> tuple[int, ...]:
    """After which steps a pass makes an image by itself: at equal distances, at most one after each tenth, and so many
    that they take a tenth of the pass at most. How long it takes is counted, not measured, so that it is the same each
    time.

    Args:
        steps: of the pass.
        samples: in a step.
    """
    count = min(_MOST_IMAGES, steps - 1, int(SHARE * steps * samples * _SAMPLE / _IMAGE))
    return tuple(steps * number // (count + 1) for number in range(1, count + 1))


@dataclass(frozen=True)
class Multiples:
    """The steps that are a multiple of any of some numbers.

    Attributes:
        numbers: 0 has no multiples.
        last: no step after this one is among them.
    """

    numbers: tuple[int, ...]
    last: int

    def __contains__(self, step: int) -> bool:
        return step <= self.last and any(number > 0 and step % number == 0 for number in self.numbers)

    def __len__(self) -> int:
        numbers = [number for number in self.numbers if number > 0]
        if len(numbers) < 2:
            return self.last // numbers[0] if numbers else 0
        return len({step for number in numbers for step in range(number, self.last + 1, number)})


class Plan:
    """The steps of one pass.

    Attributes:
        steps: how many there are.
        steps_per_epoch: how many show every sample once; 0 for modes without epochs.
        saves, previews: the steps after which the pass saves and makes previews; after the last one the run does more.
        film: the previews that nobody has asked for.
        validations: those after which it measures the loss of the validation images.
    """

    def __init__(self, settings: Settings, batches_per_epoch: int = 0, *, is_filmed: bool = False) -> None:
        """Args:
        batches_per_epoch: 0 for modes without epochs.
        is_filmed: whether images are made that nobody has asked for.
        """
        self.steps = settings.train_iterations
        self._batches = settings.train_gradient_accumulation
        self._batches_per_epoch = batches_per_epoch
        self.steps_per_epoch = -(-batches_per_epoch // self._batches)
        before_last = self.steps - 1
        saves, previews = settings.save_every_epochs, settings.sample_every_epochs
        self.saves = Multiples((settings.save_per_steps, saves * self.steps_per_epoch), before_last)
        self.previews: Steps = Multiples((settings.sample_every_steps, previews * self.steps_per_epoch), before_last)
        self.film = filmed_steps(self.steps, settings.train_batch_size * self._batches) if is_filmed else ()
        if is_filmed:
            self.previews = frozenset(self.film)
        validates = settings.validation_split > 0
        every = settings.validation_every_steps or self.steps_per_epoch
        self.validations = Multiples((every if validates else 0,), self.steps)

    def batches_of(self, step: int) -> range:
        """The numbers of the batches of a step; both count from 1.

        ``train_gradient_accumulation`` of them, fewer in the last step of an epoch, so that an epoch is whole steps.
        """
        if not self._batches_per_epoch:
            return range((step - 1) * self._batches + 1, step * self._batches + 1)
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        before, first = epoch * self._batches_per_epoch, place * self._batches
        return range(before + first + 1, before + min(first + self._batches, self._batches_per_epoch) + 1)

    def epoch_of(self, step: int) -> int:
        """The epoch that a step belongs to, counted from 1; 0 for modes without epochs."""
        return -(-step // self.steps_per_epoch) if self.steps_per_epoch else 0
