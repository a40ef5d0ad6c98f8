"""What a mode is: one or more passes, and the loss of one step of each. Nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..config.settings import Settings
from ..data.cache import DataCache
from ..data.kept import KeptTensors
from ..data.latents import Dataset
from ..diffusion.noise import offset_noise, pyramid_noise
from ..diffusion.parameterisation import FLOW
from ..diffusion.process import Diffusion
from ..diffusion.random import StepRandom
from ..models.base import Bundle, Conditioning
from ..models.placement import device_of
from ..networks.base import Network
from ..networks.files.metadata import Usage
from ..text.messages import Message

_PROMPTS_AT_ONCE = 16
_FEW_ON_CPU, _FEW_ELSEWHERE = 64, 1024
"""Captions: fewer are encoded sooner than the text encoders are hashed to find them."""


def no_progress(_phase: Message, _done: int, _total: int) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class PassContext:
    """What a pass works with; made by the run, the same for every step.

    Attributes:
        data: the images, for modes that need them.
        progress: called with a phase, how much of it is done and of how much; raises when the user stops.
        cache: what captions have become in earlier runs.
        looks_ahead: whether this takes all steps, one after the other; see :class:`.teacher.Teacher`.
    """

    settings: Settings
    bundle: Bundle
    network: Network
    diffusion: Diffusion
    data: Dataset | None = None
    progress: Callable[[Message, int, int], None] = no_progress
    cache: DataCache | None = None
    looks_ahead: bool = True

    def timesteps(self, rng: StepRandom, latents: Tensor, *, swept: bool = False) -> Tensor:
        """A step's timesteps ``(B,)`` for latents ``(B, C, h, w)``, as the settings bound them; see
        :meth:`Diffusion.timesteps`."""
        settings = self.settings
        window = settings.train_min_timesteps, settings.train_max_timesteps
        count, _, height, width = latents.shape
        same = settings.train_fixed_timsteps_in_batch
        return self.diffusion.timesteps(rng, count, window, (height, width), same=same, swept=swept)

    def weighted(self, losses: Tensor, timesteps: Tensor) -> Tensor:
        """Losses ``(B,)`` with the weights of their timesteps that are not switched off."""
        settings = self.settings
        return self.diffusion.weighted(
            losses,
            timesteps,
            settings.train_snr_gamma,
            debiased=settings.train_debiased_estimation,
            noise_like=settings.train_scale_v_pred_loss,
        )

    def noise(self, rng: StepRandom, latents: Tensor) -> Tensor:
        """The noise that hides ``latents`` ``(B, C, h, w)``, in their type: white unless the settings say otherwise.

        Along a rectified flow it always is: at its end there is nothing but the noise that sampling begins with.
        """
        settings, wide = self.settings, torch.promote_types(latents.dtype, torch.float32)
        noise = rng.noise(tuple(latents.shape), wide)
        if self.diffusion.parameterisation is FLOW:
            return noise.to(latents.dtype)
        if settings.train_noise_offset or settings.train_adaptive_noise_scale:
            noise = offset_noise(
                noise,
                latents.to(wide),
                rng,
                settings.train_noise_offset,
                adaptive=settings.train_adaptive_noise_scale,
                is_random=settings.train_noise_offset_random,
            )
        if settings.train_multires_noise_iterations:
            iterations, discount = settings.train_multires_noise_iterations, settings.train_multires_noise_discount
            noise = pyramid_noise(noise, rng, iterations, discount)
        return noise.to(latents.dtype)


@torch.no_grad()
def encode_each(
    context: PassContext,
    prompts: Sequence[str],
    phase: Message,
    *,
    literal: bool = False,
    keeps: bool = True,
    home: str | None = None,
) -> list[Conditioning]:
    """Every prompt's conditioning, without gradients; computed in batches, reported as progress of ``phase``.

    Args:
        literal: they are captions; see :meth:`Bundle.encode`.
        keeps: whether captions are kept on the disk for later runs.
        home: the device they are moved to; None: they stay where they are made.
    """
    found: list[Conditioning] = []
    kept = _KeptConditionings.of(context, len(prompts)) if literal and keeps else None
    for at in range(0, len(prompts), _PROMPTS_AT_ONCE):
        context.progress(phase, at, len(prompts))
        together = prompts[at : at + _PROMPTS_AT_ONCE]
        part = kept.get(together) if kept is not None and at else None
        if part is None:
            part = context.bundle.encode(together, literal=literal)
            if kept is not None:
                kept.put(together, part)
        rows = [part[number] for number in range(len(part))]
        found += rows if home is None else [each.to(home) for each in rows]
    return found


class _KeptConditionings:
    """Conditionings by the captions that are encoded together.

    Those of a run's first captions are computed all the same: they show the family's kind of conditioning, and if they
    are not what was kept of them, nothing that was kept is used.
    """

    def __init__(self, cache: DataCache, bundle: Bundle, device: torch.device) -> None:
        how = (bundle.family.name, bundle.clip_skip, bundle.reading)
        self._kept = KeptTensors(cache, bundle.text_encoders, device, how)
        self._device = device
        self._first: Conditioning | None = None
        self._is_same = True

    @staticmethod
    def of(context: PassContext, count: int) -> _KeptConditionings | None:
        """For so many captions; None where it would not save time, or adapters change what they become."""
        bundle = context.bundle
        if context.cache is None or not bundle.text_encoders or bundle.text_is_changed():
            return None
        device = device_of(bundle.text_encoders[0])
        few = _FEW_ON_CPU if device.type == "cpu" else _FEW_ELSEWHERE
        return None if count < few else _KeptConditionings(context.cache, bundle, device)

    def get(self, captions: Sequence[str]) -> Conditioning | None:
        tensors = self._kept.get(self._kept.key_of_text(captions)) if self._is_same else None
        if tensors is None or self._first is None:
            return None
        return type(self._first)(**{name: tensor.to(self._device) for name, tensor in tensors.items()})

    def put(self, captions: Sequence[str], conditioning: Conditioning) -> None:
        key, tensors = self._kept.key_of_text(captions), conditioning.tensors()
        if self._first is None:
            self._first = conditioning
            before = self._kept.get(key)
            self._is_same = before is None or _are_same(before, tensors)
        if self._is_same:
            self._kept.put(key, tensors)


def _are_same(kept: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> bool:
    return kept.keys() == tensors.keys() and all(torch.equal(kept[name], tensors[name].cpu()) for name in kept)


@dataclass(frozen=True)
class StepLoss:
    """The losses of one step.

    Attributes:
        samples: one number a sample, ``(B,)`` float32, with its graph.
        timesteps: ``(B,)``, to name a sample that breaks.
        names: what the user calls each sample, where it has a name.
    """

    samples: Tensor
    timesteps: Tensor
    names: tuple[str, ...] = ()

    @staticmethod
    def joined(parts: Sequence[StepLoss]) -> StepLoss:
        """Those of several batches, one after the other."""
        if len(parts) == 1:
            return parts[0]
        samples, timesteps = ([getattr(each, name) for each in parts] for name in ("samples", "timesteps"))
        names = tuple(name for each in parts for name in each.names)
        return StepLoss(torch.cat(samples), torch.cat(timesteps), names)


@dataclass(frozen=True)
class PassSpec:
    """How a pass is run; the default is that of a mode's only one.

    Attributes:
        settings: its own; None: the job's.
        name: what the phases call it; None for a mode's only pass.
        suffix: appended to the names of its files and of its log.
        saved: whether its network is saved. If not, it only serves the passes after it.
        loaded: a LoRA file, by path or by name, that stands in for what would be trained; empty: it is trained.
        stream: sets its random numbers apart from those of the other passes.
        usage: how its LoRA is used; None: as the mode says.
    """

    settings: Settings | None = None
    name: Message | None = None
    suffix: str = ""
    saved: bool = True
    loaded: str = ""
    stream: int = 0
    usage: Usage | None = None


class Pass(ABC):
    """One training pass of a mode: its own network, a loop, a file.

    The networks of the passes before it are attached, frozen and at strength 1.
    """

    spec: PassSpec = PassSpec()
    needs_text_encoder: bool = False
    """Whether :meth:`loss` encodes prompts although the text encoder is not trained; known after :meth:`prepare`."""

    @abstractmethod
    def prepare(self, context: PassContext) -> None:
        """Compute what all steps share, conditionings above all; the network is attached."""

    @abstractmethod
    def loss(self, rng: StepRandom) -> StepLoss:
        """The loss of one step.

        The network's strength the loss was made with stays set: the backward pass may call the adapters once more.
        """


class Mode(Protocol):
    """A way of training; ``config/choices.py`` lists them."""

    def trains_text_encoder(self, settings: Settings, captions: Sequence[str]) -> bool:
        """Whether the text encoder gets adapters, and so conditionings change from step to step.

        ``captions`` are those of the images, of pairs both.
        """

    def passes(self, settings: Settings) -> list[Pass]:
        """The passes, in the order they run."""

    def usage(self, settings: Settings, captions: Sequence[str]) -> Usage:
        """How the LoRA is used, in the mode's words; ``captions`` as above, in the order of the images."""
