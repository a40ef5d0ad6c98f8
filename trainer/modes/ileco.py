"""iLECO (instant LECO): one concept becomes another, or is erased, without an image.

Pure noise stands in for the noisy image at whatever timestep is drawn: the network learns to predict for the
original prompt what the untouched model predicts for the target prompt. LECO proper denoises to the timestep first,
hundreds of times slower; here the noise is drawn fresh each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from math import ceil
from random import Random

import torch
from torch import Tensor

from ..config.choices import TEXT_ENCODERS
from ..config.key_values import prompt_pairs, split_lines
from ..config.settings import Settings
from ..diffusion.losses import sample_losses
from ..diffusion.parameterisation import FLOW
from ..diffusion.random import StepRandom
from ..diffusion.seeds import mixed_seed
from ..errors import NetworkError
from ..models.base import Conditioning
from ..models.memory_trace import META
from ..models.placement import device_of, dtype_of
from ..networks.files.metadata import Usage
from ..text.messages import label, message
from .alike import taken_for
from .anchors import held_prompts, pool, pool_of_erased
from .base import Pass, PassContext, StepLoss
from .closed_form import Change, Held, solved, start
from .keep import Keep
from .teacher import Asked, Teacher, predicted

_STREAM = 4 << 32  # no step has this number
_AT_ONCE = 64
_FLOW_STEPS = 4
"""Steps to the starting point on a rectified flow, where the settings ask for none: pure noise is one at ``s = 1``
alone, and has another variance than what a model sees everywhere else."""


class ILECO:
    """The mode."""

    def trains_text_encoder(self, settings: Settings, _captions: Sequence[str]) -> bool:
        return settings.network_train_text_encoder and TEXT_ENCODERS in settings.network_blocks

    def passes(self, settings: Settings) -> list[Pass]:
        return [ConceptPass(trains_text_encoder=self.trains_text_encoder(settings, ()))]

    def usage(self, settings: Settings, _captions: Sequence[str]) -> Usage:
        originals, targets = prompt_pairs(settings.original_prompt, settings.target_prompt)
        slider = _slider(settings, len(originals))
        if slider:
            each = [f'"{one}" turns from "{down}" to "{up}"' for one, (up, down) in zip(originals, slider, strict=True)]
        else:
            becomes = [f'becomes "{target}"' if target else "is erased" for target in targets]
            each = [f'"{one}" {happens}' for one, happens in zip(originals, becomes, strict=True)]
        changing = () if slider else tuple((one, to) for one, to in zip(originals, targets, strict=True) if one)
        sliders = tuple((one, up, down) for one, (up, down) in zip(originals, slider, strict=bool(slider)))
        return Usage(originals[0], meaning=", ".join(each), prompt_pairs=changing, sliders=sliders)


def _slider(settings: Settings, count: int) -> list[tuple[str, str]]:
    """The positive and the negative prompt of each original prompt; none where no slider is trained."""
    ends = [split_lines(text) for text in (settings.slider_positive, settings.slider_negative)]
    if ends == [("",), ("",)]:
        return []
    positive, negative = (lines * count if len(lines) == 1 else lines for lines in ends)
    return list(zip(positive, negative, strict=True))


class ConceptPass(Pass):
    """``loss(e(x, t, c_original; 1), wanted)`` with ``x ~ N(0, 1)``; concepts take the samples in turn.

    What is wanted is the base's ``e(c_original) + ileco_scale (e(c_target) - e(c_original))`` at ``(x, t)``: with 1
    the target's prediction, above 1 further away from the original, as ESD has it for an empty target (Gandikota et
    al. 2023); of a slider (Gandikota et al. 2023) ``e(c_original) + s slider_scale (e(c_positive) - e(c_negative))`` at
    the strengths ``s`` of 1 and -1 in turn. With ``ileco_denoise_steps``, and on a rectified flow in any case, x is
    denoised to ``t`` first, as in LECO. With
    ``ileco_descriptions`` all prompts stand within descriptions that are drawn (:mod:`.anchors`), the same for each,
    and neighbours are held; in the place of what is erased other words of its kind are drawn, too. With
    ``ileco_closed_form`` the network starts with most of the change (:mod:`.closed_form`).
    """

    def __init__(self, *, trains_text_encoder: bool) -> None:
        self._trains_text_encoder = trains_text_encoder

    def prepare(self, context: PassContext) -> None:
        self._context, settings = context, context.settings
        self._prompts, targets = prompt_pairs(settings.original_prompt, settings.target_prompt)
        slider = _slider(settings, len(self._prompts))
        self._described, anchors = settings.ileco_descriptions, list[str]()
        if self._described:
            rng = Random(mixed_seed(settings.train_seed, _STREAM))
            ends: list[tuple[str, ...]] = [*slider] or [(target,) for target in targets]
            every = list(zip(self._prompts, ends, strict=True))
            with context.network.off():
                taken = [each for one, others in every for each in taken_for(context.bundle, one, others)]
            but = [*self._prompts, *taken]
            drawn = [each for one, others in every for each in self._pool(one, others, rng, but)]
            for one, others in every:
                anchors += held_prompts(one, others, self._described, rng, but=but)
            self._prompts, *rest = (tuple(each) for each in zip(*drawn, strict=True))
            slider, targets = (list(zip(*rest, strict=True)), targets) if slider else (slider, rest[0])
        with torch.no_grad(), context.network.off():
            self._ends = [self._encode(prompts) for prompts in zip(*slider, strict=True)]  # positive, negative
            self._before = self._encode(self._prompts)
            self._target = self._before if slider else self._encode(targets)
        self._original = None if self._trains_text_encoder else self._before
        self._keep = Keep(context, holds_unconditional=True, anchors=anchors)
        is_flow = context.diffusion.parameterisation is FLOW
        self._denoises = settings.ileco_denoise_steps or (_FLOW_STEPS if is_flow else 0)
        self._teacher = Teacher(context, self._ask)
        if settings.ileco_closed_form:
            self._start(targets, slider)

    @torch.no_grad()
    def _start(self, targets: Sequence[str], slider: Sequence[tuple[str, str]]) -> None:
        """Begin with what turns the prompts' states into those that are wanted; see :mod:`.closed_form`."""
        context, settings = self._context, self._context.settings
        if device_of(context.bundle.denoiser) == META or not context.network.is_new():
            return
        if slider:
            sides = zip(zip(*slider, strict=True), self._ends, strict=True)
            towards, away = (self._moves(prompts, end) for prompts, end in sides)
            moves = [settings.slider_scale * (one - other) for one, other in zip(towards, away, strict=True)]
        else:
            moves = [settings.ileco_scale * move for move in self._moves(targets, self._target)]
        states_of = context.bundle.family.states_of
        before = [states[: len(move)] for states, move in zip(states_of(self._before), moves, strict=True)]
        changes = [Change(states, move) for states, move in zip(before, moves, strict=True)]
        held = [Held([states_of(each)[0] for each in kept], weight) for kept, weight in self._keep.held()]
        context.progress(message("phase.computing_change"), 0, 1)
        if not start(context.network, solved(changes, held, settings.network_rank)):
            raise NetworkError(
                "networks.none_reads_prompts", where=label("network_blocks"), setting=label("ileco_closed_form")
            )

    def _moves(self, prompts: Sequence[str], conditioning: Conditioning) -> list[Tensor]:
        """What turns each original prompt's states into those of another, ``(places, D)``."""
        bundle = self._context.bundle
        found = []
        every = (bundle.family.states_of(each) for each in (self._before, conditioning))
        for one, other, before, after in zip(self._prompts, prompts, *every, strict=True):
            places = bundle.family.matching_places(bundle, one, other)[: len(before)]
            found.append(after[[min(place, len(after) - 1) for place in places]] - before[: len(places)])
        return found

    def _pool(
        self, concept: str, others: tuple[str, ...], rng: Random, but: Sequence[str]
    ) -> Sequence[tuple[str, ...]]:
        if others == ("",):
            return pool_of_erased(concept, self._described, rng, but=but)
        return pool(concept, others, self._described, rng)

    def loss(self, rng: StepRandom) -> StepLoss:
        context, settings = self._context, self._context.settings
        drawn, of_base = (self._drawn_at(rng), []) if self._denoises else self._teacher.of(rng)
        x, timesteps, numbers = drawn
        context.network.strength = strength = self._strength(rng.step, settings.train_batch_size)
        original = self._original_of(numbers)
        if self._denoises:
            x = denoised(context, x, timesteps, original.detach(), self._denoises)
            of_base = predicted(context, self._asked(rng, x, timesteps, numbers))
        wanted, of_kept = self._wanted(of_base, strength)
        found, kept = self._keep.predict(x, timesteps, original, rng, of_base=of_kept)

        losses = sample_losses(found, wanted, settings.train_loss_function) + kept
        return StepLoss(context.weighted(losses, timesteps), timesteps)

    def _drawn_at(self, rng: StepRandom) -> tuple[Tensor, Tensor, list[int]]:
        """A step's noise ``(B, C, h, w)``, timesteps ``(B,)`` and the number of a prompt for each sample."""
        context, settings = self._context, self._context.settings
        bundle, batch = context.bundle, settings.train_batch_size
        x = rng.noise((batch, *bundle.latent_shape(settings.size)), dtype_of(bundle.denoiser))
        return x, context.timesteps(rng, x), self._drawn(rng, (rng.step - 1) * batch, batch)

    def _asked(self, rng: StepRandom, x: Tensor, timesteps: Tensor, numbers: list[int]) -> list[Asked]:
        """What is asked of the base: the target; beside it the ends of a slider or the original; and what is kept."""
        prompts = [self._target, *self._ends]
        if not self._ends and self._context.settings.ileco_scale != 1:
            prompts.append(self._before)
        asked = [Asked(x, timesteps, each[numbers]) for each in prompts]
        return [*asked, *self._keep.asked(rng, x, timesteps, self._before[numbers])]

    def _ask(self, rng: StepRandom) -> tuple[tuple[Tensor, Tensor, list[int]], list[Asked]]:
        drawn = self._drawn_at(rng)
        return drawn, self._asked(rng, *drawn)

    def _original_of(self, numbers: list[int]) -> Conditioning:
        """The prompts of these numbers; if the text encoder is trained, each is encoded once."""
        if self._original is not None:
            return self._original[numbers]
        distinct = sorted(set(numbers))
        encoded = self._encode([self._prompts[number] for number in distinct])
        return encoded[[distinct.index(number) for number in numbers]]

    def _strength(self, step: int, batch: int) -> float:
        """1; of a slider -1 in turn with it, each for as many steps as all concepts take."""
        concepts = len(self._prompts) // max(1, self._described)
        return -1.0 if self._ends and (step - 1) // ceil(concepts / batch) % 2 else 1.0

    def _drawn(self, rng: StepRandom, first: int, batch: int) -> list[int]:
        """The number of a prompt for each sample: the concepts in turn, each in a description that is drawn."""
        each = max(1, self._described)
        in_turn = [(first + sample) % (len(self._prompts) // each) for sample in range(batch)]
        if not self._described:
            return in_turn
        generator = Random(mixed_seed(rng.seed, _STREAM, rng.step))
        return [concept * each + generator.randrange(each) for concept in in_turn]

    @torch.no_grad()
    def _wanted(self, of_base: Sequence[Tensor], strength: float) -> tuple[Tensor, Sequence[Tensor]]:
        """What is wanted, from the base's predictions, and those of what is kept."""
        settings, (wanted, *rest) = self._context.settings, of_base
        if self._ends:
            positive, negative, *rest = rest
            wanted = wanted + strength * settings.slider_scale * (positive - negative)
        elif settings.ileco_scale != 1:
            before, *rest = rest
            wanted = before + settings.ileco_scale * (wanted - before)
        return wanted, rest

    def _encode(self, prompts: Sequence[str]) -> Conditioning:
        with nullcontext() if self._trains_text_encoder else torch.no_grad():
            parts = [prompts[at : at + _AT_ONCE] for at in range(0, len(prompts), _AT_ONCE)]
            size = self._context.settings.size
            return Conditioning.cat([self._context.bundle.encode(list(part), size=size) for part in parts])


@torch.no_grad()
def denoised(context: PassContext, noise: Tensor, timesteps: Tensor, conditioning: Conditioning, steps: int) -> Tensor:
    """``noise`` denoised towards an image until each sample has reached its timestep.

    Deterministic DDIM (Song et al. 2021), on a rectified flow Euler's method, in ``steps`` even strides from the last
    timestep down, with the network as it is set and without guidance: the starting points of LECO.

    Args:
        noise: ``(B, C, h, w)``, standard normal.
        timesteps: ``(B,)``, where each sample is to arrive.
    """
    diffusion, last = context.diffusion, len(context.diffusion) - 1
    x, now = noise, torch.full_like(timesteps, last)
    for step in range(1, steps + 1):
        after = last - (last - timesteps) * step // steps
        predicted = context.bundle.predict(x, now, conditioning)
        clean, spread = diffusion.split(x, predicted, now)
        x, now = diffusion.noised(clean, spread, after), after
    return x
