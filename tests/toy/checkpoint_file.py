"""Writes and reads the toy checkpoints."""

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
from tests.toy.conditioning import load_tokenizer
from tests.toy.layouts import LAYOUTS, SD1, Layout
from tests.toy.ldm_names import State, fill_modules
from tests.toy.measure import Toy
from tests.toy.unets import NORM_GROUPS as UNET_NORM_GROUPS
from tests.toy.world import ATTRIBUTES

PATH = SD1.path


def metadata(
    layout: Layout,
    seed: int,
    steps: dict[str, int],
    *,
    unet_groups: int = UNET_NORM_GROUPS,
    told: Sequence[str] = tuple(ATTRIBUTES),
) -> dict[str, str]:
    """What the file says about itself; group counts and what is predicted cannot be seen from the shapes.

    Args:
        told: the attributes its captions named; said only where they are not all.
    """
    config: dict[str, object] = {"unet_norm_groups": unet_groups, "vae_norm_groups": VAE_NORM_GROUPS}
    if layout is not SD1:
        config["prediction"] = layout.process.name
    made_by: dict[str, object] = {"script": "tests/toy/make.py", "seed": seed, "steps": steps}
    if set(told) != set(ATTRIBUTES):
        made_by["told"] = list(told)
    return {
        "format": "pt",
        "modelspec.architecture": layout.architecture,
        "modelspec.description": "Small latent diffusion model of coloured shapes, trained from scratch for tests",
        "modelspec.prediction_type": layout.process.name,
        "modelspec.resolution": "64x64",
        "modelspec.title": layout.title,
        "trainyard_config": json.dumps(config, sort_keys=True),
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
        notes = file.metadata()
    (layout,) = (each for each in LAYOUTS.values() if each.architecture == notes["modelspec.architecture"])
    unet = layout.unet(json.loads(notes["trainyard_config"])["unet_norm_groups"])
    vae, texts = empty_vae(layout.scale), layout.texts(load_tokenizer())
    fill_modules(load_file(path), unet, vae, texts)
    return Toy(unet, vae, texts, layout.process)
