"""Images of a model with a LoRA and without it, as latents; what the base model takes them for, and what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ...config.settings import Settings
from ...job import Asked
from ...models.base import Bundle
from ...models.image_spec import ImageSpec
from ...models.placement import device_of, dtype_of, text_on
from ...models.sample import sample_latents
from ...networks.base import Network

IMAGES = 6
STEPS = 6
"""Enough for the judges, and to see what is meant."""
NOISE = (0.3, 0.5)
"""The shares of all timesteps at which the base is asked which prompt explains an image."""
_FIRST_NOISE = 1000
"""Seed of the noise an image is told in; the same for every image, and none that images are made of."""

Check = Callable[[], None]


@dataclass(frozen=True)
class Answer:
    """What was found, and the images it was found in.

    Attributes:
        rows: latents ``(C, h, w)`` with their label, such as the strength; those of one place belong together.
    """

    asked: Asked
    rows: tuple[tuple[str, tuple[Tensor, ...]], ...]


class Question(Protocol):
    """What is asked of a LoRA of one mode."""

    @property
    def rows(self) -> int:
        """Of how many rows the answer shows images, :data:`IMAGES` each."""

    def launches(self) -> int:
        """How often :meth:`answer` calls the denoiser, with two samples each time, as guidance needs for one image."""

    def answer(self, images: Images, settings: Settings) -> Answer:
        """Measure it."""


@dataclass(frozen=True)
class Images:
    """Makes them.

    Attributes:
        network: attached only while its images are made.
        request: how images are made; their seeds follow on from its own.
        check: called before every launch of the denoiser; raises to stop.
    """

    bundle: Bundle
    network: Network
    request: ImageSpec
    check: Check = lambda: None

    def of(self, prompt: str, number: int, strength: float = 0.0) -> Tensor:
        """The latents ``(1, C, h, w)`` of a prompt's image with the noise of a number; at 0 the base's."""
        return self.of_specs([self.spec(prompt, number)], strength)

    def spec(self, prompt: str, number: int) -> ImageSpec:
        """How the image of a number is made."""
        return replace(self.request, prompt=prompt, seed=(self.request.seed + number) % 2**32, steps=STEPS)

    def empty_spec(self, number: int) -> ImageSpec:
        """The same of the empty prompt, without guidance: it would subtract the prompt from itself."""
        return replace(self.spec("", number), negative="", cfg=1.0)

    def of_specs(self, specs: Sequence[ImageSpec], strength: float = 0.0) -> Tensor:
        """The latents ``(B, C, h, w)`` of images that are made together, in single precision."""
        if not strength:
            return sample_latents(self.bundle, specs, check=self.check).float()
        self.network.strength = strength
        with self.network.attached():
            return sample_latents(self.bundle, specs, check=self.check).float()

    @torch.no_grad()
    def losses(self, latents: Tensor, prompts: tuple[str, str]) -> tuple[float, float]:
        """How far the base's predictions are off with each of two prompts.

        Args:
            latents: ``(1, C, h, w)``, one image.
        """
        bundle = self.bundle
        device, dtype = device_of(bundle.denoiser), dtype_of(bundle.denoiser)
        diffusion = bundle.diffusion.to(device)
        with text_on(bundle, device):
            conditioning = bundle.encode(list(prompts), size=self.request.size)
        found = torch.zeros(2, device=device)
        for number, share in enumerate(NOISE):
            self.check()
            generator = torch.Generator().manual_seed(_FIRST_NOISE + number)
            noise = torch.randn(latents.shape, generator=generator).to(device)
            timestep = torch.tensor([round(share * len(diffusion))], device=device)
            noisy = diffusion.noised(latents, noise, timestep).to(dtype).expand(2, *latents.shape[1:])
            wanted = diffusion.target(latents, noise, timestep)
            predicted = bundle.predict(noisy, timestep.expand(2), conditioning).float()
            found += (predicted - wanted).square().flatten(1).mean(1)
        first, second = found.tolist()
        return first, second


def numbered(prompts: Iterable[str]) -> list[str]:
    """Prompts as they are named below a sheet, where their images have numbers."""
    return [f'{number} "{prompt}"' for number, prompt in enumerate(prompts, 1)]


def distance(one: Tensor, other: Tensor) -> float:
    """Between the latents of two images."""
    return float(torch.linalg.vector_norm(one - other))


def mean_distance(latents: Sequence[Tensor]) -> float:
    """Between two of these images on average; each ``(1, C, h, w)``."""
    flat = torch.cat(list(latents)).flatten(1)
    return float(torch.cdist(flat, flat).sum() / (len(flat) * (len(flat) - 1)))
