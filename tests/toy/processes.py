"""How a toy is noised, what it predicts, and how it is sampled: noise on Stable Diffusion's schedule, or a flow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

TIMESTEPS = 1000

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Latents (B, 4, 8, 8) and the time that the U-Net is told -> its prediction, guidance included."""


class Process(ABC):
    """A process over the timesteps 0 (a picture) to 999 (noise)."""

    name: str  # what the file's metadata call the prediction

    @abstractmethod
    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Latents and noise (B, 4, 8, 8) at timesteps (B,)."""

    @abstractmethod
    def target(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """What the U-Net should predict (B, 4, 8, 8)."""

    @abstractmethod
    def time(self, timesteps: torch.Tensor) -> torch.Tensor:
        """What the U-Net is told of the timesteps."""

    @abstractmethod
    def weight(self, timesteps: torch.Tensor, limit: float) -> torch.Tensor:
        """Of the squared errors at timesteps (B,)."""

    @abstractmethod
    def picture_change(self, change: torch.Tensor, timestep: int) -> torch.Tensor:
        """How the predicted picture changes where the prediction does, the noisy latents being the same."""

    @abstractmethod
    def scheduler(self, steps: int) -> Any:
        """diffusers' sampler, set to so many steps."""

    def sample(self, predict: Predict, noise: torch.Tensor, steps: int) -> torch.Tensor:
        """Noise (B, 4, 8, 8) -> latents (B, 4, 8, 8)."""
        scheduler = self.scheduler(steps)
        latents = noise
        for time in scheduler.timesteps:
            latents = scheduler.step(predict(latents, time), time, latents).prev_sample
        return latents


class NoisePrediction(Process):
    """Stable Diffusion 1's: scaled-linear betas, the noise is predicted, DDIM samples."""

    name = "epsilon"

    def __init__(self) -> None:
        self.kept: torch.Tensor = self.scheduler(TIMESTEPS).alphas_cumprod  # the picture's share (1000,), squared

    def scheduler(self, steps: int) -> DDIMScheduler:
        scheduler = DDIMScheduler(
            num_train_timesteps=TIMESTEPS,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type="epsilon",
        )
        scheduler.set_timesteps(steps)
        return scheduler

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        return kept.sqrt() * latents + (1 - kept).sqrt() * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        del latents
        return noise

    def time(self, timesteps: torch.Tensor) -> torch.Tensor:
        return timesteps

    def weight(self, timesteps: torch.Tensor, limit: float) -> torch.Tensor:
        """1 + 1/SNR = 1/kept, up to the limit, over the limit's root so that the loss keeps its usual size."""
        return (1 / self.kept[timesteps]).clamp(max=limit) / limit**0.5

    def picture_change(self, change: torch.Tensor, timestep: int) -> torch.Tensor:
        kept = self.kept[timestep]
        return -((1 - kept) / kept).sqrt() * change


class RectifiedFlow(Process):
    """x = (1 - s) z + s n with s = (t + 1) / 1000; n - z is predicted, the U-Net is told 1000 s, Euler samples."""

    name = "flow"

    def sigmas(self, timesteps: torch.Tensor) -> torch.Tensor:
        """The noise's share at timesteps (B,)."""
        return (timesteps + 1) / TIMESTEPS

    def scheduler(self, steps: int) -> FlowMatchEulerDiscreteScheduler:
        """Evenly from s = 1 to that of the first timestep, and from there to 0."""
        scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMESTEPS, shift=1.0)
        scheduler.set_timesteps(steps)
        return scheduler

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        share = self.sigmas(timesteps).view(-1, 1, 1, 1)
        return (1 - share) * latents + share * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return noise - latents

    def time(self, timesteps: torch.Tensor) -> torch.Tensor:
        return timesteps + 1

    def weight(self, timesteps: torch.Tensor, limit: float) -> torch.Tensor:
        """s: halfway between the plain loss and one that counts an error of the picture alike everywhere.

        The plain one counts it 1 / s² times, and what little noise there is cannot be told from the picture: that loss
        stays near one and drowns the others'.
        """
        del limit
        return self.sigmas(timesteps)

    def picture_change(self, change: torch.Tensor, timestep: int) -> torch.Tensor:
        return -float(self.sigmas(torch.tensor(timestep))) * change
