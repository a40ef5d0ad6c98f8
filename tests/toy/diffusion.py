"""The toy's U-Net and text model, trained together on the latents of rendered scenes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from tests.toy.autoencoder import LATENT_SCALE, REFERENCE, to_tensor
from tests.toy.averages import Average, cosine
from tests.toy.conditioning import WIDTH, WordTable, empty_text_model, filler, load_tokenizer, tokenize, use_word_table
from tests.toy.measure import Toy, accuracy, line, noise_schedule
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

NORM_GROUPS = 8
SCENES = 8000
BATCH = 32
LEARNING_RATE = 1.2e-3
AVERAGE_DECAY = 0.998
CAPTION_DROPOUT = 0.1
FILLER_SHARE = 0.1
# Colour and place are settled while the picture is nearly all noise. There the plain loss hardly counts them, so
# half of the timesteps come from that end, and the weight follows 1 + 1/SNR up to a limit.
HIGH_NOISE_SHARE, HIGH_NOISE_START = 0.5, 650
MAX_WEIGHT = 16.0
# The first steps see only that end, with full captions, so that where the shape goes can be learned from the caption
# alone: once a model has learned to find the shape in the noise instead, it hardly ever learns what a place's name
# means. To begin with the background is always the same, because which way a place changes the latents depends on
# the contrast, too, and a product of three things is found much later than one of two.
STEPS = 5200
LAYOUT_STEPS, LAYOUT_START, LAYOUT_MAX_WEIGHT = 800, 800, 50.0
ONE_BACKGROUND_STEPS, ONE_BACKGROUND = 300, "white"
BRANCH_START = 0.5  # of the usual size
ATTENTION_START = 2.0  # times the usual size, so that where to look differs from place to place from the start


def empty_unet(norm_groups: int = NORM_GROUPS) -> UNet2DConditionModel:
    """Stable Diffusion 1's blocks, narrow: 4 x 8 x 8 latents, conditioning width 64, 8 heads."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(32, 64, 64, 64),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=norm_groups,
    )


@torch.no_grad()
def start_as_copy(unet: UNet2DConditionModel) -> None:
    """Starts the U-Net as one that returns its input, which is nearly right at high noise.

    As in the VAE, half of the first layer's norm groups carry (K, -K, x, -x) for one latent channel x each. The skip
    to the last block hands them on, and that block's own branches begin closed in these channels.
    """
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")):
            module.weight.mul_(BRANCH_START)
            module.bias.mul_(BRANCH_START)
        elif name.endswith(("attn2.to_q", "attn2.to_k")):
            module.weight.mul_(ATTENTION_START)
    carried = 4 * unet.config.in_channels
    for module in (unet.up_blocks[-1].resnets[-1].conv2, unet.up_blocks[-1].attentions[-1].proj_out):
        module.weight[:carried] = 0.0
        module.bias[:carried] = 0.0
    first, last = unet.conv_in, unet.conv_out
    shortcut = unet.up_blocks[-1].resnets[-1].conv_shortcut
    width = first.out_channels
    spread = ((2 * REFERENCE**2 + 2) / 4) ** 0.5  # what the last norm divides by
    last.weight.mul_(0.1)
    for latent in range(unet.config.in_channels):
        channels = slice(4 * latent, 4 * latent + 4)
        first.weight[channels] = 0.0
        first.bias[channels] = torch.tensor([REFERENCE, -REFERENCE, 0.0, 0.0])
        first.weight[4 * latent + 2, latent, 1, 1] = 1.0
        first.weight[4 * latent + 3, latent, 1, 1] = -1.0
        shortcut.weight[channels] = 0.0
        shortcut.bias[channels] = 0.0
        for channel in range(4 * latent, 4 * latent + 4):
            shortcut.weight[channel, width + channel] = 1.0
        last.weight[latent, 4 * latent + 2, 1, 1] = spread
        last.weight[latent, 4 * latent + 3, 1, 1] = -spread
    last.bias.zero_()


@dataclass
class Data:
    """Scenes and their scaled latents (N, 4, 8, 8)."""

    scenes: list[Scene]
    latents: torch.Tensor


@torch.no_grad()
def make_data(vae: AutoencoderKL, rng: np.random.Generator, count: int = SCENES) -> Data:
    """Renders and encodes the training pictures."""
    scenes = [draw_scene(rng) for _ in range(count)]
    parts = []
    for begin in range(0, count, 50):
        pictures = np.stack([render(scene, rng) for scene in scenes[begin : begin + 50]])
        parts.append(vae.encode(to_tensor(pictures)).latent_dist.mean * LATENT_SCALE)
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


def draw_timesteps(count: int, rng: np.random.Generator, layout: bool) -> torch.Tensor:
    """Timesteps (count,), half of them from the noisy end; while the layout is learned all from its last fifth."""
    if layout:
        return torch.from_numpy(rng.integers(LAYOUT_START, 1000, count))
    high = rng.random(count) < HIGH_NOISE_SHARE
    drawn = np.where(high, rng.integers(HIGH_NOISE_START, 1000, count), rng.integers(0, 1000, count))
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
        *,
        norm_groups: int = NORM_GROUPS,
        told: Sequence[str] = tuple(ATTRIBUTES),
    ) -> None:
        self.told = tuple(told)
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.vae = vae
        self.tokenizer = load_tokenizer()
        self.text_model: CLIPTextModel = empty_text_model()
        self.words: WordTable = use_word_table(self.text_model, self.tokenizer)
        self.unet = empty_unet(norm_groups)
        start_as_copy(self.unet)
        self.modules = nn.ModuleList([self.unet, self.text_model])
        self.average = Average(self.modules, AVERAGE_DECAY)
        self.optimizer = torch.optim.AdamW(
            self.modules.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0, foreach=True
        )
        self.kept = noise_schedule().alphas_cumprod  # the share of the picture at each timestep (1000,)
        self.data = make_data(vae, self.rng)
        backgrounds = [scene.background for scene in self.data.scenes]
        self.plain = np.array([number for number, name in enumerate(backgrounds) if name == ONE_BACKGROUND])

    def toy(self) -> Toy:
        """The present weights, ready to sample."""
        return Toy(self.unet, self.vae, self.text_model, self.tokenizer)

    def caption(self, scene: Scene, layout: bool) -> str:
        """A new caption of the scene."""
        if layout:
            return full_training_caption(scene, self.told, self.rng)
        return training_caption(scene, self.told, self.tokenizer, self.rng)

    def losses(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The plain squared errors and the weights, each (B,), of a new batch."""
        layout = step < LAYOUT_STEPS
        chosen = (
            self.rng.choice(self.plain, BATCH) if step < ONE_BACKGROUND_STEPS else self.rng.integers(SCENES, size=BATCH)
        )
        captions = [self.caption(self.data.scenes[number], layout) for number in chosen]
        latents = self.data.latents[torch.from_numpy(chosen)]
        timesteps = draw_timesteps(BATCH, self.rng, layout)
        noise = torch.randn(latents.shape, generator=self.generator)
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        conditioning = self.text_model(tokenize(self.tokenizer, captions)).last_hidden_state
        prediction = self.unet(noisy, timesteps, conditioning).sample
        errors = functional.mse_loss(prediction, noise, reduction="none").mean((1, 2, 3))
        return errors, loss_weight(kept.flatten(), LAYOUT_MAX_WEIGHT if layout else MAX_WEIGHT)

    def train(self, steps: int, report_every: int) -> None:
        """Trains for so many steps and leaves the averaged weights in place."""
        began, recent = time.process_time(), []
        for step in range(steps):
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
                print(f"unet {step + 1}/{steps}: eps {plain:.4f} weighted {weighted:.4f} {spent:.0f} CPU-s", flush=True)
                recent = []
            if (step + 1) % report_every == 0 or step + 1 in (ONE_BACKGROUND_STEPS, LAYOUT_STEPS):
                self.average.swap()
                shift = f"place shift {place_shift(self):.2f}  " if "place" in self.told else ""
                print(f"   {shift}{line(accuracy(self.toy(), 24, 10, told=self.told))}", flush=True)
                self.average.swap()
        self.average.store()
        self.modules.requires_grad_(False).eval()


def loss_weight(kept: torch.Tensor, limit: float) -> torch.Tensor:
    """1 + 1/SNR = 1/kept, up to the limit, over the limit's root so that the loss keeps its usual size."""
    return (1 / kept).clamp(max=limit) / limit**0.5


@torch.no_grad()
def place_shift(trainer: Trainer, count: int = 96) -> float:
    """How far naming the place moves the predicted picture towards it at t = 900, 1 = as far as it should go.

    The two predictions "left" and "right" of one scene from pure noise differ, in x, by this share of the true
    difference of the two mean pictures.
    """
    rng = np.random.default_rng(77)
    scenes = [draw_scene(rng) for _ in range(count)]
    noise = torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    means, predictions = {}, {}
    timestep = torch.tensor(900)
    for place in ("left", "right"):
        placed = [Scene(s.colour, s.shape, s.size, s.background, place) for s in scenes]
        pictures = np.stack([render(scene) for scene in placed])
        means[place] = trainer.vae.encode(to_tensor(pictures)).latent_dist.mean * LATENT_SCALE
        ids = tokenize(trainer.tokenizer, [full_caption(scene) for scene in placed])
        predictions[place] = trainer.unet(noise, timestep, trainer.text_model(ids).last_hidden_state).sample
    kept = trainer.kept[900]
    wanted = means["left"] - means["right"]
    got = -((1 - kept) / kept).sqrt() * (predictions["left"] - predictions["right"])
    return float((wanted * got).sum() / (wanted * wanted).sum())
