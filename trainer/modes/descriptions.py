"""Random descriptions in the place of captions that images do not have.

Without captions, images are trained at the empty prompt. That is what guidance subtracts: ``u + g (c - u)`` turns a
change round that prompts take up less of than the empty one does. So every second sample is trained at a description
such as ``a large green star on a white background`` instead. It need not be true: network and base see the same one, so
that what it says is not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..config.settings import Settings
from ..data.captions.variants import with_trigger, without_trigger
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from .anchors import Anchors
from .keep import half_of

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

    def drawn(self, rng: StepRandom, *sides: Sequence[str]) -> list[str | None]:
        """What each sample of a step is trained at in the place of its captions, one a side; None: at these."""
        captions = [*zip(*sides, strict=True)]
        described: list[str | None] = [None] * len(captions)
        if self.all:
            generator = Random(mixed_seed(rng.seed, _STREAM, rng.step))
            for place in range(len(captions))[half_of(len(captions), rng.step)]:
                if all(map(self._says_nothing, captions[place])):
                    described[place] = generator.choice(self.all)
        return described

    def _says_nothing(self, caption: str) -> bool:
        return not without_trigger(caption, self._trigger).strip()
