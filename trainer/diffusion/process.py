"""The diffusion of one model, as every mode uses it: noise schedule, parameterisation and density of timesteps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .parameterisation import Parameterisation
from .random import StepRandom
from .schedule import NoiseSchedule
from .timesteps import Density


@dataclass(frozen=True)
class Diffusion:
    """How one model is noised, what it predicts, and which timesteps it is trained at."""

    schedule: NoiseSchedule
    parameterisation: Parameterisation
    density: Density
    _weights: dict[tuple[float, bool, bool], Tensor | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Tables of :meth:`weighted`, by what they were made for."""

    def __len__(self) -> int:
        """The number of timesteps."""
        return len(self.schedule)

    def to(self, device: torch.device | str) -> Diffusion:
        """The same with its tables on another device."""
        return replace(self, schedule=self.schedule.to(device))

    def predicting(self, parameterisation: Parameterisation) -> Diffusion:
        """The same for a model that predicts otherwise."""
        return replace(self, parameterisation=parameterisation)

    def with_zero_terminal_snr(self) -> Diffusion:
        """See :meth:`NoiseSchedule.with_zero_terminal_snr`."""
        return replace(self, schedule=self.schedule.with_zero_terminal_snr())

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """``x_t`` for ``latents`` and ``noise`` ``(B, C, h, w)`` at ``timesteps`` ``(B,)``."""
        schedule = self.schedule
        return schedule.signal_at(timesteps, latents) * latents + schedule.noise_at(timesteps, latents) * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the model is to predict for these, ``(B, C, h, w)``."""
        a, s = self.schedule.signal_at(timesteps, latents), self.schedule.noise_at(timesteps, latents)
        return self.parameterisation.target(latents, noise, a, s)

    def split(self, noisy: Tensor, predicted: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """What a prediction takes ``noisy`` for: the latents and the noise it is made of, each ``(B, C, h, w)``."""
        a, s = self.schedule.signal_at(timesteps, noisy), self.schedule.noise_at(timesteps, noisy)
        return self.parameterisation.split(noisy, predicted, a, s)

    def moved(self, predicted: Tensor, by: Tensor, timesteps: Tensor) -> Tensor:
        """The prediction that finds the same noise, and latents that lie elsewhere ``by`` ``(B, C, h, w)``."""
        return self.parameterisation.moved(predicted, by, self.schedule.noise_at(timesteps, predicted))

    def weighted(
        self, losses: Tensor, timesteps: Tensor, gamma: float, *, debiased: bool = False, noise_like: bool = False
    ) -> Tensor:
        """Losses ``(B,)`` with the weights of their timesteps, where the model's parameterisation has any.

        Args:
            gamma: Min-SNR's; 0 switches it off.
            debiased: with the weights of debiased estimation.
            noise_like: with those that make a velocity's loss like a noise's.
        """
        made_for = gamma, debiased, noise_like
        if made_for not in self._weights:
            self._weights[made_for] = self._table(*made_for)
        table = self._weights[made_for]
        return losses if table is None else losses * table[timesteps]

    def _table(self, gamma: float, debiased: bool, noise_like: bool) -> Tensor | None:
        """The weight of every timestep, ``(T,)`` float32; None where all weigh alike."""
        kind, schedule = self.parameterisation, self.schedule
        snr = schedule.snr(torch.arange(len(schedule), device=schedule.signal.device))
        weights = [
            kind.snr_weight(snr, gamma) if gamma > 0 else None,
            kind.noise_like_weight(snr) if noise_like else None,
            kind.debiased_weight(snr) if debiased else None,
        ]
        found = [each for each in weights if each is not None]
        return torch.stack(found).prod(0) if found else None

    def timesteps(
        self,
        random: StepRandom,
        count: int,
        window: tuple[int, int],
        size: tuple[int, int],
        *,
        same: bool = False,
        swept: bool = False,
    ) -> Tensor:
        """A step's timesteps ``(count,)`` int64 from ``[window[0], window[1])``.

        Args:
            size: height and width of the latents.
            same: one for the whole batch.
            swept: step by step through the whole window; see :meth:`Density.sweep`.
        """
        density = self.density.for_size(*size)
        draw = density.sweep if swept else density.draw
        drawn = draw(random, 1 if same else count, window, len(self))
        return drawn.expand(count) if same else drawn
