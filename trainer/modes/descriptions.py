"""Random descriptions in the place of captions that images do not have.

Without captions, images are trained at the empty prompt. That is what guidance subtracts: ``u + g (c - u)`` turns a
change round that prompts take up less of than the empty one does. So every second sample is trained at a description
``c`` such as ``a large green star on a white background`` instead. It need not be true: the network is to move what the
base, with the networks of earlier passes, makes of it as far as at the image's own caption ``o``, and what it says is
not learned::

    wanted(c) = e(x, t, c; 0) + wanted(o) - e(x, t, o; 0)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from ..config.settings import Settings
from ..data.captions.variants import with_trigger, without_trigger
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from ..models.base import Conditioning
from .anchors import Anchors
from .keep import half_of
from .teacher import Asked

_STREAM = 10 << 32  # no step has this number


class Descriptions:
    """``diff_descriptions`` of them, drawn by the run's seed, each after the trigger word.

    Attributes:
        all: each once; none where the setting is 0.
    """

    def __init__(self, settings: Settings) -> None:
        self._trigger = settings.lora_trigger_word
        generator, anything = Random(mixed_seed(settings.train_seed, _STREAM)), Anchors("")
        drawn = [anything.held(generator) for _ in range(settings.diff_descriptions)]
        self.all = tuple(dict.fromkeys(with_trigger(self._trigger, each) for each in drawn))

    def of_step(self, rng: StepRandom, *sides: Sequence[str]) -> StepDescriptions:
        """What the samples of a step are trained at in the place of their captions, one a side."""
        captions = [*zip(*sides, strict=True)]
        described: list[str | None] = [None] * len(captions)
        if self.all:
            generator = Random(mixed_seed(rng.seed, _STREAM, rng.step))
            for place in range(len(captions))[half_of(len(captions), rng.step)]:
                if all(map(self._says_nothing, captions[place])):
                    described[place] = generator.choice(self.all)
        return StepDescriptions(tuple(described))

    def _says_nothing(self, caption: str) -> bool:
        return not without_trigger(caption, self._trigger).strip()


@dataclass(frozen=True)
class StepDescriptions:
    """The descriptions of a step.

    Attributes:
        prompts: one for each of the ``B`` samples; None: it is trained at its own captions.
    """

    prompts: tuple[str | None, ...]

    def __bool__(self) -> bool:
        return any(self.prompts)

    def instead_of(self, captions: Sequence[str]) -> tuple[str, ...]:
        """The captions of the samples, with the descriptions in their places."""
        return tuple(own if each is None else each for own, each in zip(captions, self.prompts, strict=True))

    def asked(self, noisy: Tensor, timesteps: Tensor, *conditionings: Conditioning) -> list[Asked]:
        """The base's predictions for those that are described, at each of the conditionings.

        Args:
            noisy: ``(n B, C, h, w)``, the samples ``n`` times over.
            timesteps: ``(n B,)``.
            conditionings: of as many prompts each.
        """
        rows = self._rows(len(noisy))
        noisy, timesteps = _of_rows(noisy, rows), _of_rows(timesteps, rows)
        return [Asked(noisy, timesteps, each[rows]) for each in conditionings]

    def of_those(self, tensor: Tensor) -> Tensor:
        """The rows of ``(n B, …)`` that are described."""
        return _of_rows(tensor, self._rows(len(tensor)))

    def moved(self, wanted: Tensor, described: Tensor, own: Tensor) -> Tensor:
        """What is wanted at the samples' own captions, ``(n B, C, h, w)``, at the descriptions where they have one.

        Args:
            described: the base's predictions for those, at their descriptions.
            own: the same at their own captions.
        """
        parts, shifts = list(wanted.split(1)), (described - own).split(1)
        for row, shift in zip(self._rows(len(wanted)), shifts, strict=True):
            parts[row] = parts[row] + shift
        return torch.cat(parts)

    def _rows(self, count: int) -> list[int]:
        return [row for row in range(count) if self.prompts[row % len(self.prompts)] is not None]


def _of_rows(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """Not by a list of numbers, which the device would have to be given."""
    return torch.cat([tensor[:0], *(tensor[row : row + 1] for row in rows)])
