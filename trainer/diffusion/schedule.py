"""The forward process ``x_t = a_t z + s_t n``: how much signal and how much noise there is at each timestep.

Formulas: Ho et al. 2020 (betas), Lin et al. 2023 (zero terminal SNR), Liu et al. 2022 (rectified flow).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


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
    """The two tables of the forward process, noisier from one timestep to the next.

    Attributes:
        signal: ``a_t``, ``(T,)`` float32.
        noise: ``s_t``, ``(T,)`` float32.
        betas: ``(T,)`` float64 on the CPU, for a schedule that was made of betas; else None.
    """

    signal: Tensor
    noise: Tensor
    betas: Tensor | None = None
    _cast: dict[tuple[str, torch.dtype], Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Both tables in the types they have been asked for."""

    @staticmethod
    def of_betas(betas: Tensor) -> NoiseSchedule:
        """The tables of ``betas`` ``(T,)``, computed in float64 and kept in float32."""
        kept = torch.cumprod(1.0 - betas.double(), dim=0)
        return NoiseSchedule(kept.sqrt().float(), (1.0 - kept).sqrt().float(), betas)

    @staticmethod
    def of_flow(steps: int = 1000) -> NoiseSchedule:
        """Rectified flow's straight way from signal to noise: ``s_t = (t + 1) / steps``, ``a_t = 1 - s_t``."""
        noise = torch.arange(1, steps + 1, dtype=torch.float64) / steps
        return NoiseSchedule((1.0 - noise).float(), noise.float())

    def __len__(self) -> int:
        return len(self.signal)

    def to(self, device: torch.device | str) -> NoiseSchedule:
        """The same with its tables on another device."""
        return replace(self, signal=self.signal.to(device), noise=self.noise.to(device))

    @property
    def leaves_signal(self) -> bool:
        """Whether there is any signal left at the last timestep."""
        return bool(self.signal[-1] > 0)

    def with_zero_terminal_snr(self) -> NoiseSchedule:
        """The same with no signal left at the last timestep; itself if that is already so.

        Raises:
            ValueError: it leaves a signal and was not made of betas.
        """
        if not self.leaves_signal:
            return self
        if self.betas is None:
            raise ValueError("only a schedule made of betas can be stretched to zero terminal SNR")
        return NoiseSchedule.of_betas(zero_terminal_snr(self.betas)).to(self.signal.device)

    def signal_at(self, timesteps: Tensor, like: Tensor) -> Tensor:
        """``a_t`` at ``timesteps`` ``(B,)``, ready to be multiplied with ``like`` ``(B, …)``."""
        return self._at("signal", timesteps, like)

    def noise_at(self, timesteps: Tensor, like: Tensor) -> Tensor:
        """``s_t`` at ``timesteps`` ``(B,)``, ready to be multiplied with ``like`` ``(B, …)``."""
        return self._at("noise", timesteps, like)

    def snr(self, timesteps: Tensor) -> Tensor:
        """Signal-to-noise ratio ``a_t^2 / s_t^2`` at ``timesteps`` ``(B,)``, float32."""
        return (self.signal[timesteps] / self.noise[timesteps]) ** 2

    def _at(self, name: str, timesteps: Tensor, like: Tensor) -> Tensor:
        table = self._cast.get((name, like.dtype))
        if table is None:
            table = self._cast[name, like.dtype] = getattr(self, name).to(like.dtype)
        return table[timesteps].view(-1, *([1] * (like.ndim - 1)))
