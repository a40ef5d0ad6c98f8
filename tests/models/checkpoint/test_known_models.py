"""Every family of today by its header: models, VAEs, text encoders and LoRAs that Trainyard does not train.

The headers are those of published files, shortened to a block of each kind. What they are called is held to an
independent source where there is one: diffusers' classes, whose names and sizes are read from an instance without
weights, and diffusers' own table of what single files are.
"""

from __future__ import annotations

import inspect
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.loaders import single_file_utils

from tests.helpers.checkpoints import FULL, sd1_shapes, vae_shapes
from tests.models.checkpoint.test_identify import lora, prefixed, sdxl, write_header
from trainer.cli import main
from trainer.errors import ModelError, NotBuiltError, UserError
from trainer.models.checkpoint.header import Header, TensorInfo
from trainer.models.checkpoint.identify import FileKind, Kind, classify, identify
from trainer.models.registry import check_files, load_bundle

Shapes = Mapping[str, tuple[int, ...]]
MODEL = "model.diffusion_model."


def of(shapes: Shapes, metadata: Mapping[str, str] | None = None, **types: str) -> FileKind:
    """What a file with this header is; ``types`` are those of single tensors, with ``__`` for a dot."""
    named = {name.replace("__", "."): dtype for name, dtype in types.items()}
    tensors = {name: TensorInfo(named.get(name, "BF16"), shape) for name, shape in shapes.items()}
    return classify("it.safetensors", Header(tensors, metadata or {}))


def linear(name: str, out: int, into: int, *, bias: bool = True) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), **({f"{name}.bias": (out,)} if bias else {})}


# ---- denoisers as their makers publish them -------------------------------------------------------------------------


def flux_1(inputs: int = 64, *, guidance: bool = True, prefix: str = "") -> dict[str, tuple[int, ...]]:
    inner = [("guidance_in", 256)] if guidance else []
    found: dict[str, tuple[int, ...]] = {
        **linear("img_in", 3072, inputs), **linear("txt_in", 3072, 4096),
        **linear("double_blocks.0.img_mod.lin", 18432, 3072), **linear("double_blocks.0.img_attn.qkv", 9216, 3072),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,), **linear("double_blocks.0.img_attn.proj", 3072, 3072),
        **linear("single_blocks.0.linear1", 21504, 3072), **linear("single_blocks.0.modulation.lin", 9216, 3072),
        **linear("final_layer.linear", 64, 3072),
    }  # fmt: skip
    for name, size in [("time_in", 256), ("vector_in", 768), *inner]:
        found |= {**linear(f"{name}.in_layer", 3072, size), **linear(f"{name}.out_layer", 3072, 3072)}
    return prefixed(prefix, found)


def flux_2(width: int, text: int, *, prefix: str = "", guidance: bool = False) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "img_in.weight": (width, 128), "txt_in.weight": (width, text), "time_in.in_layer.weight": (width, 256),
        "double_stream_modulation_img.lin.weight": (6 * width, width),
        "double_stream_modulation_txt.lin.weight": (6 * width, width),
        "single_stream_modulation.lin.weight": (3 * width, width),
        "double_blocks.0.img_attn.qkv.weight": (3 * width, width),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "double_blocks.0.img_attn.proj.weight": (width, width),
        "single_blocks.0.linear1.weight": (9 * width, width),
        "final_layer.linear.weight": (128, width),
    }  # fmt: skip
    return prefixed(prefix, found | ({"guidance_in.in_layer.weight": (width, 256)} if guidance else {}))


def chroma() -> dict[str, tuple[int, ...]]:
    left = ("vector_in.", "guidance_in.", "time_in.", "double_blocks.0.img_mod.", "single_blocks.0.modulation.")
    guidance = linear("distilled_guidance_layer.in_proj", 5120, 64)
    return {
        **{name: shape for name, shape in flux_1().items() if not name.startswith(left)}, **guidance,
        "distilled_guidance_layer.norms.0.scale": (5120,), **linear("distilled_guidance_layer.out_proj", 3072, 5120),
    }  # fmt: skip


def lumina(width: int, text: int, modulation: int, keys: int, prefix: str = "") -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        **linear("x_embedder", width, 64), "cap_embedder.0.weight": (text,), **linear("cap_embedder.1", width, text),
        **linear("t_embedder.mlp.0", 1024, 256), **linear("final_layer.linear", 64, width),
    }  # fmt: skip
    for block in ("noise_refiner.0", "layers.0"):
        found |= {
            f"{block}.attention.qkv.weight": (width + 2 * keys, width), f"{block}.attention.k_norm.weight": (128,),
            f"{block}.attention.out.weight": (width, width), f"{block}.feed_forward.w1.weight": (4 * width, width),
            f"{block}.attention_norm1.weight": (width,), f"{block}.ffn_norm1.weight": (width,),
            **linear(f"{block}.adaLN_modulation.{modulation}", 4 * width, 256 if modulation == 0 else 1024),
        }  # fmt: skip
    return prefixed(prefix, found)


def cosmos(width: int, *, adapter: bool, prefix: str = "net.") -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "x_embedder.proj.1.weight": (width, 68), "t_embedder.1.linear_1.weight": (width, width),
        "blocks.0.self_attn.q_proj.weight": (width, width), "blocks.0.self_attn.output_proj.weight": (width, width),
        "blocks.0.cross_attn.k_proj.weight": (width, 1024), "blocks.0.mlp.layer1.weight": (4 * width, width),
        "blocks.0.mlp.layer2.weight": (width, 4 * width), "final_layer.linear.weight": (64, width),
        "pos_embedder.dim_spatial_range": (21,),
    }  # fmt: skip
    if adapter:
        found |= {
            "llm_adapter.embed.weight": (32128, 1024), "llm_adapter.blocks.0.cross_attn.q_proj.weight": (1024, 1024),
            "llm_adapter.blocks.0.mlp.0.weight": (4096, 1024), "llm_adapter.norm.weight": (1024,),
        }  # fmt: skip
    return prefixed(prefix, found)


def qwen_image() -> dict[str, tuple[int, ...]]:
    return {
        **linear("img_in", 3072, 64), **linear("txt_in", 3072, 3584), "txt_norm.weight": (3584,),
        **linear("time_text_embed.timestep_embedder.linear_1", 3072, 256),
        **linear("transformer_blocks.0.img_mod.1", 18432, 3072), **linear("transformer_blocks.0.attn.to_q", 3072, 3072),
        **linear("transformer_blocks.0.attn.add_q_proj", 3072, 3072), **linear("proj_out", 64, 3072),
    }  # fmt: skip


def wan(width: int, inputs: int, *, image: bool = False, prefix: str = "") -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (width, inputs, 1, 2, 2), "patch_embedding.bias": (width,),
        "head.modulation": (1, 2, width), **linear("head.head", 64, width), **linear("text_embedding.0", width, 4096),
        **linear("blocks.0.self_attn.q", width, width), **linear("blocks.0.cross_attn.k", width, width),
        "blocks.0.modulation": (1, 6, width), **linear("blocks.0.ffn.0", 4 * width, width),
    }  # fmt: skip
    return prefixed(
        prefix, found | ({"img_emb.proj.0.bias": (1280,), **linear("img_emb.proj.1", 1280, 1280)} if image else {})
    )


def sd3(places: int, width: int, blocks: int, *, second: bool = False) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, places, width), **linear("context_embedder", width, 4096),
        "x_embedder.proj.weight": (width, 16, 2, 2),
        **linear("final_layer.linear", 64, width),
    }  # fmt: skip
    for number in range(blocks):
        block = f"joint_blocks.{number}"
        found |= {
            **linear(f"{block}.context_block.adaLN_modulation.1", 6 * width, width),
            **linear(f"{block}.x_block.attn.qkv", 3 * width, width),
            **linear(f"{block}.x_block.mlp.fc1", 4 * width, width),
            **(linear(f"{block}.x_block.attn2.qkv", 3 * width, width) if second else {}),
        }  # fmt: skip
    return prefixed(MODEL, found)


def krea_2() -> dict[str, tuple[int, ...]]:
    return {
        **linear("first", 6144, 64), "txtfusion.projector.weight": (1, 12),
        "txtfusion.layerwise_blocks.0.prenorm.scale": (2560,), "blocks.0.attn.wq.weight": (6144, 6144),
        "blocks.0.attn.wk.weight": (1536, 6144), "blocks.0.mod.lin": (36864,), **linear("last.linear", 64, 6144),
    }  # fmt: skip


def ernie_image() -> dict[str, tuple[int, ...]]:
    return {
        **linear("x_embedder.proj", 4096, 128), "text_proj.weight": (4096, 3072), **linear("final_linear", 128, 4096),
        "layers.0.adaLN_sa_ln.weight": (4096,), "layers.0.self_attention.to_q.weight": (4096, 4096),
        "layers.0.mlp.gate_proj.weight": (12288, 4096), "layers.0.mlp.linear_fc2.weight": (4096, 12288),
    }  # fmt: skip


def of_mugen() -> dict[str, tuple[int, ...]]:
    out = {f"{MODEL}out.2.weight": (32, 320, 3, 3), f"{MODEL}out.2.bias": (32,)}
    return {**sdxl(in_channels=32), **out, "vae.decoder.conv_in.weight": (512, 32, 3, 3)}


DENOISERS: dict[str, tuple[str, str, str | None, Shapes]] = {
    # what it is called; the family; what diffusers' table says, if anything; the header
    "flux dev": ("Flux.1 dev / Kontext / Krea", "Flux.1", "flux-dev", flux_1()),
    "flux dev with prefix": ("Flux.1 dev / Kontext / Krea", "Flux.1", "flux-dev", flux_1(prefix=MODEL)),
    "flux fill": ("Flux.1 Fill", "Flux.1", "flux-fill", flux_1(384)),
    "flux depth": ("Flux.1 Canny / Depth", "Flux.1", "flux-depth", flux_1(128)),
    "flux schnell": ("Flux.1 schnell", "Flux.1", "flux-schnell", flux_1(guidance=False)),
    "klein 4B": ("Flux.2 Klein 4B", "Flux.2", "flux-2-dev", flux_2(3072, 7680)),
    "klein 9B": ("Flux.2 Klein 9B", "Flux.2", "flux-2-dev", flux_2(4096, 12288, prefix=MODEL)),
    "flux 2 dev": ("Flux.2 dev", "Flux.2", "flux-2-dev", flux_2(6144, 15360, guidance=True)),
    "chroma": ("Chroma", "Chroma", "chroma", chroma()),
    "z-image": ("Z-Image", "Z-Image", "z-image-turbo", lumina(3840, 2560, 0, 3840)),
    "z-image with prefix": ("Z-Image", "Z-Image", "z-image-turbo", lumina(3840, 2560, 0, 3840, MODEL)),
    "lumina 2": ("Lumina 2 / NetaYume", "Lumina 2", "lumina2", lumina(2304, 2304, 1, 768, MODEL)),
    "anima": ("Anima", "Anima", "cosmos-2.0-t2i-2B", cosmos(2048, adapter=True)),  # a Cosmos, and an adapter
    "anima with prefix": ("Anima", "Anima", None, cosmos(2048, adapter=True, prefix=MODEL)),
    "cosmos 2": ("Cosmos-Predict2 2B", "Cosmos-Predict2", "cosmos-2.0-t2i-2B", cosmos(2048, adapter=False)),
    "cosmos 2 14B": ("Cosmos-Predict2 14B", "Cosmos-Predict2", "cosmos-2.0-t2i-14B", cosmos(5120, adapter=False)),
    "qwen-image": ("Qwen-Image / Qwen-Image-Edit", "Qwen-Image", None, qwen_image()),
    "qwen-image-edit": ("Qwen-Image-Edit 2511", "Qwen-Image", None, {**qwen_image(), "__index_timestep_zero__": (0,)}),
    "qwen-image 2.1": ("Qwen-Image 2.1", "Qwen-Image 2.1", "qwen-image-2.1", {
        "img_in.weight": (4096, 64), "txt_in.text_norm.weight": (4096,), "txt_in.in_layer.weight": (4096, 4096),
        "transformer_blocks.0.attn.to_q.weight": (4096, 4096), "proj_out.weight": (64, 4096),
        "transformer_blocks.0.attn.norm_q.weight": (128,),
        "time_text_embed.timestep_embedder.linear_1.weight": (4096, 256),
    }),
    "krea 2": ("Krea 2", "Krea 2", "krea2", krea_2()),
    "ernie-image": ("Ernie-Image", "Ernie-Image", None, ernie_image()),
    "wan 2.1 1.3B": ("Wan 2.1 T2V 1.3B", "Wan", "wan-t2v-1.3B", wan(1536, 16)),
    "wan 2.1 14B": ("Wan 2.1 / 2.2 T2V 14B", "Wan", "wan-t2v-14B", wan(5120, 16, prefix=MODEL)),
    "wan 2.1 image": ("Wan 2.1 I2V 14B", "Wan", "wan-i2v-14B", wan(5120, 36, image=True)),
    "wan 2.2 image": ("Wan 2.2 I2V 14B", "Wan", "wan-i2v-14B", wan(5120, 36)),
    "wan 2.2 5B": ("Wan 2.2 TI2V 5B", "Wan", None, wan(3072, 48)),
    "wan vace": ("Wan VACE", "Wan", "wan-vace-14B", {
        **wan(5120, 16), **linear("vace_blocks.0.after_proj", 5120, 5120),
        **linear("vace_blocks.0.before_proj", 5120, 5120),
    }),
    "sd3": ("SD3 Medium", "SD3", "sd3", sd3(36864, 1536, 24)),
    "sd3.5 medium": ("SD3.5 Medium", "SD3", "sd35_medium", sd3(147456, 1536, 24, second=True)),
    "sd3.5 large": ("SD3.5 Large", "SD3", "sd35_large", sd3(36864, 2432, 38)),
    "hidream": ("HiDream-I1", "HiDream", "hidream", {
        **linear("double_stream_blocks.0.block.adaLN_modulation.1", 30720, 2560), **linear("x_embedder.proj", 2560, 64),
        "caption_projection.0.linear.weight": (2560, 4096),
        "single_stream_blocks.0.block.attn1.to_q.weight": (2560, 2560),
    }),
    "auraflow": ("AuraFlow", "AuraFlow", "auraflow", {
        "double_layers.0.attn.w1q.weight": (3072, 3072), "double_layers.0.attn.w2q.weight": (3072, 3072),
        "cond_seq_linear.weight": (3072, 2048), "t_embedder.mlp.0.weight": (3072, 256), "register_tokens": (1, 8, 3072),
    }),
    "hunyuan video": ("HunyuanVideo", "HunyuanVideo", "hunyuan-video", {
        **linear("double_blocks.0.img_attn_qkv", 9216, 3072), **linear("double_blocks.0.img_mod.linear", 18432, 3072),
        **linear("single_blocks.0.linear1", 21504, 3072), **linear("vector_in.in_layer", 3072, 768),
        **linear("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1", 6144, 3072),
        **linear("txt_in.input_embedder", 3072, 4096), "img_in.proj.weight": (3072, 16, 1, 2, 2),
    }),
    "pixart": ("PixArt", "PixArt", None, {
        **linear("t_block.1", 6912, 1152), **linear("blocks.0.mlp.fc1", 4608, 1152),
        "y_embedder.y_embedding": (300, 4096),
        **linear("blocks.0.cross_attn.kv_linear", 2304, 1152), "x_embedder.proj.weight": (1152, 4, 2, 2),
    }),
    "sana": ("Sana", "Sana", "sana", {
        **linear("blocks.0.cross_attn.q_linear", 2240, 2240), **linear("blocks.0.cross_attn.kv_linear", 4480, 2240),
        "blocks.0.mlp.inverted_conv.conv.weight": (11200, 2240, 1, 1), **linear("t_block.1", 13440, 2240),
    }),
    "mugen": ("Mugen (SDXL, 32 latent channels)", "Mugen", None, of_mugen()),
}  # fmt: skip


@pytest.mark.parametrize("name", DENOISERS)
def test_a_denoiser_is_called_what_it_is(name: str) -> None:
    called, family, _, shapes = DENOISERS[name]
    found = of(shapes)
    assert (found.kind, str(found.label), found.family) == (Kind.OTHER_FAMILY, f"a checkpoint of {called}", family)


@pytest.mark.parametrize("name", [name for name, (_, _, known, _) in DENOISERS.items() if known])
def test_diffusers_says_the_same(name: str) -> None:
    expected, shapes = DENOISERS[name][2], DENOISERS[name][3]
    if expected not in single_file_utils.DIFFUSERS_DEFAULT_PIPELINE_PATHS:
        pytest.skip(f"diffusers {diffusers.__version__} does not know it")
    given = {each: torch.empty(shape, device="meta") for each, shape in shapes.items()}
    assert single_file_utils.infer_diffusers_model_type(given) == expected


@pytest.mark.parametrize("name", DENOISERS)
def test_without_a_tensor_it_is_not_taken_for_another(name: str) -> None:
    called, family, _, shapes = DENOISERS[name]
    wider = {"qwen-image-edit": "Qwen-Image / Qwen-Image-Edit", "hunyuan video": "HunyuanVideo / HunyuanImage"}
    known = (called, family, wider.get(name, family))
    right = {*(f"a checkpoint of {each}" for each in known), "a model of a kind Trainyard does not know"}
    blocks = (
        "conditioner.",
        "first_stage_model.",
        *(f"{MODEL}input_blocks.{number}" for number in range(1, 9)),
        f"{MODEL}middle_",
        f"{MODEL}output_",
    )
    telling = [each for each in shapes if not each.startswith(blocks)] if name == "mugen" else list(shapes)
    for left_out in telling:
        found = of({each: shape for each, shape in shapes.items() if each != left_out})
        assert str(found.label) in right, left_out


SIZED = [name for name, (called, *_) in DENOISERS.items() if called.endswith("B") or name.startswith(("sd3", "flux "))]


@pytest.mark.parametrize("name", SIZED)
def test_of_another_width_it_is_not_taken_for_one_of_its_size(name: str) -> None:
    _, family, _, shapes = DENOISERS[name]
    odd = of({each: tuple(size * 3 + 1 for size in shape) for each, shape in shapes.items()})
    assert str(odd.label) in (f"a checkpoint of {family}", "a model of a kind Trainyard does not know")


# ---- denoisers as diffusers has them --------------------------------------------------------------------------------


def klein(heads: int, text: int) -> dict[str, Any]:
    return {"num_attention_heads": heads, "joint_attention_dim": text, "num_layers": 1, "num_single_layers": 1}


COSMOS = {
    "in_channels": 16, "out_channels": 16, "num_attention_heads": 16, "attention_head_dim": 128, "num_layers": 1,
    "text_embed_dim": 1024, "adaln_lora_dim": 256, "extra_pos_embed_type": None,
}  # fmt: skip
FLUX = {"num_layers": 1, "num_single_layers": 1}
SD3_5 = {"attention_head_dim": 64, "joint_attention_dim": 4096, "num_layers": 1, "out_channels": 16}
CLASSES: list[tuple[str, str, dict[str, Any]]] = [
    ("Flux.1 dev / Kontext / Krea", "FluxTransformer2DModel", {**FLUX, "guidance_embeds": True}),
    ("Flux.1 schnell", "FluxTransformer2DModel", FLUX),
    ("Flux.1 Fill", "FluxTransformer2DModel", {**FLUX, "guidance_embeds": True, "in_channels": 384,
    "out_channels": 64}),
    ("Flux.2 Klein 4B", "Flux2Transformer2DModel", klein(24, 7680)),
    ("Flux.2 Klein 9B", "Flux2Transformer2DModel", klein(32, 12288)),
    ("Flux.2 dev", "Flux2Transformer2DModel", klein(48, 15360)),
    ("Chroma", "ChromaTransformer2DModel", FLUX),
    ("Z-Image", "ZImageTransformer2DModel", {"n_layers": 1, "n_refiner_layers": 1}),
    (
        "Lumina 2 / NetaYume", "Lumina2Transformer2DModel",
        {"num_layers": 1, "num_refiner_layers": 1, "cap_feat_dim": 2304},
    ),
    ("Anima / Cosmos-Predict2 2B", "CosmosTransformer3DModel", COSMOS),
    ("Qwen-Image / Qwen-Image-Edit", "QwenImageTransformer2DModel", {"num_layers": 1}),
    ("Qwen-Image 2.1", "QwenImage21Transformer2DModel", {"num_layers": 1}),
    ("Krea 2", "Krea2Transformer2DModel", {"num_layers": 1}),
    (
        "Ernie-Image", "ErnieImageTransformer2DModel",
        {"hidden_size": 4096, "num_attention_heads": 32, "num_layers": 1, "ffn_hidden_size": 12288,
        "text_in_dim": 3072},
    ),
    ("Wan 2.1 / 2.2 T2V 14B", "WanTransformer3DModel", {"num_layers": 1}),
    ("Wan 2.1 T2V 1.3B", "WanTransformer3DModel", {"num_layers": 1, "num_attention_heads": 12, "ffn_dim": 8960}),
    (
        "Wan 2.2 TI2V 5B", "WanTransformer3DModel",
        {"num_layers": 1, "num_attention_heads": 24, "in_channels": 48, "out_channels": 48},
    ),
    ("Wan 2.1 I2V 14B", "WanTransformer3DModel", {"num_layers": 1, "in_channels": 36, "image_dim": 1280}),
    ("SD3 Medium", "SD3Transformer2DModel",
        {**SD3_5, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192}),
    ("SD3.5 Medium", "SD3Transformer2DModel",
        {**SD3_5, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 384}),
    ("SD3.5 Large", "SD3Transformer2DModel",
        {**SD3_5, "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192}),
    ("AuraFlow", "AuraFlowTransformer2DModel", {"num_mmdit_layers": 1, "num_single_dit_layers": 1}),
    ("PixArt", "PixArtTransformer2DModel", {"num_layers": 1, "caption_channels": 4096}),
    ("Sana", "SanaTransformer2DModel", {"num_layers": 1}),
]  # fmt: skip
VAE_CLASSES: list[tuple[str, str, dict[str, Any]]] = [
    ("Flux.2 / Ernie-Image / Mugen", "AutoencoderKLFlux2", {}),
    ("Wan 2.1 / Qwen-Image / Anima / Krea 2", "AutoencoderKLWan", {}),
    ("Wan 2.1 / Qwen-Image / Anima / Krea 2", "AutoencoderKLQwenImage", {}),
]


def shapes_of(name: str, values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The names and sizes of a class of diffusers, without its weights."""
    made = getattr(diffusers, name, None)
    if made is None or not set(values) <= set(inspect.signature(made.__init__).parameters):
        pytest.skip(f"diffusers {diffusers.__version__} does not have it")
    with torch.device("meta"):
        module = made(**values)
    return {each: tuple(tensor.shape) for each, tensor in module.state_dict().items()}


@pytest.mark.parametrize(("called", "name", "values"), CLASSES)
def test_a_denoiser_of_diffusers_is_called_what_it_is(called: str, name: str, values: dict[str, Any]) -> None:
    shapes = shapes_of(name, values)
    for prefix in ("", "transformer."):
        found = of(prefixed(prefix, shapes))
        assert (found.kind, str(found.label)) == (Kind.OTHER_FAMILY, f"a checkpoint of {called}")


@pytest.mark.parametrize(("called", "name", "values"), VAE_CLASSES)
def test_a_vae_of_diffusers_is_called_what_it_is(called: str, name: str, values: dict[str, Any]) -> None:
    found = of(shapes_of(name, values))
    assert (found.kind, str(found.label)) == (Kind.VAE, f"the VAE of {called}")


# ---- VAEs and text encoders -----------------------------------------------------------------------------------------


def wan_vae(latents: int, width: int) -> dict[str, tuple[int, ...]]:
    return {
        "encoder.conv1.weight": (96, 3, 3, 3, 3), "decoder.conv1.weight": (width, latents, 3, 3, 3),
        "decoder.middle.0.residual.0.gamma": (width, 1, 1, 1), "conv1.weight": (2 * latents, 2 * latents, 1, 1, 1),
        "decoder.head.2.weight": (3, 96, 3, 3, 3),
    }  # fmt: skip


def kl_vae(latents: int, *, quant: bool) -> dict[str, tuple[int, ...]]:
    whole = {
        **vae_shapes(FULL), "encoder.conv_out.weight": (2 * latents, 512, 3, 3),
        "encoder.conv_out.bias": (2 * latents,),
        "decoder.conv_in.weight": (512, latents, 3, 3),
    }  # fmt: skip
    return {name: shape for name, shape in whole.items() if quant or "quant_conv" not in name}


FLUX_VAE = "Flux.1 / SD3 / Chroma / Z-Image / Lumina 2"
WAN_VAE = "Wan 2.1 / Qwen-Image / Anima / Krea 2"
VAES: dict[str, tuple[str, Shapes]] = {
    "flux": (FLUX_VAE, kl_vae(16, quant=False)),
    "flux with prefix": (FLUX_VAE, prefixed("vae.", kl_vae(16, quant=False))),
    "flux 2": ("Flux.2 / Ernie-Image / Mugen", {
        **kl_vae(32, quant=True), "bn.running_mean": (128,), "bn.running_var": (128,),
    }),
    "wan 2.1": (WAN_VAE, wan_vae(16, 384)),
    "wan 2.2": ("Wan 2.2 5B", wan_vae(48, 1024)),
    "sana": ("Sana", {
        "decoder.stages.1.op_list.0.main.conv.conv.bias": (128,), "encoder.project_in.conv.bias": (128,),
        "decoder.project_in.main.conv.weight": (1024, 32, 3, 3), "encoder.project_in.conv.weight": (128, 3, 3, 3),
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", VAES)
def test_a_vae_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    called, shapes = VAES[name]
    found = of(shapes)
    assert (found.kind, str(found.label), found.family) == (Kind.VAE, f"the VAE of {called}", found.family)
    model = write_header(tmp_path / "anime.safetensors", sd1_shapes())
    path = write_header(tmp_path / "ae.safetensors", shapes)
    with pytest.raises(UserError) as caught:
        check_files(model, vae=path)
    assert str(caught.value) == (
        f"ae.safetensors is the VAE of {called}, and the model is SD1. Choose a VAE made for SD1, or none."
    )
    with pytest.raises(ModelError, match=r"ae\.safetensors is the VAE of .*, not a checkpoint\."):
        check_files(path)


@pytest.mark.parametrize("name", VAES)
def test_a_vae_without_a_tensor_is_not_taken_for_another(name: str) -> None:
    called, shapes = VAES[name]
    for left_out in shapes:
        found = of({each: shape for each, shape in shapes.items() if each != left_out})
        right = {f"the VAE of {called}", "a VAE", "a model of a kind Trainyard does not know"}
        assert str(found.label) in right, left_out


def t5(width: int, vocabulary: int, *, of_each_layer: bool = False) -> dict[str, tuple[int, ...]]:
    blocks = range(2 if of_each_layer else 1)
    return {
        "shared.weight": (vocabulary, width), "encoder.final_layer_norm.weight": (width,),
        **{f"encoder.block.{number}.layer.0.SelfAttention.q.weight": (width, width) for number in range(2)},
        **{
            f"encoder.block.{number}.layer.0.SelfAttention.relative_attention_bias.weight": (32, width // 64)
            for number in blocks
        },
    }  # fmt: skip


def llm(
    width: int, heads: int, keys: int, *, norm: int = 0, bias: bool = False, gemma: bool = False, sees: str = "",
    prefix: str = "model.",
) -> dict[str, tuple[int, ...]]:  # fmt: skip
    layer = "layers.0."
    found: dict[str, tuple[int, ...]] = {
        "embed_tokens.weight": (150_000, width), "norm.weight": (width,), f"{layer}input_layernorm.weight": (width,),
        **linear(f"{layer}self_attn.q_proj", heads, width, bias=bias),
        f"{layer}self_attn.o_proj.weight": (width, heads),
        **linear(f"{layer}self_attn.k_proj", keys, width, bias=bias),
    }  # fmt: skip
    if norm:
        found |= {f"{layer}self_attn.q_norm.weight": (norm,), f"{layer}self_attn.k_norm.weight": (norm,)}
    if gemma:
        found |= {
            f"{layer}post_feedforward_layernorm.weight": (width,),
            f"{layer}pre_feedforward_layernorm.weight": (width,),
        }
    return prefixed(prefix, found) | ({sees: (1152, 1152)} if sees else {})


TEXT_ENCODERS: dict[str, tuple[str, Shapes]] = {
    "t5-xxl": ("T5-XXL (Flux.1, SD3, Chroma)", t5(4096, 32128)),
    "umt5-xxl": ("UMT5-XXL (Wan)", t5(4096, 256384, of_each_layer=True)),
    "pile-t5": ("Pile-T5-XL (AuraFlow)", t5(2048, 32128, of_each_layer=True)),
    "qwen3 0.6B": ("Qwen3 0.6B (Anima)", llm(1024, 2048, 1024, norm=128)),
    "qwen3 4B": ("Qwen3 4B (Z-Image, Flux.2 Klein 4B)", llm(2560, 4096, 1024, norm=128)),
    "qwen3 8B": ("Qwen3 8B (Flux.2 Klein 9B)", llm(4096, 4096, 1024, norm=128, prefix="")),
    "qwen3-vl": ("Qwen3-VL 4B (Krea 2)", llm(
        2560, 4096, 1024, norm=128, sees="model.visual.deepstack_merger_list.0.linear_fc1.weight",
        prefix="model.language_model.",
    )),
    "qwen2.5-vl": ("Qwen2.5-VL 7B (Qwen-Image)", llm(3584, 3584, 512, bias=True, sees="visual.merger.ln_q.weight")),
    "gemma 2": ("Gemma 2 2B (Lumina 2)", llm(2304, 2048, 1024, gemma=True)),
    "gemma 3": ("Gemma 3 4B", llm(2560, 2048, 1024, norm=256, gemma=True)),
    "ministral": ("Ministral 3 3B (Ernie-Image)", llm(3072, 4096, 1024)),
    "mistral": ("Mistral Small 24B (Flux.2 dev)", llm(5120, 4096, 1024)),
    "llama": ("Llama 3.1 8B (HiDream, HunyuanVideo)", llm(4096, 4096, 1024)),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXT_ENCODERS)
def test_a_text_encoder_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    called, shapes = TEXT_ENCODERS[name]
    path = write_header(tmp_path / "te.safetensors", shapes)
    with pytest.raises(ModelError) as caught:
        check_files(path)
    assert str(caught.value).startswith(f"te.safetensors is the text encoder {called}, not a checkpoint.")


# ---- quantised ------------------------------------------------------------------------------------------------------


def packed(shapes: Shapes, *endings: str) -> dict[str, tuple[int, ...]]:
    """The same header with each matrix in 4 bits and more beside it."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        if name.endswith(".weight") and len(shape) == 2:
            found[name] = (shape[0] * shape[1] // 2, 1)
            found |= {f"{name}{ending}": (shape[0],) for ending in endings}
        else:
            found[name] = shape
    return found


QUANTISED: dict[str, tuple[str, Shapes, dict[str, str]]] = {
    "nf4": (
        "Flux.1, quantised to 4 bits by bitsandbytes (nf4, fp4)",
        packed(flux_1(prefix=MODEL), ".absmax", ".quant_map", ".quant_state.bitsandbytes__nf4"), {},
    ),
    "scaled fp8": (
        "Flux.1 dev / Kontext / Krea, quantised to scaled fp8",
        {**flux_1(), "scaled_fp8": (2,), "img_in.scale_weight": ()}, {},
    ),
    "fp8 with a scale": (
        "Z-Image, quantised to scaled fp8",
        {**lumina(3840, 2560, 0, 3840), "layers.0.attention.qkv.weight_scale": (),
        "layers.0.attention.qkv.comfy_quant": (32,)},
        {"layers__0__attention__qkv__weight": "F8_E4M3", "layers__0__attention__qkv__weight_scale": "F32"},
    ),
    "int8": (
        "Anima, quantised to scaled int8", {**cosmos(2048, adapter=True), "net.blocks.0.mlp.layer1.weight_scale": ()},
        {"net__blocks__0__mlp__layer1__weight": "I8"},
    ),
    "nvfp4": (
        "Flux.2 Klein 4B, quantised to nvfp4",
        {
            **flux_2(3072, 7680), "single_blocks.0.linear1.weight": (27648, 1536),
            "single_blocks.0.linear1.weight_scale": (27648, 192), "single_blocks.0.linear1.weight_scale_2": (),
        },
        {"single_blocks__0__linear1__weight": "U8", "single_blocks__0__linear1__weight_scale": "F8_E4M3"},
    ),
    "mxfp8": (
        "Flux.2 Klein 9B, quantised to mxfp8",
        {**flux_2(4096, 12288), "single_blocks.0.linear1.weight_scale": (36864, 128)},
        {"single_blocks__0__linear1__weight": "F8_E4M3", "single_blocks__0__linear1__weight_scale": "F8_E8M0"},
    ),
    "nunchaku flux": (
        "Flux.1 dev / Kontext / Krea, quantised to 4 bits by SVDQuant (Nunchaku)",
        {
            **linear("x_embedder", 3072, 64), **linear("context_embedder", 3072, 4096),
            **linear("time_text_embed.guidance_embedder.linear_1", 3072, 256),
            **linear("time_text_embed.text_embedder.linear_1", 3072, 768),
            "transformer_blocks.0.norm1.linear.qweight": (4608, 1536),
            "transformer_blocks.0.qkv_proj.qweight": (9216, 1536),
            "transformer_blocks.0.qkv_proj.lora_down": (3072, 32), "transformer_blocks.0.qkv_proj.lora_up": (9216, 32),
            "transformer_blocks.0.qkv_proj.smooth": (3072,), "transformer_blocks.0.qkv_proj.wscales": (48, 9216),
            "single_transformer_blocks.0.norm.linear.qweight": (2304, 1536),
            "single_transformer_blocks.0.mlp_fc1.qweight": (12288, 1536),
        },
        {},
    ),
    "nunchaku qwen": (
        "Qwen-Image / Qwen-Image-Edit, quantised to 4 bits by SVDQuant (Nunchaku)",
        {
            **linear("img_in", 3072, 64), "txt_norm.weight": (3584,),
            "transformer_blocks.0.img_mod.1.qweight": (4608, 1536),
            "transformer_blocks.0.attn.to_qkv.qweight": (9216, 1536),
            "transformer_blocks.0.attn.to_qkv.wscales": (48, 9216),
            "transformer_blocks.0.attn.to_qkv.proj_down": (3072, 32),
            "transformer_blocks.0.attn.to_qkv.proj_up": (9216, 32),
        },
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUANTISED)
def test_a_quantised_model_is_called_what_it_is(name: str) -> None:
    called, shapes, types = QUANTISED[name]
    found = of(shapes, **types)
    assert (found.kind, str(found.label)) == (Kind.OTHER_FAMILY, f"a checkpoint of {called}")


def test_a_quantised_model_of_a_family_that_is_trained(tmp_path: Path) -> None:
    shapes = {**sdxl(), f"{MODEL}input_blocks.4.1.proj_in.scale_weight": ()}
    path = write_header(tmp_path / "xl.safetensors", shapes)
    assert str(identify(path).label) == "an SDXL checkpoint, quantised to scaled fp8"
    with pytest.raises(ModelError, match=r"xl\.safetensors is quantised to scaled fp8, which cannot be trained on"):
        check_files(path)
    vae = write_header(tmp_path / "vae.safetensors", {**vae_shapes(FULL), "decoder.conv_in.scale_weight": ()})
    with pytest.raises(ModelError, match=r"vae\.safetensors is quantised to scaled fp8"):
        check_files(write_header(tmp_path / "anime.safetensors", sd1_shapes()), vae=vae)


# ---- GGUF -----------------------------------------------------------------------------------------------------------


def write_gguf(path: Path, shapes: Shapes, values: Mapping[str, str | list[int]] | None = None) -> Path:
    """A GGUF file of version 3, all tensors as Q4_K (12), without their weights."""

    def string(text: str) -> bytes:
        return struct.pack("<Q", len(text)) + text.encode()

    def value(given: str | list[int]) -> bytes:
        if isinstance(given, str):
            return struct.pack("<I", 8) + string(given)
        return struct.pack("<IIQ", 9, 5, len(given)) + struct.pack(f"<{len(given)}i", *given)

    named = {"general.architecture": "x", "tokenizer.ggml.tokens": "", **(values or {})}
    body = b"".join(string(key) + value(each) for key, each in named.items())
    for name, shape in shapes.items():
        sizes = shape[::-1]
        body += string(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, 12, 0)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(named)) + body + bytes(64))
    return path


def flattened(shapes: Shapes) -> tuple[dict[str, tuple[int, ...]], dict[str, str | list[int]]]:
    """As a conversion to GGUF leaves what has more sizes than it allows: as a line, and a note of its shape."""
    lines = {name: (1, torch.Size(shape).numel()) for name, shape in shapes.items() if len(shape) > 4}
    return {**shapes, **lines}, {f"comfy.gguf.orig_shape.{name}": list(shapes[name]) for name in lines}


GGUF: dict[str, tuple[str, tuple[Shapes, Mapping[str, str | list[int]]]]] = {
    "flux": ("a checkpoint of Flux.1 dev / Kontext / Krea", (flux_1(), {})),
    "z-image": ("a checkpoint of Z-Image", (lumina(3840, 2560, 0, 3840), {})),
    "wan": ("a checkpoint of Wan 2.1 / 2.2 T2V 14B", flattened(wan(5120, 16))),
    "qwen3": ("the text encoder Qwen3 4B (Z-Image, Flux.2 Klein 4B)", ({
        "token_embd.weight": (151936, 2560), "blk.0.attn_q.weight": (4096, 2560), "blk.0.attn_q_norm.weight": (128,),
        "output_norm.weight": (2560,),
    }, {})),
    "t5": ("the text encoder T5-XXL (Flux.1, SD3, Chroma)", ({
        "enc.blk.0.attn_q.weight": (4096, 4096), "token_embd.weight": (32128, 4096), "enc.output_norm.weight": (4096,),
    }, {})),
}  # fmt: skip


@pytest.mark.parametrize("name", GGUF)
def test_a_gguf_file_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    called, (shapes, values) = GGUF[name]
    found = identify(write_gguf(tmp_path / "it.gguf", shapes, values))
    assert str(found.label) == f"{called}, quantised to GGUF"


def test_a_gguf_file_of_a_family_that_is_trained(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "xl.gguf", sdxl())
    assert str(identify(path).label) == "an SDXL checkpoint, quantised to GGUF"
    with pytest.raises(ModelError) as caught:
        load_bundle(path)
    assert str(caught.value) == (
        "xl.gguf is a GGUF file, whose weights cannot be trained on. Choose a .safetensors file."
    )


def test_a_damaged_gguf_file_is_refused_quickly(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "it.gguf", flux_1()).read_bytes()
    count = struct.pack("<Q", 2**60)
    for content in (whole[:200], whole[:8] + count + whole[16:], whole[:16] + count + whole[24:], whole[:24] + count):
        (tmp_path / "it.gguf").write_bytes(content)
        with pytest.raises(ModelError, match=r"it\.gguf is not a model file"):
            identify(tmp_path / "it.gguf")


# ---- refusals, and what info says -----------------------------------------------------------------------------------


def test_a_family_that_is_not_trained_yet_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = write_header(tmp_path / "it.safetensors", flux_2(3072, 7680))
    with pytest.raises(NotBuiltError) as caught:
        load_bundle(path)
    assert str(caught.value) == (
        "it.safetensors is a checkpoint of Flux.2 Klein 4B, and Trainyard does not train Flux.2 yet. "
        "Choose a checkpoint of one of these families: SD1, SD2, SDXL."
    )
    with pytest.raises(ModelError, match=r"it\.safetensors is a checkpoint of Flux\.2 Klein 4B, not a VAE\."):
        check_files(write_header(tmp_path / "anime.safetensors", sd1_shapes()), vae=path)


def test_info_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_header(tmp_path / "it.safetensors", cosmos(2048, adapter=True))
    assert main(["info", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["is: a checkpoint of Anima", "tensors: 13"]


# ---- LoRAs ----------------------------------------------------------------------------------------------------------


def pair(module: str, takes: int, gives: int) -> dict[str, tuple[int, ...]]:
    return {f"{module}.lora_down.weight": (4, takes), f"{module}.lora_up.weight": (gives, 4), f"{module}.alpha": ()}


def peft(module: str, takes: int, gives: int) -> dict[str, tuple[int, ...]]:
    return {f"{module}.lora_A.weight": (4, takes), f"{module}.lora_B.weight": (gives, 4)}


BFL, DIFFUSION = "lora_unet_", "diffusion_model."
LORAS: dict[str, tuple[str, Shapes]] = {
    "flux by kohya": ("Flux.1", {
        **pair(f"{BFL}double_blocks_0_img_attn_qkv", 3072, 9216),
        **pair(f"{BFL}single_blocks_0_modulation_lin", 3072, 9216),
    }),
    "flux by diffusers": ("Flux.1", peft("transformer.single_transformer_blocks.0.norm.linear", 3072, 9216)),
    "flux or chroma": ("Flux.1 / Chroma", pair(f"{BFL}single_blocks_0_linear1", 3072, 21504)),
    "klein 4B": ("Flux.2 Klein 4B", {
        **peft(f"{DIFFUSION}double_blocks.0.img_attn.qkv", 3072, 9216),
        **peft(f"{DIFFUSION}single_blocks.0.linear1", 3072, 27648),
    }),
    "klein 9B": ("Flux.2 Klein 9B", peft(f"{DIFFUSION}single_blocks.0.linear1", 4096, 36864)),
    "flux 2 dev": ("Flux.2 dev", peft("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 6144, 55296)),
    "z-image": ("Z-Image", peft(f"{DIFFUSION}layers.0.attention.to_q", 3840, 3840)),
    "lumina 2": ("Lumina 2", pair(f"{BFL}layers_0_attention_qkv", 2304, 3840)),
    "anima": ("Anima / Cosmos-Predict2 2B", pair(f"{BFL}blocks_0_self_attn_q_proj", 2048, 2048)),
    "anima with adapter": ("Anima", {
        **peft(f"{DIFFUSION}blocks.0.self_attn.q_proj", 2048, 2048),
        **peft(f"{DIFFUSION}llm_adapter.blocks.0.self_attn.q_proj", 1024, 1024),
    }),
    "qwen-image": ("Qwen-Image", peft("transformer_blocks.0.img_mlp.net.2", 12288, 3072)),
    "qwen-image, attention": ("Qwen-Image", peft("transformer.transformer_blocks.40.attn.add_q_proj", 3072, 3072)),
    "wan 14B": ("Wan 2.1 / 2.2 14B", peft(f"{DIFFUSION}blocks.0.self_attn.q", 5120, 5120)),
    "wan 1.3B": ("Wan 2.1 1.3B", pair(f"{BFL}blocks_0_cross_attn_k", 1536, 1536)),
    "wan 5B": ("Wan 2.2 5B", pair(f"{BFL}blocks_0_self_attn_o", 3072, 3072)),
    "krea 2": ("Krea 2", peft(f"{DIFFUSION}blocks.0.attn.wq", 6144, 6144)),
    "ernie-image": ("Ernie-Image", peft(f"{DIFFUSION}layers.0.self_attention.to_q", 4096, 4096)),
    "sd3.5 medium": ("SD3.5 Medium", pair(f"{BFL}joint_blocks_0_x_block_attn2_qkv", 1536, 4608)),
    "sd3.5 large": ("SD3.5 Large", pair(f"{BFL}joint_blocks_0_x_block_attn_qkv", 2432, 7296)),
    "hidream": ("HiDream", peft(f"{DIFFUSION}double_stream_blocks.0.block.attn1.to_q", 2560, 2560)),
    "hunyuan video": ("HunyuanVideo", pair(f"{BFL}double_blocks_19_img_attn_qkv", 3072, 9216)),
}  # fmt: skip


@pytest.mark.parametrize("name", LORAS)
def test_a_lora_is_called_what_it_is(name: str) -> None:
    called, shapes = LORAS[name]
    found = of(shapes)
    assert (found.kind, found.family) == (Kind.LORA, called)
    assert str(found.label).endswith(f" for {called}")


@pytest.mark.parametrize(
    ("said", "called"),
    [("flux2-klein", "Flux.2 Klein 4B"), ("wan2.1", "Wan"), ("anima", "Anima"), ("hunyuan-image-2.1", "HunyuanImage")],
)
def test_what_a_lora_says_comes_before_what_it_looks_like(said: str, called: str) -> None:
    shapes = LORAS["klein 4B"][1]
    assert of(shapes, {"ss_base_model_version": said}).family == called


def test_a_lora_of_a_family_that_is_trained_is_none_of_the_others() -> None:
    names = (
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_te_text_model_encoder_layers_0_mlp_fc1",
    )
    for name in names:
        assert of(pair(name, 320, 320)).family is None
    assert of(lora("lora_down.weight", "lora_up.weight", "alpha")).family is None
