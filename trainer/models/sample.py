"""Pictures from a model: DDIM with classifier-free guidance, the same picture for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import Tensor

from .base import Bundle, Conditioning
from .image_spec import ImageSpec
from .latents import decode
from .placement import device_of, dtype_of, vae_to

_MOST_BETA = 0.999


def scheduler_of(bundle: Bundle) -> DDIMScheduler:
    """DDIM over the bundle's own noise schedule, deterministic.

    Stable Diffusion's spacing leaves out the last timestep, where a schedule of zero terminal SNR has to begin, if the
    velocity is predicted: noise that is all there is tells nothing of a picture. Betas that are divided by end at
    0.999 (Nichol & Dhariwal 2021).
    """
    parameterisation, schedule = bundle.diffusion.parameterisation, bundle.diffusion.schedule
    betas = schedule.betas
    assert betas is not None
    from_nothing = not parameterisation.needs_signal
    zero = from_nothing and not schedule.leaves_signal
    return DDIMScheduler(
        num_train_timesteps=len(schedule),
        trained_betas=(betas if from_nothing else betas.clamp(max=_MOST_BETA)).tolist(),
        prediction_type=parameterisation.name,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing" if zero else "leading",
    )


@torch.no_grad()
def sample(
    bundle: Bundle, requests: Sequence[ImageSpec], *, check: Callable[[], None] = lambda: None
) -> list[Image.Image]:
    """One picture a request; requests of one call share steps, guidance and size and run as one batch.

    The starting noise is drawn on the CPU, a generator a picture, so a picture does not depend on its neighbours or on
    the device it is made on.

    Args:
        check: called before every step; raises to stop.
    """
    first = requests[0]
    shape = bundle.latent_shape(first.size)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(request.seed)) for request in requests]
    device = device_of(bundle.unet)
    latents = torch.stack(noise).to(device, dtype_of(bundle.unet))  # (B, C, H/8, W/8)
    guided = first.cfg > 1.0
    prompts = [request.prompt for request in requests]
    negatives = [request.negative for request in requests] if guided else []
    conditioning = bundle.encode([*prompts, *negatives], size=first.size)
    if guided:
        conditioning = _without(conditioning, [len(prompts) + at for at, text in enumerate(negatives) if not text])

    scheduler = scheduler_of(bundle)
    scheduler.set_timesteps(first.steps)
    for timestep in scheduler.timesteps:
        check()
        doubled = torch.cat([latents, latents]) if guided else latents
        steps = timestep.to(device).expand(len(doubled))
        prediction = bundle.predict(doubled, steps, conditioning)
        if guided:
            wanted, unwanted = prediction.chunk(2)
            prediction = unwanted + first.cfg * (wanted - unwanted)
        latents = scheduler.step(prediction, timestep, latents).prev_sample
    check()
    home = device_of(bundle.vae)
    vae_to(bundle, device)
    try:
        return [_picture(pixels) for pixels in decode(bundle, latents)]
    finally:
        vae_to(bundle, home)


def _without(conditioning: Conditioning, rows: list[int]) -> Conditioning:
    """Zeros for some prompts where there is a pooled vector: SDXL knows no prompt as that, and so hosts have it."""
    if conditioning.pooled is None:
        return conditioning
    sequence, pooled = conditioning.sequence.clone(), conditioning.pooled.clone()
    sequence[rows], pooled[rows] = 0, 0
    return replace(conditioning, sequence=sequence, pooled=pooled)


def _picture(pixels: Tensor) -> Image.Image:
    """``(3, H, W)`` in -1…1 to a picture."""
    levels = (pixels.float() / 2 + 0.5).clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())
