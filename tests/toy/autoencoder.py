"""The toy VAE: its layout, an analytic start from which it learns colour at once, and its training.

From a random start the flat colour of an area hides behind the group norms for longer than the whole budget. So it
starts as a linear colour pyramid: residual branches closed, down-scaling by averages, up-scaling by copies. In every
norm group two channels hold +-REFERENCE, which makes the norm a nearly constant scale, and every signal x has a
partner -x, since silu(x) - silu(-x) = x.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from tests.toy.averages import Average, cosine
from tests.toy.world import SIDE, coverage, draw_scene, render

NORM_GROUPS = 8
WIDTHS = (32, 32, 64, 64)
LATENT_SCALE = 0.18215
REFERENCE = 2.0
CROP_STEPS, CROP_BATCH, CROP_SIDE = 1300, 16, 32
FULL_STEPS, FULL_BATCH = 700, 8
LEARNING_RATE = 1.5e-3
KL_WEIGHT = 1e-4
WORLD_SHARE = 0.65


def empty_vae(scale: float = LATENT_SCALE) -> AutoencoderKL:
    """The VAE before any training: 3 x 64 x 64 pictures, 4 x 8 x 8 latents of unit variance times `scale`."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=NORM_GROUPS,
        sample_size=SIDE,
        scaling_factor=scale,
    )


def signal_channels(width: int) -> list[tuple[int, int]]:
    """The channel pairs (x, -x) of a layer; in each group the first two channels are the references."""
    per_group = width // NORM_GROUPS
    return [
        (group * per_group + first, group * per_group + first + 1)
        for group in range(NORM_GROUPS)
        for first in range(2, per_group, 2)
    ]


def _spread_signals(convolution: nn.Conv2d, filters: torch.Tensor) -> None:
    """Makes a convolution write filters (pairs, in, k, k) to the signal pairs and the references to the rest."""
    width = convolution.out_channels
    per_group = width // NORM_GROUPS
    assert convolution.bias is not None
    convolution.weight.zero_()
    convolution.bias.zero_()
    convolution.bias[0::per_group] = REFERENCE
    convolution.bias[1::per_group] = -REFERENCE
    for (plus, minus), kernel in zip(signal_channels(width), filters, strict=True):
        convolution.weight[plus] = kernel
        convolution.weight[minus] = -kernel


def _keep_channels(convolution: nn.Conv2d, window: slice) -> None:
    """Each channel becomes the average of itself over the window of the kernel."""
    assert convolution.bias is not None
    convolution.bias.zero_()
    convolution.weight.zero_()
    size = window.stop - window.start
    for channel in range(convolution.out_channels):
        convolution.weight[channel, channel, window, window] = 1.0 / size**2


def _map_signals(shortcut: nn.Conv2d, pairing: list[int]) -> None:
    """A 1 x 1 convolution between widths: signal pair i of the output is pair pairing[i] of the input."""
    source = shortcut.in_channels
    pairs = signal_channels(source)
    kernels = torch.zeros(len(pairing), source, 1, 1)
    for number, taken in enumerate(pairing):
        kernels[number, pairs[taken][0]] = 0.5
        kernels[number, pairs[taken][1]] = -0.5
    _spread_signals(shortcut, kernels)


def _close_branches(vae: AutoencoderKL) -> None:
    """Makes every residual branch and attention add nothing."""
    for name, module in vae.named_modules():
        if name.endswith(("conv2", "to_out.0")):
            module.weight.zero_()
            module.bias.zero_()


def _read_signals(convolution: nn.Conv2d, kernels: torch.Tensor, spread: float) -> None:
    """The last convolution behind norm and SiLU: kernels (out, pairs) read the middle pixel of the pairs."""
    assert convolution.bias is not None
    convolution.weight.mul_(0.02)
    convolution.bias.zero_()
    for pair, (plus, minus) in enumerate(signal_channels(convolution.in_channels)):
        convolution.weight[:, plus, 1, 1] += spread * kernels[:, pair]
        convolution.weight[:, minus, 1, 1] -= spread * kernels[:, pair]


def start_as_pyramid(vae: AutoencoderKL) -> None:
    """Turns a randomly started VAE into one that keeps each 8 x 8 block's mean colour and one random detail."""
    with torch.no_grad():
        _close_branches(vae)
        wide, narrow = len(signal_channels(WIDTHS[-1])), len(signal_channels(WIDTHS[0]))
        widen = [pair if pair < narrow else int(torch.randint(3, narrow, ())) for pair in range(wide)]
        _start_encoder(vae, widen, narrow)
        _start_decoder(vae, wide, narrow)


def _start_encoder(vae: AutoencoderKL, widen: list[int], narrow: int) -> None:
    filters = torch.randn(narrow, 3, 3, 3) * 0.15
    filters[:3] = 0.0
    for colour in range(3):
        filters[colour, colour, 1, 1] = 1.0
    _spread_signals(vae.encoder.conv_in, filters)
    for block in vae.encoder.down_blocks:
        for layer in block.resnets:
            if layer.conv_shortcut is not None:
                _map_signals(layer.conv_shortcut, widen)
        for layer in block.downsamplers or ():
            _keep_channels(layer.conv, slice(0, 2))
    kernels = torch.zeros(8, len(widen))
    kernels[:3, :3] = torch.eye(3)
    kernels[3, 3:] = torch.randn(len(widen) - 3) * 0.3
    _read_signals(vae.encoder.conv_out, kernels, spread=1.0)
    vae.encoder.conv_out.bias[4:] = -6.0
    _keep_channels(vae.quant_conv, slice(0, 1))
    _keep_channels(vae.post_quant_conv, slice(0, 1))


def _start_decoder(vae: AutoencoderKL, wide: int, narrow: int) -> None:
    filters = torch.randn(wide, 4, 3, 3) * 0.1
    filters[:3] = 0.0
    for colour in range(3):
        filters[colour, colour, 1, 1] = 1.0
    _spread_signals(vae.decoder.conv_in, filters)
    for block in vae.decoder.up_blocks:
        for layer in block.resnets:
            if layer.conv_shortcut is not None:
                _map_signals(layer.conv_shortcut, list(range(narrow)))
        for layer in block.upsamplers or ():
            _keep_channels(layer.conv, slice(1, 2))
    kernels = torch.zeros(3, narrow)
    kernels[:, :3] = torch.eye(3)
    _read_signals(vae.decoder.conv_out, kernels, spread=1.0)


def _odd_picture(rng: np.random.Generator) -> np.ndarray:
    """A picture outside the world, so that fine-tuned concepts survive the VAE: (64, 64, 3) float64 in 0..255."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    tilt = rng.uniform(-1, 1, 2)
    ramp = np.clip(0.5 + tilt[0] * (rows - 0.5) + tilt[1] * (columns - 0.5), 0, 1)[..., None]
    first, second = rng.uniform(0, 255, (2, 3))
    pixels = ramp * first + (1 - ramp) * (second if rng.random() < 0.5 else first)
    for _ in range(int(rng.integers(1, 4))):
        x, y, radius = rng.uniform(8, SIDE - 8), rng.uniform(8, SIDE - 8), rng.uniform(5, 18)
        mask = odd_mask(str(rng.choice(ODD_SHAPES)), x, y, radius)[..., None]
        pixels = mask * rng.uniform(0, 255, 3) + (1 - mask) * pixels
    return pixels


ODD_SHAPES = ("circle", "square", "triangle", "diamond", "cross", "star")


def odd_mask(shape: str, x: float, y: float, radius: float) -> np.ndarray:
    """As `coverage`, with a diamond, a cross and a star besides."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    dx, dy = columns - x, rows - y
    if shape == "diamond":
        distance = (abs(dx) + abs(dy) - 1.2 * radius) * np.sqrt(0.5)
    elif shape == "cross":
        near, far = np.minimum(abs(dx), abs(dy)), np.maximum(abs(dx), abs(dy))
        distance = np.maximum(near - 0.35 * radius, far - radius)
    elif shape == "star":
        distance = np.hypot(dx, dy) - radius * (0.75 + 0.3 * np.cos(5 * np.arctan2(dx, -dy)))
    else:
        return coverage(shape, x, y, radius)
    return np.clip(0.5 - distance, 0.0, 1.0)


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """(N, H, W, 3) in 0..255 -> (N, 3, H, W) float32 in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures, dtype=np.float32)).permute(0, 3, 1, 2) / 127.5 - 1


def _draw_batch(rng: np.random.Generator, whole: bool) -> torch.Tensor:
    count = FULL_BATCH if whole else CROP_BATCH
    chosen = []
    for _ in range(count):
        pixels = render(draw_scene(rng), rng) if rng.random() < WORLD_SHARE else _odd_picture(rng)
        if not whole:
            top, left = rng.integers(0, SIDE - CROP_SIDE + 1, 2)
            pixels = pixels[top : top + CROP_SIDE, left : left + CROP_SIDE]
        chosen.append(pixels)
    return to_tensor(np.stack(chosen))


def _loss(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        posterior = vae.encode(pictures).latent_dist
        decoded = vae.decode(posterior.sample().to(pictures.dtype)).sample
    difference = decoded.float() - pictures
    mean, variance = posterior.mean.float(), posterior.logvar.float().exp()
    kl = 0.5 * (mean**2 + variance - 1 - posterior.logvar.float()).mean()
    return difference.abs().mean() + (difference**2).mean() + KL_WEIGHT * kl


def signal_to_noise(vae: AutoencoderKL, rng: np.random.Generator, count: int = 32) -> float:
    """Peak signal to noise ratio (dB) of reconstructed world pictures."""
    pictures = to_tensor(np.stack([render(draw_scene(rng), rng) for _ in range(count)]))
    with torch.no_grad():
        decoded = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    return float(10 * torch.log10(4 / ((decoded - pictures) ** 2).mean()))


def train_vae(seed: int) -> AutoencoderKL:
    """A trained VAE whose latents, times 0.18215, have unit variance."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = empty_vae()
    start_as_pyramid(vae)
    print(f"vae: PSNR {signal_to_noise(vae, np.random.default_rng(1)):.1f} dB before training", flush=True)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    average = Average(vae, 0.99)
    began = time.process_time()
    for step in range(steps := CROP_STEPS + FULL_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * cosine(step, steps, warm_up=20)
        loss = _loss(vae, _draw_batch(rng, whole=step >= CROP_STEPS))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        average.update()
        if (step + 1) % 100 == 0:
            print(
                f"vae {step + 1}/{steps}: loss {loss.item():.4f}, {time.process_time() - began:.0f} CPU-s", flush=True
            )
    average.store()
    vae.requires_grad_(False).eval()
    scale_latents(vae, rng)
    print(f"vae: PSNR {signal_to_noise(vae, np.random.default_rng(1)):.1f} dB", flush=True)
    return vae


@torch.no_grad()
def scale_latents(vae: AutoencoderKL, rng: np.random.Generator) -> None:
    """Folds mean and spread of the world's latents into the 1 x 1 convolutions around them."""
    batches = (to_tensor(np.stack([render(draw_scene(rng), rng) for _ in range(50)])) for _ in range(20))
    latents = torch.cat([vae.encode(batch).latent_dist.mean for batch in batches])  # (1000, 4, 8, 8)
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3)) * LATENT_SCALE
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.bias[:4] -= mean
    quant.weight[:4] /= spread.view(4, 1, 1, 1)
    quant.bias[:4] /= spread
    quant.bias[4:] -= 2 * spread.log()
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= spread.view(1, 4, 1, 1)


@torch.no_grad()
def rescaled(vae: AutoencoderKL, scale: float) -> AutoencoderKL:
    """The same VAE for another scale: what it gives, times that, are the same latents."""
    made = empty_vae(scale)
    made.load_state_dict(vae.state_dict())
    times = vae.config.scaling_factor / scale
    made.quant_conv.weight[:4] *= times
    made.quant_conv.bias[:4] *= times
    made.quant_conv.bias[4:] += 2 * np.log(times)
    made.post_quant_conv.weight /= times
    return made.requires_grad_(False).eval()
