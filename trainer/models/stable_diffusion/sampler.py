"""DDIM (Song et al. 2021) over a model's own noise schedule, deterministic."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from ...diffusion.process import Diffusion

_MOST_BETA = 0.999


class DDIM:
    """diffusers' DDIM, spaced as Stable Diffusion is sampled.

    That spacing leaves out the last timestep, where a schedule of zero terminal SNR has to begin, unless the noise is
    predicted: pure noise holds no information about an image. Betas that are divided by end at 0.999 (Nichol &
    Dhariwal 2021).
    """

    def __init__(self, diffusion: Diffusion) -> None:
        parameterisation, schedule = diffusion.parameterisation, diffusion.schedule
        betas = schedule.betas
        assert betas is not None
        if parameterisation.needs_signal:
            betas = betas.clamp(max=_MOST_BETA)
        from_last = not parameterisation.needs_signal and not schedule.leaves_signal
        self.scheduler = DDIMScheduler(
            num_train_timesteps=len(schedule),
            trained_betas=betas.tolist(),
            prediction_type=parameterisation.name,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            timestep_spacing="trailing" if from_last else "leading",
        )

    def timesteps(self, steps: int) -> Tensor:
        self.scheduler.set_timesteps(steps)
        return torch.as_tensor(self.scheduler.timesteps)

    def step(self, predicted: Tensor, timestep: Tensor, latents: Tensor) -> Tensor:
        stepped: Tensor = self.scheduler.step(predicted, timestep, latents).prev_sample
        return stepped
