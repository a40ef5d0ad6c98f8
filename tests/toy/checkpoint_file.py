"""Writes and reads the toy checkpoint."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.toy.autoencoder import NORM_GROUPS as VAE_NORM_GROUPS
from tests.toy.autoencoder import empty_vae
from tests.toy.conditioning import empty_text_model, load_tokenizer
from tests.toy.diffusion import NORM_GROUPS as UNET_NORM_GROUPS
from tests.toy.diffusion import empty_unet
from tests.toy.ldm_names import State, fill_modules
from tests.toy.measure import Toy
from tests.toy.world import ATTRIBUTES

PATH = Path(__file__).with_name("toy-sd1.safetensors")


def metadata(
    seed: int, steps: dict[str, int], *, unet_groups: int = UNET_NORM_GROUPS, told: Sequence[str] = tuple(ATTRIBUTES)
) -> dict[str, str]:
    """What the file says about itself; group counts cannot be seen from the shapes.

    Args:
        told: the attributes its captions named; said only where they are not all.
    """
    groups = {"unet_norm_groups": unet_groups, "vae_norm_groups": VAE_NORM_GROUPS}
    made_by: dict[str, object] = {"script": "tests/toy/make.py", "seed": seed, "steps": steps}
    if set(told) != set(ATTRIBUTES):
        made_by["told"] = list(told)
    return {
        "format": "pt",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.description": "Small latent diffusion model of coloured shapes, trained from scratch for tests",
        "modelspec.prediction_type": "epsilon",
        "modelspec.resolution": "64x64",
        "modelspec.title": "Trainyard toy",
        "trainyard_config": json.dumps(groups, sort_keys=True),
        "trainyard_made_by": json.dumps(made_by, sort_keys=True),
    }


def write(path: Path, state: State, notes: dict[str, str]) -> None:
    """Writes fp16 safetensors with a sorted header, so that the same weights give the same bytes."""
    header: dict[str, object] = {"__metadata__": notes}
    blobs, offset = [], 0
    for name in sorted(state):
        weight = state[name].detach().to(torch.float16).contiguous()
        blob = weight.numpy().tobytes()
        header[name] = {"data_offsets": [offset, offset + len(blob)], "dtype": "F16", "shape": list(weight.shape)}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    partial.replace(path)


def load(path: Path = PATH) -> Toy:
    """The checkpoint in plain diffusers and transformers modules, fp32."""
    with safe_open(path, "pt") as file:
        groups = json.loads(file.metadata()["trainyard_config"])["unet_norm_groups"]
    unet, vae, text_model = empty_unet(groups), empty_vae(), empty_text_model()
    fill_modules(load_file(path), unet, vae, text_model)
    return Toy(unet, vae, text_model, load_tokenizer())
