"""Stable Diffusion 1: one CLIP-L text encoder, a U-Net with convolutions around its attention, a 4-channel VAE."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..noise import EPSILON, scaled_linear_betas
from . import ldm, shapes
from .base import Bundle, Conditioning, Family
from .identify import AUTOENCODER, TEXT, UNET, FileKind, Kind
from .text import clip_tokenizer, hidden_states, tokenize
from .weights import Source, build_empty, fill, stored_dtype

Result = TypeVar("Result")

_HEADS = 8
_LATENT_CHANNELS = 4
_SCALING_FACTOR = 0.18215
_IGNORED = ("position_ids",)


class SD1(Family):
    """Checkpoints in the layout of Stable Diffusion 1.4 and 1.5, of any width and depth."""

    name = "SD1"
    label = "Stable Diffusion 1"
    default_size = (512, 512)
    latent_factor = 8
    base_model_version = "sd_v1"
    architecture = "stable-diffusion-v1"
    implementation = "diffusers"
    blocks = (
        "BASE",
        *(f"IN{number:02d}" for number in range(12)),
        "M00",
        *(f"OUT{number:02d}" for number in range(12)),
    )

    def recognises(self, kind: FileKind) -> bool:
        return kind.kind is Kind.SD1

    def check(self, kind: FileKind, vae: FileKind | None) -> None:
        missing = {UNET, TEXT, AUTOENCODER} - kind.parts
        if vae is not None:
            missing.discard(AUTOENCODER)
        if missing == {AUTOENCODER}:
            raise ModelError(f"{kind.name} has no VAE", do="Choose a VAE file as well, or a full checkpoint")
        if missing:
            names = " and no ".join(sorted(missing, key=str.lower))
            raise ModelError(f"{kind.name} has no {names}", do="Choose a full checkpoint")
        if vae is not None and AUTOENCODER not in vae.parts:
            raise ModelError(f"{vae.name} is {vae.label}, not a VAE", do="Choose a VAE made for SD1")
        channels = None if vae is None else _latent_channels(vae)
        if vae is not None and channels not in (None, _LATENT_CHANNELS):
            raise ModelError(
                f"{vae.name} is a VAE with {channels} latent channels, SD1 has {_LATENT_CHANNELS}",
                do="Choose a VAE made for SD1",
            )

    def take(self, source: Source, *, vae: Source | None = None) -> Bundle:
        self.check(source.kind, vae.kind if vae else None)
        vae_source = vae or source
        what = f"the U-Net of {source.name}", f"the VAE of {vae_source.name}", f"the text encoder of {source.name}"
        unet = _or_incomplete(lambda: _unet_tensors(source), what[0])
        autoencoder = _or_incomplete(lambda: _vae_tensors(vae_source), what[1])
        text = _or_incomplete(lambda: _text_tensors(source), what[2])
        return Bundle(
            family=self,
            name=source.name,
            unet=_unet(unet, _norm_groups(source.kind, "unet"), what[0]),
            vae=_vae(autoencoder, _norm_groups(vae_source.kind, "vae"), what[1]),
            text_encoders=(_text_encoder(text, what[2]),),
            tokenizers=(clip_tokenizer(),),
            betas=scaled_linear_betas(),
            prediction_type=source.kind.prediction_type or EPSILON,
            latent_channels=_LATENT_CHANNELS,
            scaling_factor=_SCALING_FACTOR,
            shift=0.0,
            dtypes={
                "unet": stored_dtype(unet),
                "vae": stored_dtype(autoencoder),
                "text_encoder": stored_dtype(text),
            },
            path=source.path,
            vae_name=vae.name if vae else "",
        )

    def encode(
        self, bundle: Bundle, prompts: Sequence[str], *, clip_skip: int = 1, size: tuple[int, int] | None = None
    ) -> Conditioning:
        del size  # SD1 is not told
        ids = [tokenize(bundle.tokenizer, prompt) for prompt in prompts]
        encoded: dict[int, Conditioning] = {}
        for windows in {len(one) for one in ids}:  # a prompt is encoded alike whatever its neighbours are
            rows = [row for row, one in enumerate(ids) if len(one) == windows]
            states = hidden_states(bundle.text_encoder, torch.stack([ids[row] for row in rows]), clip_skip=clip_skip)
            encoded.update({row: Conditioning(state[None]) for row, state in zip(rows, states, strict=True)})
        return Conditioning.cat([encoded[row] for row in range(len(ids))])


def _latent_channels(vae: FileKind) -> int | None:
    for prefix in ("", ldm.VAE, "vae."):
        info = vae.tensors.get(f"{prefix}decoder.conv_in.weight")
        if info is not None and len(info.shape) > 1:
            return info.shape[1]
    return None


def _norm_groups(kind: FileKind, part: str) -> int:
    """Groups of group normalisation, which no tensor's shape shows: 32, unless the file says otherwise."""
    groups = kind.configs.get(part, {}).get("norm_num_groups", 32)
    try:
        stated = json.loads(kind.metadata.get("trainyard_config", "{}"))
        return int(stated.get(f"{part}_norm_groups", groups))
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"trainyard_config in the metadata of {kind.name} is not as expected") from error


def _unet_tensors(source: Source) -> dict[str, Tensor]:
    if source.kind.is_folder:
        return ldm.part(source.tensors, "unet.")
    return ldm.unet_from_ldm(ldm.part(source.tensors, ldm.UNET))


def _text_tensors(source: Source) -> dict[str, Tensor]:
    prefix = "text_encoder." if source.kind.is_folder else ldm.CLIP
    return ldm.clip_without_level(ldm.part(source.tensors, prefix))


def _vae_tensors(source: Source) -> dict[str, Tensor]:
    prefix = next((each for each in ("vae.", ldm.VAE) if any(name.startswith(each) for name in source.tensors)), "")
    tensors = ldm.part(source.tensors, prefix)
    if any(name.startswith("encoder.down_blocks.") for name in tensors):
        return ldm.vae_with_new_names(tensors)
    return ldm.vae_from_ldm(tensors)


def _unet(tensors: Mapping[str, Tensor], groups: int, what: str) -> Any:
    from diffusers import UNet2DConditionModel

    config = _or_incomplete(lambda: shapes.unet_config(ldm.shapes_of(tensors), heads=_HEADS, norm_groups=groups), what)
    return fill(_build(lambda: UNet2DConditionModel(**config), what), tensors, what)


def _vae(tensors: Mapping[str, Tensor], groups: int, what: str) -> Any:
    from diffusers import AutoencoderKL

    config = _or_incomplete(
        lambda: shapes.vae_config(ldm.shapes_of(tensors), norm_groups=groups, scaling_factor=_SCALING_FACTOR), what
    )
    return fill(_build(lambda: AutoencoderKL(**config), what), tensors, what)


def _text_encoder(tensors: Mapping[str, Tensor], what: str) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = _or_incomplete(lambda: shapes.clip_config(ldm.shapes_of(tensors)), what)
    module = _build(lambda: CLIPTextModel(CLIPTextConfig(**config)), what)
    level = "text_model." if any(name.startswith("text_model.") for name in module.state_dict()) else ""
    return fill(module, {level + name: tensor for name, tensor in tensors.items()}, what, optional=_IGNORED)


def _or_incomplete(read: Callable[[], Result], what: str) -> Result:
    try:
        return read()
    except (LookupError, ValueError, AttributeError, StopIteration, ZeroDivisionError) as error:
        raise ModelError(f"{what} is incomplete", do="Choose another checkpoint") from error


def _build(make: Callable[[], nn.Module], what: str) -> nn.Module:
    try:
        return build_empty(make)
    except (ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{what} has sizes that do not go together ({error})", do="Choose another file") from error
