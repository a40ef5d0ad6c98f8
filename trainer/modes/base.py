"""What a mode is: one or more passes, and the loss of one step of each. Nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..config.settings import Settings
from ..data.latents import Dataset
from ..diffusion.process import Diffusion
from ..diffusion.random import StepRandom
from ..models.base import Bundle, Conditioning
from ..networks.base import Network
from ..networks.files.metadata import Usage
from ..text.messages import Message

_PROMPTS_AT_ONCE = 16


def no_progress(_phase: Message, _done: int, _total: int) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class PassContext:
    """What a pass works with; made by the run, the same for every step.

    Attributes:
        data: the images, for modes that need them.
        progress: called with a phase, how much of it is done and of how much; raises when the user stops.
    """

    settings: Settings
    bundle: Bundle
    network: Network
    diffusion: Diffusion
    data: Dataset | None = None
    progress: Callable[[Message, int, int], None] = no_progress

    def timesteps(self, rng: StepRandom, count: int, *, swept: bool = False) -> Tensor:
        """A step's timesteps ``(count,)``, as the settings bound them; see :meth:`Diffusion.timesteps`."""
        settings = self.settings
        window = settings.train_min_timesteps, settings.train_max_timesteps
        same = settings.train_fixed_timsteps_in_batch
        return self.diffusion.timesteps(rng, count, window, same=same, swept=swept)

    def weighted(self, losses: Tensor, timesteps: Tensor) -> Tensor:
        """Losses ``(B,)`` with their Min-SNR weights, unless these are switched off."""
        return self.diffusion.weighted(losses, timesteps, self.settings.train_snr_gamma)


@torch.no_grad()
def encode_each(
    context: PassContext, prompts: Sequence[str], phase: Message, *, literal: bool = False
) -> list[Conditioning]:
    """Every prompt's conditioning, without gradients; computed in batches, reported as progress of ``phase``.

    Args:
        literal: they are captions; see :meth:`Bundle.encode`.
    """
    found: list[Conditioning] = []
    for at in range(0, len(prompts), _PROMPTS_AT_ONCE):
        context.progress(phase, at, len(prompts))
        part = context.bundle.encode(prompts[at : at + _PROMPTS_AT_ONCE], literal=literal)
        found += [part[number] for number in range(len(part))]
    return found


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
