"""Samples pictures from toy prompts and counts how often the judge sees what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from tests.toy.conditioning import Conditioning, Texts
from tests.toy.judge import Verdict, judge
from tests.toy.processes import Process
from tests.toy.world import ATTRIBUTES, Scene, draw_scene, full_caption, subset_caption

PROMPT_SEED, NOISE_SEED = 4321, 9000


def starting_noise(count: int, seed: int = NOISE_SEED) -> torch.Tensor:
    """Noise (N, 4, 8, 8), one generator a picture, so that a picture does not depend on how many there are."""
    generators = (torch.Generator().manual_seed(seed + number) for number in range(count))
    return torch.stack([torch.randn(4, 8, 8, generator=generator) for generator in generators])


@torch.no_grad()
def sample_latents(
    unet: UNet2DConditionModel,
    process: Process,
    wanted: Conditioning,
    unwanted: Conditioning,
    noise: torch.Tensor,
    steps: int,
    cfg: float,
) -> torch.Tensor:
    """Samples with classifier-free guidance: conditionings of B prompts and noise (B, 4, 8, 8) -> latents alike."""
    both = (unwanted + wanted).arguments()

    def predict(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        if cfg == 1:
            return unet(latents, time, **wanted.arguments()).sample
        without, with_prompt = unet(torch.cat([latents, latents]), time, **both).sample.chunk(2)
        return without + cfg * (with_prompt - without)

    return process.sample(predict, noise, steps)


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: torch.Tensor) -> np.ndarray:
    """Latents (B, 4, 8, 8) -> pictures (B, 64, 64, 3) uint8."""
    pixels = vae.decode(latents / vae.config.scaling_factor).sample
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@dataclass
class Toy:
    """The parts of a toy checkpoint, ready to sample."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    texts: Texts
    process: Process

    @torch.no_grad()
    def pictures(
        self, prompts: list[str], steps: int = 20, cfg: float = 4.0, seed: int = NOISE_SEED, batch: int = 30
    ) -> np.ndarray:
        """One picture a prompt: (N, 64, 64, 3) uint8."""
        noise = starting_noise(len(prompts), seed)
        unwanted = self.texts.nothing()
        parts = []
        for begin in range(0, len(prompts), batch):
            chosen = prompts[begin : begin + batch]
            wanted, empty = self.texts(chosen), unwanted.expand(len(chosen))
            latents = sample_latents(self.unet, self.process, wanted, empty, noise[begin : begin + batch], steps, cfg)
            parts.append(decode(self.vae, latents))
        return np.concatenate(parts)


def asked_scenes(count: int = 60) -> list[Scene]:
    """The scenes of the measurement, always the same."""
    rng = np.random.default_rng(PROMPT_SEED)
    return [draw_scene(rng) for _ in range(count)]


def agreement(scenes: list[Scene], verdicts: list[Verdict], names: tuple[str, ...] = ()) -> dict[str, float]:
    """The share of pictures on which the judge sees what the scene says, for each attribute."""
    return {
        name: float(np.mean([getattr(v, name) == asdict(s)[name] for s, v in zip(scenes, verdicts, strict=True)]))
        for name in names or ATTRIBUTES
    }


def accuracy(
    toy: Toy, count: int = 60, steps: int = 20, cfg: float = 4.0, told: Sequence[str] = tuple(ATTRIBUTES)
) -> dict[str, float]:
    """The agreement for captions that name all these attributes, on them."""
    scenes = asked_scenes(count)
    pictures = toy.pictures([full_caption(scene, told) for scene in scenes], steps, cfg)
    return agreement(scenes, [judge(picture) for picture in pictures], tuple(told))


def short_accuracy(toy: Toy, named: tuple[str, ...], count: int = 60, steps: int = 20, cfg: float = 4.0) -> dict:
    """The agreement for captions that name only some attributes, such as "red circle", on those attributes."""
    scenes = asked_scenes(count)
    prompts = [subset_caption(scene, named).removeprefix("a ") for scene in scenes]
    return agreement(scenes, [judge(picture) for picture in toy.pictures(prompts, steps, cfg)], named)


def spread(toy: Toy, prompt: str, name: str, count: int = 24) -> dict[str, int]:
    """How often each value of an attribute appears when the prompt leaves it open."""
    values = [getattr(judge(picture), name) for picture in toy.pictures([prompt] * count)]
    return {str(value): values.count(value) for value in (*ATTRIBUTES[name], None) if values.count(value)}


def line(result: dict[str, float]) -> str:
    """One line of percentages."""
    return "  ".join(f"{name} {100 * share:5.1f} %" for name, share in result.items())


def table(toy: Toy, told: Sequence[str] = tuple(ATTRIBUTES)) -> str:
    """Everything the README says about a checkpoint whose captions name these attributes, as text."""
    rows = [("full, CFG 4, 20 steps", accuracy(toy, told=told))]
    rows += [(f"full, CFG {cfg}, 20 steps", accuracy(toy, cfg=cfg, told=told)) for cfg in (1, 2, 7)]
    rows += [(f"full, CFG 4, {steps} steps", accuracy(toy, steps=steps, told=told)) for steps in (10, 6)]
    for named in (("colour", "shape"), ("colour",), ("shape",), ("shape", "place"), ("place",)):
        if not set(named) <= set(told):
            continue
        rows.append((f"only {' and '.join(named)}", short_accuracy(toy, named)))
    lines = [f"{title:24} {line(result)}" for title, result in rows]
    open_prompts = (
        ("a large circle on a white background, centre", "colour"),
        ("circle", "colour"),
        ("red circle", "place"),
        ("red circle", "size"),
        ("red circle", "background"),
        ("a small red", "shape"),
        ("zorp", "colour"),
    )
    lines += [f'"{prompt}", {name}: {spread(toy, prompt, name)}' for prompt, name in open_prompts]
    return "\n".join(lines)
