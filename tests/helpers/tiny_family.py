"""A family that is nothing like Stable Diffusion, small enough for the tests: a transformer trained as rectified flow.

It has layers instead of a U-Net's blocks, attends to prompt and image together, pads prompts of different lengths and
masks what was padded, normalises its latents by channel, and draws its timesteps more often from where there is more
noise. All that the product needs to know of it is in this file and in :data:`TINY`, its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainer.config.choices import TEXT_ENCODERS, FamilyInfo
from trainer.config.size import Size
from trainer.diffusion.parameterisation import FLOW
from trainer.diffusion.process import Diffusion
from trainer.diffusion.schedule import NoiseSchedule
from trainer.diffusion.timesteps import Density
from trainer.errors import ModelError
from trainer.models.base import Bundle, Conditioning, Family, HostTensors, Sampler
from trainer.models.checkpoint.identify import FileKind
from trainer.models.checkpoint.parts import DENOISER, TEXT_ENCODER, VAE
from trainer.models.checkpoint.weights import Source, build_empty, fill, stored_dtype
from trainer.models.lora_target import Target, TargetChoice
from trainer.text.messages import message

LAYERS, WIDTH, HEADS, TEXT_WIDTH, CHANNELS, FACTOR, PATCH = 2, 32, 2, 16, 4, 8, 2
STEPS = 1000

TINY = FamilyInfo(
    "Tiny",
    "Tiny Flow",
    "tests.helpers.tiny_family:TinyFamily",
    (TEXT_ENCODERS, *(f"L{number:02}" for number in range(LAYERS))),
    size_multiple=FACTOR * PATCH,
    signature=MappingProxyType(
        {"net.patch_embed.weight": (WIDTH, CHANNELS * PATCH**2), "net.layers.0.ff.w1.weight": ()}
    ),
)


# ---- the modules ----------------------------------------------------------------------------------------------------


class TinyAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape
        shape = (batch, length, HEADS, WIDTH // HEADS)
        q, k, v = (part(x).view(shape).transpose(1, 2) for part in (self.to_q, self.to_k, self.to_v))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        found: Tensor = self.to_out(attended.transpose(1, 2).reshape(batch, length, WIDTH))
        return found


class TinyFeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.w2(F.silu(self.w1(x)))
        return found


class TinyLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.ff, self.modulation = TinyAttention(), TinyFeedForward(), nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        first, second = self.modulation(time)[:, None].chunk(2, -1)
        x = x + self.attention(F.layer_norm(x, (WIDTH,)) * (1 + first), mask)
        found: Tensor = x + self.ff(F.layer_norm(x, (WIDTH,)) * (1 + second))
        return found


class TinyTransformer(nn.Module):
    """Prompt and patches in one sequence; predicts noise minus latents."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Linear(CHANNELS * PATCH**2, WIDTH)
        self.text_embed, self.time_embed = nn.Linear(TEXT_WIDTH, WIDTH), nn.Linear(16, WIDTH)
        self.layers = nn.ModuleList(TinyLayer() for _ in range(LAYERS))
        self.out = nn.Linear(WIDTH, CHANNELS * PATCH**2)
        self.checkpoints_layers = False

    def forward(self, latents: Tensor, sigma: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Latents ``(B, C, h, w)``, times ``(B,)``, the prompt's states ``(B, L, D)`` and which of them count."""
        batch, _, height, width = latents.shape
        patches = F.unfold(latents, PATCH, stride=PATCH).transpose(1, 2)
        x = torch.cat([self.text_embed(states), self.patch_embed(patches)], 1)
        seen = torch.cat([mask, mask.new_ones(batch, patches.shape[1])], 1)
        angles = sigma.float()[:, None] * 2.0 ** torch.arange(8, device=sigma.device)
        time = self.time_embed(torch.cat([angles.sin(), angles.cos()], 1).to(latents.dtype))
        for layer in self.layers:
            x = (
                checkpoint(layer, x, time, seen, use_reentrant=False)
                if self.checkpoints_layers
                else layer(x, time, seen)
            )
        found = self.out(x[:, states.shape[1] :]).transpose(1, 2)
        return F.fold(found, (height, width), PATCH, stride=PATCH)


class TinyText(nn.Module):
    """Bytes become states; each of them knows the ones before it only by their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.project = nn.Embedding(256, TEXT_WIDTH), nn.Linear(TEXT_WIDTH, TEXT_WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        known = self.embedding(ids)
        counts = torch.arange(1, len(ids) + 1, device=ids.device, dtype=known.dtype)[:, None]
        found: Tensor = self.project(known + known.cumsum(0) / counts)
        return found


class TinyVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, CHANNELS, FACTOR, FACTOR)
        self.decoder = nn.ConvTranspose2d(CHANNELS, 3, FACTOR, FACTOR)


_PARTS: Mapping[str, tuple[str, Callable[[], nn.Module]]] = MappingProxyType(
    {DENOISER: ("net.", TinyTransformer), TEXT_ENCODER: ("text_encoder.", TinyText), VAE: ("vae.", TinyVAE)}
)
"""The prefix of each part in a file, and its class."""


def tiny_tensors(seed: int = 0) -> dict[str, Tensor]:
    """A random checkpoint's tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = [(prefix, make()) for prefix, make in _PARTS.values()]
    return {prefix + name: each for prefix, module in parts for name, each in module.state_dict().items()}


def tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """A random checkpoint as a file."""
    path = folder / "tiny.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tiny_tensors(seed).items()}, str(path))
    return path


# ---- what the product asks ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TinyConditioning(Conditioning):
    """The states ``(B, L, D)`` of prompts that are padded to one length, and which of them are no padding."""

    states: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return self.states.shape[0]

    @staticmethod
    def join(parts: Sequence[TinyConditioning]) -> TinyConditioning:
        longest = max(part.states.shape[1] for part in parts)
        missing = [longest - part.states.shape[1] for part in parts]
        return TinyConditioning(
            torch.cat([F.pad(part.states, (0, 0, 0, more)) for part, more in zip(parts, missing, strict=True)]),
            torch.cat([F.pad(part.mask, (0, more)) for part, more in zip(parts, missing, strict=True)]),
        )


class ShiftedDensity(Density):
    """``sigma = k u / (1 + (k - 1) u)`` of a uniform ``u`` (Esser et al. 2024)."""

    def __init__(self, shift: float) -> None:
        self._shift = shift

    def below(self, u: float) -> float:
        return u / (self._shift - (self._shift - 1) * u)

    def at(self, share: Tensor) -> Tensor:
        return self._shift * share / (1 + (self._shift - 1) * share)


class Euler:
    """Straight steps from noise to latents."""

    def __init__(self, diffusion: Diffusion) -> None:
        self._noise = diffusion.schedule.noise
        self._next: dict[int, float] = {}

    def timesteps(self, steps: int) -> Tensor:
        last = len(self._noise) - 1
        times = [last - last * step // steps for step in range(steps)]
        self._next = {time: float(self._noise[after]) for time, after in pairwise(times)}
        return torch.tensor(times)

    def step(self, predicted: Tensor, timestep: Tensor, latents: Tensor) -> Tensor:
        time = int(timestep)
        return latents + (self._next.get(time, 0.0) - float(self._noise[time])) * predicted


_LAYER = re.compile(r"(?:lora_unet_)?layers[._](\d+)[._]")
_MEAN, _SPREAD = torch.tensor([0.1, -0.1, 0.2, 0.0]), torch.tensor([0.5, 1.0, 0.8, 0.6])


class TinyFamily(Family):
    """The whole of it."""

    default_size = Size(64, 64)
    latent_factor = FACTOR
    base_model_version = "tiny_v1"
    architecture = "tiny-flow"
    implementation = "tests"
    lora_versions = ("tiny",)
    denoiser_label = message("models.part_denoiser")

    def load_libraries(self) -> None:
        """There are none."""

    def check(self, kind: FileKind, vae: FileKind | None) -> None:
        missing = [part for part in _PARTS if part not in kind.parts]
        if missing:
            raise ModelError("models.lacks", file=kind.name, parts=[self.part_label(part) for part in missing])
        if vae is not None:
            raise ModelError("models.no_vae_for", file=vae.name, kind=vae.label, family=self.name)

    def take(self, source: Source, *, vae: Source | None = None) -> Bundle:
        self.check(source.kind, None if vae is None else vae.kind)
        modules, dtypes = {}, {}
        for part, (prefix, make) in _PARTS.items():
            tensors = {name[len(prefix) :]: each for name, each in source.tensors.items() if name.startswith(prefix)}
            what = message("models.part_of", part=self.part_label(part), file=source.name)
            modules[part], dtypes[part] = fill(build_empty(make), tensors, what), stored_dtype(tensors)
        return Bundle(
            family=self,
            name=source.name,
            denoiser=modules[DENOISER],
            vae=modules[VAE],
            text_encoders=(modules[TEXT_ENCODER],),
            tokenizers=(str.encode,),
            diffusion=Diffusion(NoiseSchedule.of_flow(STEPS), FLOW, ShiftedDensity(3.0)),
            latent_channels=CHANNELS,
            dtypes=dtypes,
            path=source.path,
        )

    def named_as_in_file(self, held: HostTensors) -> dict[str, Tensor]:
        return {
            f"{_PARTS[part][0]}{name}": tensor
            for part, tensors in zip((DENOISER, VAE, TEXT_ENCODER), held, strict=True)
            for name, tensor in tensors.items()
        }

    def defaults(self, mode: str, kind: FileKind) -> dict[str, Any]:
        del mode, kind
        return {"image_size": self.default_size, "image_min_length": min(self.default_size)}

    def encode(self, bundle: Bundle, prompts: Sequence[str], *, size: Size | None = None) -> TinyConditioning:
        del size
        (encoder,), (tokenize,) = bundle.text_encoders, bundle.tokenizers
        device = next(encoder.parameters()).device
        found = []
        for prompt in prompts:
            states = encoder(torch.tensor([0, *tokenize(prompt)], device=device))[None]
            found.append(TinyConditioning(states, torch.ones(states.shape[:2], dtype=torch.bool, device=device)))
        return TinyConditioning.join(found)

    def states_of(self, conditioning: TinyConditioning) -> Tensor:
        return conditioning.states

    def matching_places(self, bundle: Bundle, prompt: str, other: str) -> list[int]:
        del bundle
        return [min(place, len(other)) for place in range(len(prompt) + 1)]

    def conditioning_of_host(self, encoded: Any, size: Size | None) -> TinyConditioning:
        del size
        return TinyConditioning(encoded, torch.ones(encoded.shape[:2], dtype=torch.bool, device=encoded.device))

    def predict(self, bundle: Bundle, latents: Tensor, timesteps: Tensor, conditioning: TinyConditioning) -> Tensor:
        sigma = (timesteps + 1) / STEPS
        found: Tensor = bundle.denoiser(latents, sigma, conditioning.states, conditioning.mask)
        return found

    def encode_images(self, bundle: Bundle, pixels: Tensor) -> Tensor:
        vae: Any = bundle.vae
        mean, spread = (each.to(pixels)[:, None, None] for each in (_MEAN, _SPREAD))
        found: Tensor = (vae.encoder(pixels) - mean) / spread
        return found

    def decode(self, bundle: Bundle, latents: Tensor) -> Tensor:
        vae: Any = bundle.vae
        mean, spread = (each.to(latents)[:, None, None] for each in (_MEAN, _SPREAD))
        found: Tensor = vae.decoder(latents * spread + mean)
        return found

    def sampler(self, bundle: Bundle) -> Sampler:
        return Euler(bundle.diffusion)

    @contextmanager
    def checkpointing(self, bundle: Bundle) -> Iterator[None]:
        denoiser: Any = bundle.denoiser
        denoiser.checkpoints_layers = True
        try:
            yield
        finally:
            denoiser.checkpoints_layers = False

    def lora_targets(self, bundle: Bundle, choice: TargetChoice) -> list[Target]:
        wanted = {"Full": "", "SelfAttention": ".attention.", "CrossAttention": ".none."}[choice.element]
        text = list(self._text_targets(bundle).values()) if choice.text_encoders else []
        return text + [
            target
            for path, target in self._denoiser_targets(bundle).items()
            if self.block_of(path) in choice.blocks and wanted in path and ".modulation" not in path
        ]

    def known_names(self, bundle: Bundle) -> dict[str, Target]:
        targets = [*self._text_targets(bundle).values(), *self._denoiser_targets(bundle).values()]
        return {target.name: target for target in targets}

    def block_of(self, name: str) -> str | None:
        if name.startswith("lora_te"):
            return TEXT_ENCODERS
        found = _LAYER.match(name)
        return f"L{int(found[1]):02}" if found else None

    def _denoiser_targets(self, bundle: Bundle) -> dict[str, Target]:
        return _targets(bundle.denoiser, "lora_unet", DENOISER)

    def _text_targets(self, bundle: Bundle) -> dict[str, Target]:
        return _targets(bundle.text_encoders[0], "lora_te", TEXT_ENCODER)


def _targets(root: nn.Module, prefix: str, part: str) -> dict[str, Target]:
    """By their paths, every linear of a module."""
    return {
        path: Target(f"{prefix}_{path.replace('.', '_')}", module, part)
        for path, module in root.named_modules()
        if isinstance(module, nn.Linear)
    }
