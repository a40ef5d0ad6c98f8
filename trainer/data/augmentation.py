"""What is changed of a sample at random each time it is used: numbers only, drawn from the seed and the step."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from ..config.settings import Settings
from ..diffusion.seeds import mixed_seed
from .images.colours import Tint
from .samples import Sample

_STREAM = 5 << 32  # no step has this number
_COLOURED = 0.33
"""The share of images whose colours are changed."""
_MOST_HUE = 8 / 180
"""Of a whole turn, either way."""
_MOST_GAMMA = 0.05
"""Above or below 1."""


@dataclass(frozen=True)
class Augmentation:
    """What of a sample may change from step to step.

    Attributes:
        flip: left and right, in half of the steps.
        crop: where the frame is cut out of the scaled image.
        colour: hue or gamma, as sd-scripts changes them.
    """

    flip: bool = False
    crop: bool = False
    colour: bool = False

    @staticmethod
    def of(settings: Settings) -> Augmentation:
        return Augmentation(settings.image_random_flip, settings.image_random_crop, settings.image_color_augmentation)

    def __bool__(self) -> bool:
        return self.flip or self.crop or self.colour

    @property
    def needs_pixels(self) -> bool:
        """Whether there are too many variants to encode them all beforehand."""
        return self.crop or self.colour


@dataclass(frozen=True)
class Draw:
    """What is drawn for a sample in a step; the sides of a pair share it.

    Attributes:
        flip: whether it is flipped.
        across, down: where its frame is cut out, from 0 to 1.
        tint: how its colours change.
    """

    flip: bool
    across: float
    down: float
    tint: Tint

    @staticmethod
    def of(seed: int, step: int, place: int) -> Draw:
        """What is drawn for the sample at a place in the batch of a step."""
        drawn = random.Random(mixed_seed(seed, _STREAM, step, place)).random
        flip, across, down, coloured, which, amount = (drawn() for _ in range(6))
        tint, change = Tint(), 2 * amount - 1
        if coloured < _COLOURED:
            tint = Tint(hue=_MOST_HUE * change) if which < 0.5 else Tint(gamma=1 + _MOST_GAMMA * change)
        return Draw(flip < 0.5, across, down, tint)

    def tint_of(self, augmentation: Augmentation) -> Tint:
        return self.tint if augmentation.colour else Tint()

    def applied(self, sample: Sample, augmentation: Augmentation) -> Sample:
        """The sample as it is in the step, but for its colours."""
        if augmentation.flip and self.flip:
            sample = flipped(sample)
        return self._cropped(sample) if augmentation.crop else sample

    def _cropped(self, sample: Sample) -> Sample:
        spare = sample.scaled.width - sample.frame.width, sample.scaled.height - sample.frame.height
        crop = int(self.across * (spare[0] + 1)), int(self.down * (spare[1] + 1))
        return replace(sample, crop=crop, target=None if sample.target is None else self._cropped(sample.target))


def not_augmented(settings: Settings) -> Settings:
    """The same without anything that changes images from step to step."""
    return replace(settings, image_random_flip=False, image_random_crop=False, image_color_augmentation=False)


def flipped(sample: Sample) -> Sample:
    """The sample the other way round."""
    target = None if sample.target is None else flipped(sample.target)
    return replace(sample, mirrored=not sample.mirrored, target=target)
