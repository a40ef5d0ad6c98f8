"""Whether a LoRA does what was asked: the images of one prompt show with it what those of another show without it.

Two judges tell it of each image, and only where they agree is anything said. The base model is one: with which of the
two prompts it predicts the noise in the image better (Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot
Classifier"). The other compares latents made from the same noise: whether the LoRA's are nearer to the base's of the
one prompt or of the other. No image is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config.choices import OPTIMIZERS
from ..config.settings import NO, Settings
from ..job import Asked
from ..models.base import Bundle
from ..models.image_spec import ImageSpec
from ..models.placement import device_of, dtype_of
from ..models.sample import sample_latents
from ..networks.base import Network
from ..text.messages import Message, label, message

IMAGES = 6
STEPS = 6
"""Enough for the judges; images that are looked at have more."""
NOISE = (0.3, 0.5)
"""The shares of all timesteps at which the base is asked which prompt explains an image."""
MARGIN = 0.06
"""By what share of both losses the target's is lower where an image shows the target, and not just something else."""
MOVED = 0.4
"""From this share of what two of the base's images of the empty prompt differ by, one differs from the base's."""
_FIRST_NOISE = 1000
"""Seed of the noise an image is told in; the same for every image, and none that images are made of."""

PromptPairs = Sequence[tuple[str, str]]
Check = Callable[[], None]


@dataclass(frozen=True)
class Reading:
    """What was measured of one image of the original prompt with the LoRA.

    Attributes:
        losses: of the base's predictions of the noise in it, with the original and with the target prompt.
        distances: from the base's latents of the original and of the target prompt.
    """

    losses: tuple[float, float]
    distances: tuple[float, float]

    @property
    def is_changed(self) -> bool | None:
        """Whether it shows the target; None: the judges do not agree, or the first cannot tell."""
        original, target = self.losses
        is_nearer = self.distances[0] > self.distances[1]
        if is_nearer and original - target > MARGIN * (original + target):
            return True
        return False if not is_nearer and original < target else None


def launches() -> int:
    """How often :func:`told` calls the denoiser, with two samples each time, as guidance needs for one image."""
    return IMAGES * (3 * STEPS + len(NOISE) + STEPS)


def told(
    bundle: Bundle, network: Network, prompt_pairs: PromptPairs, request: ImageSpec, settings: Settings, *, check: Check
) -> Asked:
    """Measure a LoRA on the model it was trained on; the network is attached only while its images are made.

    Args:
        prompt_pairs: prompts, and those whose images they are to give; of an erased one, the empty prompt.
        request: how images are made; their seeds follow on from its own.
        check: called before every launch of the denoiser; raises to stop.
    """
    seen = [reading.is_changed for reading in readings(bundle, network, prompt_pairs, request, check=check)]
    changed, unchanged = seen.count(True), seen.count(False)
    moved = sum(distance >= MOVED for distance in empty_distances(bundle, network, request, check=check))
    return Asked(changed, unchanged, IMAGES, moved, tuple(_words(changed, unchanged, moved, prompt_pairs, settings)))


# ---- measuring ------------------------------------------------------------------------------------------------------


def readings(
    bundle: Bundle, network: Network, prompt_pairs: PromptPairs, request: ImageSpec, *, check: Check = lambda: None
) -> Iterator[Reading]:
    """One reading for each of :data:`IMAGES` seeds, the pairs in turn."""
    for number in range(IMAGES):
        original, target = prompt_pairs[number % len(prompt_pairs)]
        spec = replace(request, prompt=original, seed=_seed(request, number), steps=STEPS)
        before = sample_latents(bundle, [spec], check=check).float()
        after = sample_latents(bundle, [replace(spec, prompt=target)], check=check).float()
        with _on(network):
            seen = sample_latents(bundle, [spec], check=check).float()
        losses = _losses(bundle, seen, (original, target), request, check)
        distances = (float(torch.linalg.vector_norm(seen - each)) for each in (before, after))
        yield Reading(losses, (next(distances), next(distances)))


@torch.no_grad()
def _losses(
    bundle: Bundle, latents: Tensor, prompts: tuple[str, str], request: ImageSpec, check: Check
) -> tuple[float, float]:
    """How far the base's predictions are off with each of two prompts; ``latents`` ``(1, C, h, w)`` are one image."""
    device, dtype = device_of(bundle.denoiser), dtype_of(bundle.denoiser)
    diffusion = bundle.diffusion.to(device)
    conditioning = bundle.encode(list(prompts), size=request.size)
    found = torch.zeros(2, device=device)
    for number, share in enumerate(NOISE):
        check()
        generator = torch.Generator().manual_seed(_FIRST_NOISE + number)
        noise = torch.randn(latents.shape, generator=generator).to(device)
        timestep = torch.tensor([round(share * len(diffusion))], device=device)
        noisy = diffusion.noised(latents, noise, timestep).to(dtype).expand(2, *latents.shape[1:])
        wanted = diffusion.target(latents, noise, timestep)
        predicted = bundle.predict(noisy, timestep.expand(2), conditioning).float()
        found += (predicted - wanted).square().flatten(1).mean(1)
    first, second = found.tolist()
    return first, second


def empty_distances(
    bundle: Bundle, network: Network, request: ImageSpec, *, check: Check = lambda: None
) -> list[float]:
    """How far each image of the empty prompt is from the base's, by what two of the base's differ by on average.

    Guidance would subtract the prompt from itself, so there is none.
    """
    specs = [
        replace(request, prompt="", negative="", cfg=1.0, seed=_seed(request, number), steps=STEPS)
        for number in range(IMAGES)
    ]
    pairs = [specs[at : at + 2] for at in range(0, IMAGES, 2)]
    base = torch.cat([sample_latents(bundle, pair, check=check) for pair in pairs]).float().flatten(1)
    with _on(network):
        seen = torch.cat([sample_latents(bundle, pair, check=check) for pair in pairs]).float().flatten(1)
    apart = torch.cdist(base, base).sum() / (IMAGES * (IMAGES - 1))
    distances: list[float] = (torch.linalg.vector_norm(seen - base, dim=1) / apart).tolist()
    return distances


def _seed(request: ImageSpec, number: int) -> int:
    return (request.seed + number) % 2**32


def _on(network: Network) -> AbstractContextManager[Network]:
    network.strength = 1.0
    return network.attached()


# ---- in words -------------------------------------------------------------------------------------------------------


def _words(
    changed: int, unchanged: int, moved: int, prompt_pairs: PromptPairs, settings: Settings
) -> Iterator[Message]:
    """What was found, in sentences, and what to change where it did not work."""
    kind, named = _asked_of(prompt_pairs)
    untold = IMAGES - changed - unchanged
    if untold > IMAGES // 2:
        yield message(f"engine.asked_unknown_{kind}", **named)
        return
    yield message(f"engine.asked_{kind}", **named, changed=changed, images=IMAGES)
    if untold:
        yield message("engine.asked_untold", untold=untold)
    if unchanged * 3 >= IMAGES:
        yield _more_training(settings)
    if moved * 2 >= IMAGES:
        yield message("engine.asked_empty", moved=moved, images=IMAGES)
        if settings.hold_unconditional == NO:
            yield message("engine.asked_hold", setting=label("hold_unconditional"))


def _asked_of(prompt_pairs: PromptPairs) -> tuple[str, dict[str, str]]:
    """What the sentences about it are called, and the prompts they name."""
    if len(prompt_pairs) > 1:
        return "several", {}
    ((original, target),) = prompt_pairs
    return ("turned", {"original": original, "target": target}) if target else ("erased", {"original": original})


def _more_training(settings: Settings) -> Message:
    steps = {"iterations": label("train_iterations"), "steps": settings.train_iterations}
    if OPTIMIZERS[settings.train_optimizer].finds_its_rate:
        return message("engine.asked_train_longer", **steps)
    rate = {"rate": label("train_learning_rate"), "value": f"{settings.train_learning_rate:g}"}
    return message("engine.asked_train_more", **steps, **rate)
