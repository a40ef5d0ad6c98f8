"""Euler's method along a rectified flow (Liu et al. 2022), deterministic."""

from __future__ import annotations

import torch
from torch import Tensor

from ..diffusion.process import Diffusion


class Euler:
    """``x_next = x + (s_next - s) v`` from all noise to none, with even steps of ``s`` from 1 to that of the first
    timestep, and one from there to 0.

    So diffusers' ``FlowMatchEulerDiscreteScheduler`` goes with a shift of 1.
    """

    def __init__(self, diffusion: Diffusion) -> None:
        self._count = len(diffusion)
        self._noise = torch.zeros(1)

    def timesteps(self, steps: int) -> Tensor:
        """Float32, since most lie between two timesteps: where there is as much noise as ``s`` says."""
        inner = torch.linspace(1.0, 1.0 / self._count, steps, dtype=torch.float64)
        self._noise = torch.cat([inner, inner.new_zeros(1)])
        return (inner * self._count - 1.0).float()

    def step(self, predicted: Tensor, timestep: Tensor, latents: Tensor) -> Tensor:
        now = (float(timestep) + 1.0) / self._count
        at = int((self._noise[:-1] - now).abs().argmin())
        ahead = float(self._noise[at + 1] - self._noise[at])
        return (latents.float() + ahead * predicted.float()).to(latents.dtype)
