"""Whether one concept becomes another, or is erased, and other words stay as they are.

Two judges tell it of each image, and only where they agree is anything said. The base model is one: with which of the
two prompts it predicts the noise in the image better (Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot
Classifier"). The other compares latents made from the same noise: whether the LoRA's are nearer to the base's of the
one prompt or of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from torch import Tensor

from ...config.settings import NO, Settings
from ...job import Asked
from ...modes.alike import taken_for
from ...modes.anchors import examples
from ...text.messages import Message, label, message
from .advice import more_training, rate_of
from .images import IMAGES, NOISE, STEPS, Answer, Images, distance, mean_distance, numbered

MARGIN = 0.06
"""By what share of both losses the target's is lower where an image shows the target, and not just something else."""
MOVED = 0.4
"""From this share of what two of the base's images of the empty prompt differ by, one differs from the base's."""
KEPT, LOST = 0.2, 0.4
"""Of what another word in its place changes in the base's image: up to the first an image is nearly as it was, from the
second on it is another one."""
ALIKE = 0.2
"""Up to this share of what two of the base's images differ by, it makes nearly the same of both prompts."""


@dataclass(frozen=True)
class Reading:
    """What was measured of one image of the original prompt with the LoRA.

    Attributes:
        losses: of the base's predictions of the noise in it, with the original and with the target prompt.
        distances: from the base's latents of the original and of the target prompt.
        apart: between these two.
    """

    losses: tuple[float, float]
    distances: tuple[float, float]
    apart: float = 0.0

    @property
    def is_changed(self) -> bool | None:
        """Whether it shows the target; None: the judges do not agree, or the first cannot tell."""
        original, target = self.losses
        is_nearer = self.distances[0] > self.distances[1]
        if is_nearer and original - target > MARGIN * (original + target):
            return True
        return False if not is_nearer and original < target else None


@dataclass(frozen=True)
class Counts:
    """Images, of :data:`IMAGES`.

    Attributes:
        changed: show the target.
        unchanged: show the original.
        alike: that the base makes nearly the same of the original and of the target.
        kept: of other words, that stay nearly as they were; None: there are no other words.
        lost: of other words, that change clearly.
        moved: of the empty prompt, that change; None: they were not made.
    """

    changed: int
    unchanged: int
    alike: int
    kept: int | None = None
    lost: int = 0
    moved: int | None = None


@dataclass(frozen=True)
class Example:
    """Three prompts that differ in the concept's place alone.

    Attributes:
        neighbour: has another word of the concept's kind there; empty: there is none.
    """

    original: str
    target: str
    neighbour: str


@dataclass(frozen=True)
class Seen:
    """Latents of an example's images, ``(1, C, h, w)`` each, made from the same noise.

    Attributes:
        original: without the network, and so ``target`` and ``neighbour``.
        changed: of the original prompt with the network.
        kept: of the neighbour with it.
    """

    example: Example
    original: Tensor
    target: Tensor
    changed: Tensor
    neighbour: Tensor | None
    kept: Tensor | None


@dataclass(frozen=True)
class ConceptQuestion:
    """Do prompts give the images of other prompts?

    Attributes:
        prompt_pairs: prompts, and those whose images they are to give; of an erased one, the empty prompt.
        described: whether they are shown in descriptions, as the mode trains them.
        asks_empty: whether the empty prompt's images are looked at, which nothing holds.
    """

    prompt_pairs: Sequence[tuple[str, str]]
    described: bool
    asks_empty: bool
    rows: int = 2

    def launches(self) -> int:
        """As :class:`Question` has it; fewer where there is no neighbour."""
        return IMAGES * (5 * STEPS + len(NOISE) + self.asks_empty * STEPS)

    def answer(self, images: Images, settings: Settings) -> Answer:
        seen = list(self.seen(images))
        readings = [reading_of(images, each) for each in seen]
        told = [each.is_changed for each in readings]
        apart = mean_distance([each.original for each in seen])
        others = [share for each in seen for share in shares_of_neighbour(each)]
        found = Counts(
            changed=told.count(True),
            unchanged=told.count(False),
            alike=sum(each.apart <= ALIKE * apart for each in readings),
            kept=sum(share <= KEPT for share in others) if len(others) == len(seen) else None,
            lost=sum(share >= LOST for share in others),
            moved=sum(each >= MOVED for each in empty_distances(images)) if self.asks_empty else None,
        )
        words = tuple(words_of(found, self.prompt_pairs, settings))
        shown = message("engine.asked_shown", prompts=numbered(each.example.original for each in seen))
        asked = Asked(found.changed, found.unchanged, IMAGES, words, found.kept, found.lost, found.moved, shown)
        off, on = (tuple(getattr(each, name)[0] for each in seen) for name in ("original", "changed"))
        return Answer(asked, (("off", off), ("+1", on)))

    def examples(self, images: Images) -> list[Example]:
        """One for each of :data:`IMAGES`, the concepts in turn; drawn by the images' seed."""
        rng, but = Random(images.request.seed), [original for original, _ in self.prompt_pairs]
        for original, target in self.prompt_pairs:
            but += taken_for(images.bundle, original, (target,))
        rounds = -(-IMAGES // len(self.prompt_pairs))
        drawn = [
            examples(original, target, rounds, rng, described=self.described, but=but)
            for original, target in self.prompt_pairs
        ]
        return [Example(*each) for together in zip(*drawn, strict=True) for each in together][:IMAGES]

    def seen(self, images: Images) -> Iterator[Seen]:
        """The images of every example."""
        for number, example in enumerate(self.examples(images)):
            original, target = (images.of(prompt, number) for prompt in (example.original, example.target))
            changed, neighbour, kept = images.of(example.original, number, 1.0), None, None
            if example.neighbour:
                neighbour, kept = (images.of(example.neighbour, number, strength) for strength in (0.0, 1.0))
            yield Seen(example, original, target, changed, neighbour, kept)


# ---- measuring ------------------------------------------------------------------------------------------------------


def reading_of(images: Images, seen: Seen) -> Reading:
    """What the judges are shown of an example."""
    losses = images.losses(seen.changed, (seen.example.original, seen.example.target))
    distances = distance(seen.changed, seen.original), distance(seen.changed, seen.target)
    return Reading(losses, distances, distance(seen.original, seen.target))


def shares_of_neighbour(seen: Seen) -> list[float]:
    """How far the neighbour's image is from the base's, by how far the base's images of the other two prompts are; the
    further one of the two counts. Nothing where there is no neighbour."""
    if seen.neighbour is None or seen.kept is None:
        return []
    whole = max(distance(seen.neighbour, each) for each in (seen.original, seen.target))
    return [distance(seen.kept, seen.neighbour) / whole if whole else 0.0]


def empty_distances(images: Images) -> list[float]:
    """How far each image of the empty prompt is from the base's, by what two of the base's differ by on average."""
    specs = [images.empty_spec(number) for number in range(IMAGES)]
    pairs = [specs[at : at + 2] for at in range(0, IMAGES, 2)]
    base, seen = (
        [latents for pair in pairs for latents in images.of_specs(pair, strength).split(1)] for strength in (0.0, 1.0)
    )
    apart = mean_distance(base)
    return [distance(one, other) / apart for one, other in zip(seen, base, strict=True)]


# ---- in words -------------------------------------------------------------------------------------------------------


def words_of(found: Counts, prompt_pairs: Sequence[tuple[str, str]], settings: Settings) -> Iterator[Message]:
    """What was found, in sentences, and what to change where it did not work."""
    kind, named = _asked_of(prompt_pairs)
    if found.alike * 2 > IMAGES:
        yield message(f"engine.asked_alike_{kind}", **named, alike=found.alike, images=IMAGES)
        return
    untold = IMAGES - found.changed - found.unchanged
    if untold > IMAGES // 2:
        yield message(f"engine.asked_unknown_{kind}", **named)
    else:
        yield message(f"engine.asked_{kind}", **named, changed=found.changed, images=IMAGES)
        if untold:
            yield message("engine.asked_untold", untold=untold)
        if found.unchanged * 3 >= IMAGES:
            yield more_training(settings)
    yield from _of_others(found, settings)
    if found.moved is not None and found.moved * 2 >= IMAGES:
        yield message("engine.asked_empty", moved=found.moved, images=IMAGES)
        if settings.hold_unconditional == NO:
            yield message("engine.asked_hold", setting=label("hold_unconditional"))


def _of_others(found: Counts, settings: Settings) -> Iterator[Message]:
    """What becomes of other words, and what keeps them."""
    if found.kept is None:
        return
    counts = {"kept": found.kept, "images": IMAGES, "lost": found.lost}
    yield message("engine.asked_kept_lost" if found.lost else "engine.asked_kept", **counts)
    if found.lost * 3 < IMAGES:
        return
    if not settings.ileco_descriptions:
        yield message("engine.asked_describe", setting=label("ileco_descriptions"))
        return
    weight = {"weight": label("keep_weight"), "keeps": f"{settings.keep_weight:g}"}
    named = {"prompts": label("keep_prompts"), **weight}
    yield message("engine.asked_keep", **named, **rate_of(settings))


def _asked_of(prompt_pairs: Sequence[tuple[str, str]]) -> tuple[str, dict[str, str]]:
    """What the sentences about it are called, and the prompts they name."""
    if len(prompt_pairs) > 1:
        return "several", {}
    ((original, target),) = prompt_pairs
    return ("turned", {"original": original, "target": target}) if target else ("erased", {"original": original})
