"""The forward process: noise schedules, noisy latents, what a model is to predict, and seeded draws.

Pure functions and one frozen table. Formulas: Ho et al. 2020 (``x_t = a_t z + s_t n``, eps), Salimans & Ho 2022
(velocity ``v = a_t n - s_t z``), Hang et al. 2023 (signal-to-noise ratio ``a_t^2 / s_t^2``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = "epsilon"
VELOCITY = "v_prediction"
_TENTHS = 10


def scaled_linear_betas(steps: int = 1000, start: float = 0.00085, end: float = 0.012) -> Tensor:
    """Stable Diffusion's betas, ``(steps,)`` float64: linear in their square roots."""
    return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2


def zero_terminal_snr(betas: Tensor) -> Tensor:
    """``betas`` ``(T,)`` stretched so that no signal is left at the last timestep (Lin et al. 2023, algorithm 1)."""
    signal = torch.cumprod(1.0 - betas.double(), dim=0).sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    kept = signal**2
    return 1.0 - torch.cat([kept[:1], kept[1:] / kept[:-1]])


@dataclass(frozen=True)
class NoiseSchedule:
    """The two tables of the forward process, on the device that trains.

    Attributes:
        signal: ``a_t``, ``(T,)`` float32.
        noise: ``s_t``, ``(T,)`` float32.
        prediction_type: ``"epsilon"`` or ``"v_prediction"``.
    """

    signal: Tensor
    noise: Tensor
    prediction_type: str

    @staticmethod
    def from_betas(betas: Tensor, prediction_type: str, device: torch.device | str = "cpu") -> NoiseSchedule:
        """Build the tables from ``betas`` ``(T,)``, computed in float64 and kept in float32."""
        kept = torch.cumprod(1.0 - betas.double(), dim=0)
        signal, noise = kept.sqrt().float(), (1.0 - kept).sqrt().float()
        return NoiseSchedule(signal.to(device), noise.to(device), prediction_type)

    def _at(self, table: Tensor, timesteps: Tensor, like: Tensor) -> Tensor:
        values = table.to(like.dtype)[timesteps]
        return values.view(-1, *([1] * (like.ndim - 1)))

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """``x_t`` for ``latents`` and ``noise`` ``(B, C, H, W)`` at ``timesteps`` ``(B,)``."""
        return self._at(self.signal, timesteps, latents) * latents + self._at(self.noise, timesteps, latents) * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the model is to predict: the noise, or the velocity ``a_t n - s_t z``."""
        if self.prediction_type == EPSILON:
            return noise
        return self._at(self.signal, timesteps, latents) * noise - self._at(self.noise, timesteps, latents) * latents

    def split(self, noisy: Tensor, predicted: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """What a prediction takes ``noisy`` for: the latents and the noise it is made of, each ``(B, C, H, W)``."""
        signal, spread = self._at(self.signal, timesteps, noisy), self._at(self.noise, timesteps, noisy)
        if self.prediction_type == EPSILON:
            return (noisy - spread * predicted) / signal, predicted
        return signal * noisy - spread * predicted, spread * noisy + signal * predicted

    def snr(self, timesteps: Tensor) -> Tensor:
        """Signal-to-noise ratio ``a_t^2 / s_t^2`` at ``timesteps`` ``(B,)``, float32."""
        return (self.signal[timesteps] / self.noise[timesteps]) ** 2


def mixed_seed(seed: int, *numbers: int) -> int:
    """A well-mixed 63-bit seed from ``seed`` and ``numbers`` (SplitMix64's finaliser, once a number)."""
    mask = (1 << 64) - 1
    state = seed & mask
    for number in (0, *numbers):
        state = (state + 0x9E3779B97F4A7C15 * (number + 1)) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1


@dataclass(frozen=True)
class Draw:
    """The random numbers of one step.

    They depend on the run's seed and the step's number alone, so a run that is taken up again, or that makes sample
    pictures on the way, draws the same ones.
    """

    seed: int
    step: int
    generator: torch.Generator

    @staticmethod
    def of_step(seed: int, step: int, device: torch.device) -> Draw:
        generator = torch.Generator(device)
        generator.manual_seed(mixed_seed(seed, step))
        return Draw(seed, step, generator)

    def noise(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Standard normal noise of ``shape``: drawn in float32, so every precision sees the same numbers."""
        drawn = torch.randn(shape, generator=self.generator, device=self.generator.device)
        return drawn.to(dtype)

    def timesteps(self, count: int, low: int, high: int, *, same: bool = False) -> Tensor:
        """``count`` timesteps from ``[low, high)``, int64; with ``same`` one for the whole batch."""
        device = self.generator.device
        drawn = torch.randint(low, high, (1 if same else count,), generator=self.generator, device=device)
        return drawn.expand(count) if same else drawn

    def swept_timesteps(self, count: int, low: int, high: int, *, same: bool = False) -> Tensor:
        """``count`` timesteps that sweep ``[low, high)`` evenly, int64: its tenths in turn, a draw within each.

        The samples of a batch take one tenth after the other, and the next step goes on behind them; with ``same`` a
        step has one timestep.
        """
        device, drawn = self.generator.device, 1 if same else count
        tenths = (torch.arange(drawn, device=device) + (self.step - 1) * drawn) % _TENTHS
        starts = low + (high - low) * tenths // _TENTHS
        widths = (low + (high - low) * (tenths + 1) // _TENTHS - starts).clamp(min=1)
        found = starts + (torch.rand(drawn, generator=self.generator, device=device) * widths).long()
        return found.expand(count) if same else found
