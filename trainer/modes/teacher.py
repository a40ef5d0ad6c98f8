"""What the untouched base predicts: for all that a step asks, and for some steps ahead, in one launch of the denoiser.

It depends on the random numbers of a step and not on the network, so nothing has to wait for it. A batch of one leaves
a card waiting for the host, and a launch for four of them takes as many kernels as one for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ..diffusion.random import StepRandom
from ..models.base import Conditioning
from .base import PassContext

_SAMPLES = 4
"""How many are looked ahead for; a step with as many keeps a card busy by itself."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Asked:
    """A prediction that is asked for.

    Attributes:
        latents: ``(B, C, h, w)``, in the denoiser's type.
        timesteps: ``(B,)``.
        conditioning: of ``B`` prompts, or of one for all of them.
    """

    latents: Tensor
    timesteps: Tensor
    conditioning: Conditioning


class Teacher(Generic[Made]):
    """The base's predictions for the steps of a pass.

    Steps are taken together by their numbers, as 1 to 4, so a run that is resumed computes the same.

    Args:
        ask: what a step is made of, by its random numbers, and what it asks; it must not need the network.
    """

    def __init__(self, context: PassContext, ask: Callable[[StepRandom], tuple[Made, list[Asked]]]) -> None:
        self._context, self._ask = context, ask
        settings = context.settings
        self._together = (
            1 if settings.recomputes or not context.looks_ahead else max(1, _SAMPLES // settings.train_batch_size)
        )
        self._last = settings.train_iterations * settings.train_gradient_accumulation
        self._found: dict[int, tuple[Made, list[Tensor]]] = {}

    def of(self, rng: StepRandom) -> tuple[Made, list[Tensor]]:
        """What a step is made of, and the predictions that it asks for."""
        if rng.step not in self._found:
            first = rng.step - (rng.step - 1) % self._together
            steps = range(first, max(rng.step, min(first + self._together - 1, self._last)) + 1)
            asked = {step: self._ask(rng if step == rng.step else rng.of(step)) for step in steps}
            found = iter(predicted(self._context, [each for _, many in asked.values() for each in many]))
            self._found = {step: (made, [next(found) for _ in many]) for step, (made, many) in asked.items()}
        return self._found.pop(rng.step)


@torch.no_grad()
def predicted(context: PassContext, asked: Sequence[Asked]) -> list[Tensor]:
    """What the base predicts, in one launch."""
    if not asked:
        return []
    latents, timesteps = (torch.cat([getattr(each, name) for each in asked]) for name in ("latents", "timesteps"))
    conditioning = Conditioning.cat([each.conditioning.expand(len(each.latents)) for each in asked])
    with context.network.off():
        found = context.bundle.predict(latents, timesteps, conditioning)
    return list(found.split([len(each.latents) for each in asked]))
