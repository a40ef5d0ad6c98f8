"""Small random checkpoints in the layouts of SD1, SD2 and SDXL, written on the fly.

The names and shapes are those of the original LDM code, spelled out here by hand: no code of diffusers or of Trainyard
makes them, so a test that reads them back proves something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer.text_model."
OPEN_CLIP = "cond_stage_model.model."
CLIP_L = "conditioner.embedders.0.transformer.text_model."
CLIP_G = "conditioner.embedders.1.model."
GROUPS = {"trainyard_config": json.dumps({"unet_norm_groups": 8, "vae_norm_groups": 8})}
"""Metadata of a small checkpoint: groups of normalisation that its few channels can be divided into."""
FAMILIES = ("SD1", "SD2", "SD2-v", "SDXL", "SDXL-v")
"""What :func:`small_checkpoint` makes; ``-v`` predicts the velocity, and SDXL's has no signal left at the end."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of a checkpoint; the default is a small SD1, :data:`FULL` is SD1.5.

    Attributes:
        depth: transformer blocks in each attention of a level; None is one everywhere but in the last level.
        linear: the transformers' projections are linears, as from SD2 on, rather than convolutions.
        text_width: of the first text encoder; 0 is ``context``.
        open_clip: width, layers and inner width of SDXL's second text encoder; zeros for none.
    """

    unet: tuple[int, ...] = (32, 64, 64, 64)
    unet_layers: int = 2
    context: int = 64
    vae: tuple[int, ...] = (32, 32, 64, 64)
    vae_layers: int = 1
    text_layers: int = 2
    text_inner: int = 128
    vocabulary: int = 49408
    in_channels: int = 4
    depth: tuple[int, ...] | None = None
    linear: bool = False
    text_width: int = 0
    open_clip: tuple[int, int, int] = (0, 0, 0)

    def depth_of(self, level: int) -> int:
        if self.depth is None:
            return int(level < len(self.unet) - 1)
        return self.depth[level]


FULL = Sizes((320, 640, 1280, 1280), 2, 768, (128, 256, 512, 512), 2, 12, 3072)
FULL_SD2 = Sizes((320, 640, 1280, 1280), 2, 1024, (128, 256, 512, 512), 2, 24, 4096, linear=True)
FULL_SDXL = Sizes(
    (320, 640, 1280), 2, 2048, (128, 256, 512, 512), 2, 12, 3072,
    depth=(0, 2, 10), linear=True, text_width=768, open_clip=(1280, 32, 5120),
)  # fmt: skip
TWO_LEVELS = Sizes(unet=(32, 64))
"""The cheapest U-Net that has everything: attention and none, in, middle and out, a way down and one up."""
SD2 = Sizes(text_layers=3, linear=True)
SDXL = Sizes(
    (32, 64, 64), context=128, text_layers=3, depth=(0, 1, 2), linear=True, text_width=64, open_clip=(64, 3, 128)
)  # fmt: skip


def _weight_and_bias(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _residual(name: str, inputs: int, outputs: int, time: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _weight_and_bias(f"{name}.in_layers.0", inputs)
    yield from _weight_and_bias(f"{name}.in_layers.2", outputs, inputs, 3, 3)
    yield from _weight_and_bias(f"{name}.emb_layers.1", outputs, time)
    yield from _weight_and_bias(f"{name}.out_layers.0", outputs)
    yield from _weight_and_bias(f"{name}.out_layers.3", outputs, outputs, 3, 3)
    if inputs != outputs:
        yield from _weight_and_bias(f"{name}.skip_connection", outputs, inputs, 1, 1)


def _transformer(name: str, width: int, sizes: Sizes, depth: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    project = (width, width) if sizes.linear else (width, width, 1, 1)
    yield from _weight_and_bias(f"{name}.norm", width)
    yield from _weight_and_bias(f"{name}.proj_in", *project)
    for number in range(depth):
        block = f"{name}.transformer_blocks.{number}"
        for attention, source in (("attn1", width), ("attn2", sizes.context)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, source)
            yield f"{block}.{attention}.to_v.weight", (width, source)
            yield from _weight_and_bias(f"{block}.{attention}.to_out.0", width, width)
        yield from _weight_and_bias(f"{block}.ff.net.0.proj", 8 * width, width)
        yield from _weight_and_bias(f"{block}.ff.net.2", width, 4 * width)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _weight_and_bias(f"{block}.{norm}", width)
    yield from _weight_and_bias(f"{name}.proj_out", *project)


def unet_shapes(sizes: Sizes) -> Shapes:
    """The U-Net's tensors, without prefix."""
    widths, layers = sizes.unet, sizes.unet_layers
    time = 4 * widths[0]
    found: list[tuple[str, tuple[int, ...]]] = []
    found += _weight_and_bias("time_embed.0", time, widths[0])
    found += _weight_and_bias("time_embed.2", time, time)
    if sizes.open_clip[0]:
        found += _weight_and_bias("label_emb.0.0", time, 6 * 256 + sizes.open_clip[0])
        found += _weight_and_bias("label_emb.0.2", time, time)
    found += _weight_and_bias("input_blocks.0.0", widths[0], sizes.in_channels, 3, 3)
    skips, number, current = [widths[0]], 1, widths[0]
    for level, width in enumerate(widths):
        for _ in range(layers):
            found += _residual(f"input_blocks.{number}.0", current, width, time)
            if depth := sizes.depth_of(level):
                found += _transformer(f"input_blocks.{number}.1", width, sizes, depth)
            current, number = width, number + 1
            skips.append(current)
        if level < len(widths) - 1:
            found += _weight_and_bias(f"input_blocks.{number}.0.op", current, current, 3, 3)
            number += 1
            skips.append(current)
    found += _residual("middle_block.0", current, current, time)
    found += _transformer("middle_block.1", current, sizes, sizes.depth_of(len(widths) - 1) or 1)
    found += _residual("middle_block.2", current, current, time)
    number = 0
    for level, width in reversed(list(enumerate(widths))):
        for layer in range(layers + 1):
            found += _residual(f"output_blocks.{number}.0", current + skips.pop(), width, time)
            current, place = width, 1
            if depth := sizes.depth_of(level):
                found += _transformer(f"output_blocks.{number}.1", width, sizes, depth)
                place = 2
            if level and layer == layers:
                found += _weight_and_bias(f"output_blocks.{number}.{place}.conv", width, width, 3, 3)
            number += 1
    found += _weight_and_bias("out.0", current)
    found += _weight_and_bias("out.2", 4, current, 3, 3)
    return dict(found)


def _vae_residual(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _weight_and_bias(f"{name}.norm1", inputs)
    yield from _weight_and_bias(f"{name}.conv1", outputs, inputs, 3, 3)
    yield from _weight_and_bias(f"{name}.norm2", outputs)
    yield from _weight_and_bias(f"{name}.conv2", outputs, outputs, 3, 3)
    if inputs != outputs:
        yield from _weight_and_bias(f"{name}.nin_shortcut", outputs, inputs, 1, 1)


def _vae_middle(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _vae_residual(f"{name}.block_1", width, width)
    yield from _weight_and_bias(f"{name}.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from _weight_and_bias(f"{name}.attn_1.{part}", width, width, 1, 1)
    yield from _vae_residual(f"{name}.block_2", width, width)


def vae_shapes(sizes: Sizes) -> Shapes:
    """The VAE's tensors, without prefix; attention as 1×1 convolutions."""
    widths, layers = sizes.vae, sizes.vae_layers
    found: list[tuple[str, tuple[int, ...]]] = []
    found += _weight_and_bias("encoder.conv_in", widths[0], 3, 3, 3)
    current = widths[0]
    for level, width in enumerate(widths):
        for layer in range(layers):
            found += _vae_residual(f"encoder.down.{level}.block.{layer}", current, width)
            current = width
        if level < len(widths) - 1:
            found += _weight_and_bias(f"encoder.down.{level}.downsample.conv", width, width, 3, 3)
    found += _vae_middle("encoder.mid", current)
    found += _weight_and_bias("encoder.norm_out", current)
    found += _weight_and_bias("encoder.conv_out", 8, current, 3, 3)
    found += _weight_and_bias("decoder.conv_in", current, 4, 3, 3)
    found += _vae_middle("decoder.mid", current)
    for level, width in reversed(list(enumerate(widths))):
        for layer in range(layers + 1):
            found += _vae_residual(f"decoder.up.{level}.block.{layer}", current, width)
            current = width
        if level:
            found += _weight_and_bias(f"decoder.up.{level}.upsample.conv", width, width, 3, 3)
    found += _weight_and_bias("decoder.norm_out", current)
    found += _weight_and_bias("decoder.conv_out", 3, current, 3, 3)
    found += _weight_and_bias("quant_conv", 8, 8, 1, 1)
    found += _weight_and_bias("post_quant_conv", 4, 4, 1, 1)
    return dict(found)


def text_shapes(sizes: Sizes) -> Shapes:
    """The CLIP text encoder's tensors, without the ``text_model.`` level and without ``position_ids``."""
    width = sizes.text_width or sizes.context
    found: list[tuple[str, tuple[int, ...]]] = [
        ("embeddings.token_embedding.weight", (sizes.vocabulary, width)),
        ("embeddings.position_embedding.weight", (77, width)),
    ]
    for layer in range(sizes.text_layers):
        name = f"encoder.layers.{layer}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            found += _weight_and_bias(f"{name}.self_attn.{part}", width, width)
        found += _weight_and_bias(f"{name}.layer_norm1", width)
        found += _weight_and_bias(f"{name}.mlp.fc1", sizes.text_inner, width)
        found += _weight_and_bias(f"{name}.mlp.fc2", width, sizes.text_inner)
        found += _weight_and_bias(f"{name}.layer_norm2", width)
    found += _weight_and_bias("final_layer_norm", width)
    return dict(found)


def open_clip_shapes(width: int, layers: int, inner: int, vocabulary: int) -> Shapes:
    """An OpenCLIP text encoder's tensors, without prefix."""
    found: list[tuple[str, tuple[int, ...]]] = [
        ("positional_embedding", (77, width)),
        ("text_projection", (width, width)),
        ("logit_scale", ()),
        ("token_embedding.weight", (vocabulary, width)),
    ]
    for layer in range(layers):
        name = f"transformer.resblocks.{layer}"
        found += _weight_and_bias(f"{name}.ln_1", width)
        found += [(f"{name}.attn.in_proj_weight", (3 * width, width)), (f"{name}.attn.in_proj_bias", (3 * width,))]
        found += _weight_and_bias(f"{name}.attn.out_proj", width, width)
        found += _weight_and_bias(f"{name}.ln_2", width)
        found += _weight_and_bias(f"{name}.mlp.c_fc", inner, width)
        found += _weight_and_bias(f"{name}.mlp.c_proj", width, inner)
    found += _weight_and_bias("ln_final", width)
    return dict(found)


def _whole(sizes: Sizes, texts: Mapping[str, Shapes]) -> Shapes:
    parts = {UNET: unet_shapes(sizes), VAE: vae_shapes(sizes), **texts}
    return {prefix + name: shape for prefix, shapes in parts.items() for name, shape in shapes.items()}


def sd1_shapes(sizes: Sizes = FULL) -> Shapes:
    """A whole SD1 checkpoint, but for ``position_ids``."""
    return _whole(sizes, {TEXT: text_shapes(sizes)})


def sd2_shapes(sizes: Sizes = FULL_SD2) -> Shapes:
    """A whole SD2 checkpoint."""
    text = open_clip_shapes(sizes.context, sizes.text_layers, sizes.text_inner, sizes.vocabulary)
    return _whole(sizes, {OPEN_CLIP: text})


def sdxl_shapes(sizes: Sizes = FULL_SDXL) -> Shapes:
    """A whole SDXL checkpoint, but for ``position_ids``."""
    return _whole(sizes, {CLIP_L: text_shapes(sizes), CLIP_G: open_clip_shapes(*sizes.open_clip, sizes.vocabulary)})


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Float32 weights that keep activations near one; norms and biases are random too, none of them zero."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            fan_in = values[0].numel()
            tensors[name] = values * (0.5 if "embedding" in name else fan_in**-0.5)
        elif name.endswith(".weight"):
            tensors[name] = 1 + 0.1 * values
        else:
            tensors[name] = 0.1 * values
    return tensors


def sd1_tensors(sizes: Sizes = Sizes(), seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A whole checkpoint as a dictionary, named as in a file, old ``position_ids`` included."""
    tensors = {name: tensor.to(dtype) for name, tensor in random_tensors(sd1_shapes(sizes), seed).items()}
    tensors[TEXT + "embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    return tensors


def sd2_tensors(
    sizes: Sizes = SD2, seed: int = 0, dtype: torch.dtype = torch.float32, *, velocity: bool = False
) -> dict[str, Tensor]:
    """A whole SD2 checkpoint.

    Nothing in the files that were published says whether they predict the velocity. They are told apart by how far
    the biases of one norm near the output spread: below 0.09 in the models for 512 pixels, above in those for 768.
    """
    tensors = random_tensors(sd2_shapes(sizes), seed)
    last = (sizes.unet_layers + 1) * len(sizes.unet) - 1
    telling = f"{UNET}output_blocks.{last}.1.transformer_blocks.0.norm1.bias"
    tensors[telling] *= (0.14 if velocity else 0.05) / tensors[telling].std()
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def sdxl_tensors(
    sizes: Sizes = SDXL, seed: int = 0, dtype: torch.dtype = torch.float32, *, velocity: bool = False
) -> dict[str, Tensor]:
    """A whole SDXL checkpoint; with ``velocity``, marked as those with zero terminal SNR are."""
    tensors = {name: tensor.to(dtype) for name, tensor in random_tensors(sdxl_shapes(sizes), seed).items()}
    tensors[CLIP_L + "embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    return {**tensors, **({"v_pred": torch.empty(0), "ztsnr": torch.empty(0)} if velocity else {})}


def family_tensors(family: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A small checkpoint of one of :data:`FAMILIES`."""
    if family == "SD1":
        return sd1_tensors(seed=seed, dtype=dtype)
    make = sd2_tensors if family.startswith("SD2") else sdxl_tensors
    return make(seed=seed, dtype=dtype, velocity=family.endswith("-v"))


def small_checkpoint(folder: Path, family: str = "SD1", *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """A small checkpoint of one of :data:`FAMILIES` as a file, ready to train on: a pooled run takes seconds."""
    return write_safetensors(
        folder / f"small-{family.lower()}.safetensors", family_tensors(family, seed, dtype), GROUPS
    )


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    save_file(dict(tensors), str(path), None if metadata is None else dict(metadata))
    return path


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], *, legacy: bool = False) -> Path:
    """A ``.ckpt`` as training frameworks wrote them: the weights under ``state_dict``, beside a step counter."""
    content = {"state_dict": dict(tensors), "global_step": 470000}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_diffusers(
    folder: Path, family: str = "SD1", *, seed: int = 0, variant: str = "", binary: bool = False
) -> Path:
    """A diffusers folder, written by diffusers and transformers themselves; 32 groups in the U-Net, 16 in the VAE.

    All predict the velocity; SDXL's has no signal left at the end.
    """
    from diffusers import AutoencoderKL, DDIMScheduler

    torch.manual_seed(seed)
    vae = AutoencoderKL(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, norm_num_groups=16,
    )  # fmt: skip
    texts = _diffusers_texts(family)
    options = {"safe_serialization": not binary, **({"variant": variant} if variant else {})}
    _diffusers_unet(family).save_pretrained(folder / "unet", **options)
    vae.save_pretrained(folder / "vae", **options)
    for name, text in texts.items():
        if binary:
            text.config.save_pretrained(folder / name)
            torch.save(_saved_names(text), folder / name / "pytorch_model.bin")
        else:
            text.save_pretrained(folder / name, **({"variant": variant} if variant else {}))
    DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=family == "SDXL").save_pretrained(
        folder / "scheduler"
    )
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


def _diffusers_unet(family: str) -> Any:
    from diffusers import UNet2DConditionModel

    if family == "SDXL":
        return UNet2DConditionModel(
            block_out_channels=(32, 64, 128), cross_attention_dim=128, attention_head_dim=(1, 1, 2),
            use_linear_projection=True, transformer_layers_per_block=(1, 1, 2),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            addition_embed_type="text_time", addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=6 * 256 + 64,
        )  # fmt: skip
    heads: Any = 8 if family == "SD1" else (1, 1, 1, 1)
    return UNet2DConditionModel(
        block_out_channels=(32, 64, 64, 64), cross_attention_dim=64, attention_head_dim=heads,
        use_linear_projection=family == "SD2",
    )  # fmt: skip


def _diffusers_texts(family: str) -> dict[str, Any]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def config(layers: int, act: str) -> Any:
        return CLIPTextConfig(
            hidden_size=64, num_hidden_layers=layers, num_attention_heads=1, intermediate_size=128, hidden_act=act,
            projection_dim=64, bos_token_id=49406, eos_token_id=49407,
        )  # fmt: skip

    if family == "SDXL":
        return {
            "text_encoder": CLIPTextModel(config(3, "quick_gelu")),
            "text_encoder_2": CLIPTextModelWithProjection(config(3, "gelu")),
        }
    return {"text_encoder": CLIPTextModel(config(2, "gelu" if family == "SD2" else "quick_gelu"))}


def _saved_names(text: torch.nn.Module) -> dict[str, Tensor]:
    return {"text_model." + name.removeprefix("text_model."): tensor for name, tensor in text.state_dict().items()}
