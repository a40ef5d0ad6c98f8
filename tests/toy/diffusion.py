"""A toy's U-Net and text models, trained together on the latents of rendered scenes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional
from transformers import CLIPTokenizer

from tests.toy.autoencoder import to_tensor
from tests.toy.averages import Average, cosine
from tests.toy.conditioning import filler, load_tokenizer
from tests.toy.layouts import SD1, Layout
from tests.toy.measure import Toy, accuracy, line
from tests.toy.unets import NORM_GROUPS, start_as_copy
from tests.toy.world import (
    ATTRIBUTES,
    PLACE_POSITIONS,
    Scene,
    draw_caption,
    draw_scene,
    full_caption,
    render,
    subset_caption,
)

SCENES = 8000
BATCH = 32
LEARNING_RATE = 1.2e-3
AVERAGE_DECAY = 0.998
CAPTION_DROPOUT = 0.1
FILLER_SHARE = 0.1
# Colour and place are settled while the picture is nearly all noise. There the plain loss hardly counts them, so
# half of the timesteps come from that end, and the weight follows 1 + 1/SNR up to a limit.
HIGH_NOISE_SHARE = 0.5
MAX_WEIGHT = 16.0
# The first steps see only that end, with full captions, so that where the shape goes can be learned from the caption
# alone: once a model has learned to find the shape in the noise instead, it hardly ever learns what a place's name
# means. To begin with the background is always the same, because which way a place changes the latents depends on
# the contrast, too, and a product of three things is found much later than one of two.
PLACE_MAX_WEIGHT = 50.0
ONE_BACKGROUND_STEPS, ONE_BACKGROUND = 300, "white"
PLACE_TIMESTEP = 900  # where it is looked at what naming a place does


@dataclass
class Data:
    """Scenes and their scaled latents (N, 4, 8, 8)."""

    scenes: list[Scene]
    latents: torch.Tensor


@torch.no_grad()
def make_data(vae: AutoencoderKL, rng: np.random.Generator, count: int) -> Data:
    """Renders and encodes the training pictures."""
    scenes = [draw_scene(rng) for _ in range(count)]
    parts = []
    for begin in range(0, count, 50):
        pictures = np.stack([render(scene, rng) for scene in scenes[begin : begin + 50]])
        parts.append(vae.encode(to_tensor(pictures)).latent_dist.mean * vae.config.scaling_factor)
    return Data(scenes, torch.cat(parts))


def training_caption(scene: Scene, told: Sequence[str], tokenizer: CLIPTokenizer, rng: np.random.Generator) -> str:
    """A caption of the scene, now and then empty, now and then with words that mean nothing."""
    if rng.random() < CAPTION_DROPOUT:
        return ""
    caption = draw_caption(scene, rng, told)
    if rng.random() < FILLER_SHARE:
        words = caption.split()
        for _ in range(int(rng.integers(1, 3))):
            words.insert(int(rng.integers(len(words) + 1)), filler(tokenizer, rng))
        if rng.random() < 0.15:
            words = [filler(tokenizer, rng)]
        caption = " ".join(words)
    return caption


def full_training_caption(scene: Scene, told: Sequence[str], rng: np.random.Generator) -> str:
    """A caption that names everything that is told."""
    return subset_caption(scene, told, int(rng.choice(3, p=PLACE_POSITIONS)))


def draw_timesteps(count: int, rng: np.random.Generator, layout: Layout, placing: bool) -> torch.Tensor:
    """Timesteps (count,), half of them from the noisy end; while places are learned all from its last part."""
    if placing:
        return torch.from_numpy(rng.integers(layout.place_start, 1000, count))
    high = rng.random(count) < HIGH_NOISE_SHARE
    drawn = np.where(high, rng.integers(layout.high_noise_start, 1000, count), rng.integers(0, 1000, count))
    return torch.from_numpy(drawn)


class Trainer:
    """Holds what the training loop needs.

    Args:
        norm_groups: of the U-Net, 4 or 8: the start as a copy needs two signals with their references in a group.
        told: the attributes that captions name.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        seed: int,
        layout: Layout = SD1,
        *,
        norm_groups: int = NORM_GROUPS,
        told: Sequence[str] = tuple(ATTRIBUTES),
    ) -> None:
        self.told = tuple(told)
        self.layout, self.process = layout, layout.process
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.vae = vae
        self.texts = layout.texts(load_tokenizer())
        self.texts.learn_words()
        self.unet = layout.unet(norm_groups)
        start_as_copy(self.unet)
        self.modules = nn.ModuleList([self.unet, self.texts])
        self.average = Average(self.modules, AVERAGE_DECAY)
        self.optimizer = torch.optim.AdamW(
            self.modules.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0, foreach=True
        )
        self.data = make_data(vae, self.rng, SCENES)
        backgrounds = [scene.background for scene in self.data.scenes]
        self.plain = np.array([number for number, name in enumerate(backgrounds) if name == ONE_BACKGROUND])

    def toy(self) -> Toy:
        """The present weights, ready to sample."""
        return Toy(self.unet, self.vae, self.texts, self.process)

    def caption(self, scene: Scene, placing: bool) -> str:
        """A new caption of the scene."""
        if placing:
            return full_training_caption(scene, self.told, self.rng)
        return training_caption(scene, self.told, self.texts.tokenizer, self.rng)

    def losses(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The plain squared errors and the weights, each (B,), of a new batch."""
        placing = step < self.layout.place_steps
        chosen = (
            self.rng.choice(self.plain, BATCH) if step < ONE_BACKGROUND_STEPS else self.rng.integers(SCENES, size=BATCH)
        )
        captions = [self.caption(self.data.scenes[number], placing) for number in chosen]
        latents = self.data.latents[torch.from_numpy(chosen)]
        timesteps = draw_timesteps(BATCH, self.rng, self.layout, placing)
        noise = torch.randn(latents.shape, generator=self.generator)
        noisy = self.process.noised(latents, noise, timesteps)
        conditioning = self.texts.varied(self.texts(captions), captions, self.rng)
        prediction = self.unet(noisy, self.process.time(timesteps), **conditioning.arguments()).sample
        target = self.process.target(latents, noise)
        errors = functional.mse_loss(prediction, target, reduction="none").mean((1, 2, 3))
        return errors, self.process.weight(timesteps, PLACE_MAX_WEIGHT if placing else MAX_WEIGHT)

    def train(self, steps: int, report_every: int, state: Path | None = None) -> None:
        """Trains for so many steps and leaves the averaged weights in place.

        Args:
            state: a file that is written with each report, and that a training broken off goes on from.
        """
        began, recent = time.process_time(), []
        first = self.restore(state) if state is not None and state.exists() else 0
        for step in range(first, steps):
            for group in self.optimizer.param_groups:
                group["lr"] = LEARNING_RATE * cosine(step, steps, warm_up=100, hold=0.4)
            errors, weights = self.losses(step)
            self.optimizer.zero_grad()
            (errors * weights).mean().backward()
            nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0, foreach=True)
            self.optimizer.step()
            self.average.update()
            recent.append((errors.mean().item(), (errors * weights).mean().item()))
            if (step + 1) % 100 == 0:
                plain, weighted = np.mean(recent, axis=0)
                spent = time.process_time() - began
                print(
                    f"unet {step + 1}/{steps}: error {plain:.4f} weighted {weighted:.4f} {spent:.0f} CPU-s", flush=True
                )
                recent = []
            if (step + 1) % report_every == 0 or step + 1 in (ONE_BACKGROUND_STEPS, self.layout.place_steps):
                self.average.swap()
                shift = f"place shift {place_shift(self):.2f}  " if "place" in self.told else ""
                print(f"   {shift}{line(accuracy(self.toy(), 24, 10, told=self.told))}", flush=True)
                self.average.swap()
                if state is not None:
                    self.store(state, step + 1)
        self.average.store()
        self.modules.requires_grad_(False).eval()

    def store(self, path: Path, steps: int) -> None:
        """Writes what the steps after these depend on."""
        state = {
            "steps": steps,
            "weights": self.modules.state_dict(),
            "averages": self.average.averages,
            "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "numbers": json.dumps(self.rng.bit_generator.state),
            "noise": self.generator.get_state(),
        }
        partial = path.with_name(path.name + ".partial")
        torch.save(state, partial)
        partial.replace(path)

    def restore(self, path: Path) -> int:
        """Reads it back; the number of steps that are done."""
        state = torch.load(path, weights_only=True)
        self.modules.load_state_dict(state["weights"])
        self.average.averages, self.average.updates = state["averages"], state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = json.loads(state["numbers"])
        self.generator.set_state(state["noise"])
        return int(state["steps"])


@torch.no_grad()
def place_shift(trainer: Trainer, count: int = 96) -> float:
    """How far naming the place moves the predicted picture towards it at a high noise, 1 = as far as it should go.

    The two predictions "left" and "right" of one scene from pure noise differ, in x, by this share of the true
    difference of the two mean pictures.
    """
    rng = np.random.default_rng(77)
    scenes = [draw_scene(rng) for _ in range(count)]
    noise = torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    means, predictions = {}, {}
    time = trainer.process.time(torch.tensor(PLACE_TIMESTEP))
    for place in ("left", "right"):
        placed = [Scene(s.colour, s.shape, s.size, s.background, place) for s in scenes]
        pictures = np.stack([render(scene) for scene in placed])
        means[place] = trainer.vae.encode(to_tensor(pictures)).latent_dist.mean * trainer.vae.config.scaling_factor
        conditioning = trainer.texts([full_caption(scene) for scene in placed])
        predictions[place] = trainer.unet(noise, time, **conditioning.arguments()).sample
    wanted = means["left"] - means["right"]
    got = trainer.process.picture_change(predictions["left"] - predictions["right"], PLACE_TIMESTEP)
    return float((wanted * got).sum() / (wanted * wanted).sum())
