"""Whether a LoRA of pairs does to the original image what the pair shows.

The original's latents are hidden in noise up to a share of all timesteps and denoised from there, with the LoRA and
without it. What the LoRA changes of the result is projected onto what differs between the latents of the pair: the
share of the way from the original to the target that it goes. Where the base itself does not come back to the original,
nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config.settings import Settings
from ...data.latents import Dataset
from ...job import Asked
from ...models.placement import device_of, dtype_of, text_on
from ...text.messages import Message, message
from .advice import more_training
from .images import IMAGES, STEPS, Answer, Images

HIDDEN = 0.7
"""The share of all timesteps up to which the original is hidden."""
DONE, NOT_DONE = 0.5, 0.3
"""Shares of the way: from the first on the image is changed, up to the second it is not."""
AWAY = 0.9
"""From this share of the difference of the pair on, the base's image is another one than the original."""


@dataclass(frozen=True)
class Pair:
    """One pair.

    Attributes:
        original: its latents ``(1, C, h, w)``, and so ``target``.
        caption: of the original.
        sizes: ``(1, 6)``, as :attr:`.data.latents.Batch.sizes` has them.
    """

    original: Tensor
    target: Tensor
    caption: str
    sizes: Tensor


@dataclass(frozen=True)
class Way:
    """What became of one pair's original.

    Attributes:
        base: latents ``(1, C, h, w)`` without the network.
        seen: with it.
        away: how far the base's image is from the original, by how far the target is.
        share: of the way to the target, that the network goes further than the base.
    """

    base: Tensor
    seen: Tensor
    away: float
    share: float

    @property
    def is_changed(self) -> bool | None:
        """Whether the network makes the target of it; None: it goes part of the way, or there is no telling."""
        if not self.away < AWAY:
            return None
        return True if self.share >= DONE else False if self.share <= NOT_DONE else None


@dataclass(frozen=True)
class Counts:
    """Images, of :data:`IMAGES`.

    Attributes:
        changed: show what the target shows.
        unchanged: show what the original shows.
        untold: of which the base makes another image.
    """

    changed: int
    unchanged: int
    untold: int = 0

    @property
    def partly(self) -> int:
        """That go part of the way."""
        return IMAGES - self.changed - self.unchanged - self.untold


@dataclass(frozen=True)
class PairQuestion:
    """Does the LoRA make the target of the original?

    Attributes:
        data: the pairs.
        is_reversed: whether the original is to become of the target.
    """

    data: Dataset
    is_reversed: bool = False
    rows: int = 2

    def launches(self) -> int:
        """As :class:`Question` has it; with one sample each time, since there is no guidance."""
        return 2 * IMAGES * STEPS

    def answer(self, images: Images, settings: Settings) -> Answer:
        ways = [way_of(images, pair, number) for number, pair in enumerate(self.pairs())]
        told = [way.is_changed for way in ways]
        untold = sum(not way.away < AWAY for way in ways)
        found = Counts(told.count(True), told.count(False), untold)
        words = tuple(words_of(found, len(self.data.samples), settings))
        asked = Asked(found.changed, found.unchanged, IMAGES, words, shown=message("engine.asked_shown_pairs"))
        return Answer(asked, (("off", tuple(way.base[0] for way in ways)), ("+1", tuple(way.seen[0] for way in ways))))

    def pairs(self) -> list[Pair]:
        """One for each image, in the order of the steps."""
        found: list[Pair] = []
        step = 0
        while len(found) < IMAGES:
            step += 1
            batch = self.data.of_step(step)
            assert batch.targets is not None
            sides = (batch.latents, batch.captions), (batch.targets, batch.target_captions)
            (originals, captions), (targets, _) = sides[::-1] if self.is_reversed else sides
            found += [
                Pair(originals[[at]], targets[[at]], captions[at], batch.sizes[[at]]) for at in range(len(originals))
            ]
        return found[:IMAGES]


@torch.no_grad()
def way_of(images: Images, pair: Pair, number: int) -> Way:
    """What the base and the LoRA make of a pair's original in the noise of a number."""
    bundle, network = images.bundle, images.network
    device, dtype = device_of(bundle.denoiser), dtype_of(bundle.denoiser)
    diffusion = bundle.diffusion.to(device)
    seed = images.spec("", number).seed
    noise = torch.randn(pair.original.shape, generator=torch.Generator().manual_seed(seed)).to(device)
    original, target = (each.to(device).float() for each in (pair.original, pair.target))
    first = round(HIDDEN * len(diffusion))

    def denoised() -> Tensor:
        with text_on(bundle, device):
            conditioning = bundle.encode([pair.caption], literal=True).sized(pair.sizes)
        x = diffusion.noised(original, noise, torch.tensor([first], device=device))
        for step in range(STEPS):
            images.check()
            now, after = (torch.tensor([first * (STEPS - each) // STEPS], device=device) for each in (step, step + 1))
            predicted = bundle.predict(x.to(dtype), now, conditioning).float()
            clean, spread = diffusion.split(x, predicted, now)
            x = clean if step == STEPS - 1 else diffusion.noised(clean, spread, after)
        return x

    base = denoised()
    network.strength = 1.0
    with network.attached():
        seen = denoised()
    whole = target - original
    length = whole.square().sum().clamp(min=1e-12)
    away = torch.linalg.vector_norm(base - original) / length.sqrt()
    return Way(base, seen, float(away), float(((seen - base) * whole).sum() / length))


def words_of(found: Counts, pairs: int, settings: Settings) -> Iterator[Message]:
    """What was found, in sentences, and what to change where it did not work."""
    kind = "pair" if pairs == 1 else "pairs"
    if found.untold * 2 > IMAGES:
        yield message(f"engine.asked_unknown_{kind}", untold=found.untold, images=IMAGES)
        return
    yield message(f"engine.asked_{kind}", changed=found.changed, images=IMAGES)
    if found.changed * 2 > IMAGES:
        yield message("engine.asked_leave_out")
    if found.partly:
        yield message("engine.asked_partly", partly=found.partly)
    if found.untold:
        yield message("engine.asked_untold", untold=found.untold)
    if (found.unchanged + found.partly) * 3 >= IMAGES:
        yield more_training(settings)
