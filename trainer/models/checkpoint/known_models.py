"""Models, VAEs and text encoders that Trainyard does not train, by the names and sizes in their headers.

Each row of a table names one, and says which tensors tell it. A name that several models of the same shape share says
so. A row without sizes stands below those of its family, for files that have lost them: what is packed in fewer bits
has another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .header import TensorInfo

Tensors = Mapping[str, TensorInfo]
Sizes = tuple[int | None, ...]


@dataclass(frozen=True)
class Known:
    """One model, or several whose headers are alike.

    Attributes:
        name: what it is called, with its size or variant.
        family: the family it is one of.
        has: tensors without their prefix, each with the first of its sizes; None stands for any size.
        holds: parts of names, each of which some tensor's name has.
        lacks: parts of names that no tensor's name has.
    """

    name: str
    family: str
    has: Mapping[str, Sizes]
    holds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def is_in(self, own: Tensors, names: str) -> bool:
        """Whether these tensors are this model.

        Args:
            own: the tensors without a prefix.
            names: all names of the file, one a line.
        """
        return (
            all(_fits(own.get(name), sizes) for name, sizes in self.has.items())
            and all(part in names for part in self.holds)
            and not any(part in names for part in self.lacks)
        )


def _fits(info: TensorInfo | None, sizes: Sizes) -> bool:
    if info is None or len(info.shape) < len(sizes):
        return False
    return all(wanted in (None, size) for size, wanted in zip(info.shape, sizes, strict=False))


# ---- denoisers ------------------------------------------------------------------------------------------------------

_FLUX_1 = {
    "double_blocks.0.img_attn.proj.weight": (), "single_blocks.0.linear1.weight": (), "vector_in.in_layer.weight": (),
}  # fmt: skip
_FLUX_1_DIFFUSERS = {
    "transformer_blocks.0.norm1.linear.weight": (), "single_transformer_blocks.0.norm.linear.weight": (),
    "time_text_embed.text_embedder.linear_1.weight": (), "context_embedder.weight": (3072, 4096),
}  # fmt: skip
_FLUX_2 = {"double_stream_modulation_img.lin.weight": (), "single_stream_modulation.lin.weight": ()}
_FLUX_2_DIFFUSERS = {"double_stream_modulation_img.linear.weight": (), "single_stream_modulation.linear.weight": ()}
_NOT_FLUX_1 = ("individual_token_refiner.", "distilled_guidance_layer.", "stream_modulation", "txt_norm.", "nerf_")
_QWEN = {"transformer_blocks.0.img_mod.1.weight": (), "txt_norm.weight": (3584,), "img_in.weight": ()}
_WAN = {"head.modulation": (), "blocks.0.self_attn.q.weight": ()}
_WAN_DIFFUSERS = {"condition_embedder.time_proj.weight": (), "blocks.0.attn1.to_q.weight": ()}
_WAN_VARIANTS = ("vace_blocks.", "motion_encoder.", "control_adapter.", "audio_", "ref_conv.")
_WAN_IMAGE = ("img_emb.", "condition_embedder.image_embedder.")
_ANIMA = {"llm_adapter.blocks.0.cross_attn.q_proj.weight": (), "blocks.0.mlp.layer1.weight": ()}
_COSMOS_2 = {"blocks.0.self_attn.q_proj.weight": (), "blocks.0.mlp.layer1.weight": ()}
_COSMOS_2_DIFFUSERS = {"time_embed.t_embedder.linear_1.weight": (), "transformer_blocks.0.norm1.linear_2.weight": ()}
_SD3 = {"joint_blocks.0.context_block.adaLN_modulation.1.weight": (), "context_embedder.weight": ()}
_SD3_DIFFUSERS = {"transformer_blocks.0.norm1_context.linear.weight": (), "context_embedder.weight": ()}
_KLEIN_4B, _KLEIN_9B, _FLUX_2_DEV = "Flux.2 Klein 4B", "Flux.2 Klein 9B", "Flux.2 dev"
_SD3_SIZES: Mapping[str, Sizes] = MappingProxyType(
    {"SD3 Medium": (1, 36864, 1536), "SD3.5 Medium": (1, 147456, 1536), "SD3.5 Large": (1, 36864, 2432)}
)
"""Of its table of places."""
_WAN_SIZES: Mapping[str, tuple[Sizes, tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "Wan 2.1 T2V 1.3B": ((1536, 16), (), ()),
        "Wan 2.1 / 2.2 T2V 14B": ((5120, 16), (), ()),
        "Wan 2.2 TI2V 5B": ((3072, 48), (), ()),
        "Wan 2.2 I2V 14B": ((5120, 36), (), _WAN_IMAGE),
    }
)
"""Of its first layer, and what it holds and lacks besides."""

_DENOISERS: Final[tuple[Known, ...]] = (
    # Flux: what grew from it has its names, and comes first
    Known(_KLEIN_4B, "Flux.2", {**_FLUX_2, "img_in.weight": (3072, 128)}),
    Known(_KLEIN_9B, "Flux.2", {**_FLUX_2, "img_in.weight": (4096, 128)}),
    Known(_FLUX_2_DEV, "Flux.2", {**_FLUX_2, "img_in.weight": (6144, 128)}),
    Known("Flux.2", "Flux.2", _FLUX_2),
    Known(_KLEIN_4B, "Flux.2", {**_FLUX_2_DIFFUSERS, "x_embedder.weight": (3072, 128)}),
    Known(_KLEIN_9B, "Flux.2", {**_FLUX_2_DIFFUSERS, "x_embedder.weight": (4096, 128)}),
    Known(_FLUX_2_DEV, "Flux.2", {**_FLUX_2_DIFFUSERS, "x_embedder.weight": (6144, 128)}),
    Known("Flux.2", "Flux.2", _FLUX_2_DIFFUSERS),
    Known("Flux.3", "Flux.3", {"early_stream_modulations.image.lin.weight": ()}),
    Known("Chroma1-Radiance", "Chroma", {"distilled_guidance_layer.in_proj.weight": ()}, holds=("nerf_blocks.",)),
    Known(
        "Chroma",
        "Chroma",
        {"distilled_guidance_layer.in_proj.weight": (), "double_blocks.0.img_attn.proj.weight": ()},
        lacks=("nerf_",),
    ),
    Known(
        "Chroma",
        "Chroma",
        {"distilled_guidance_layer.in_proj.weight": (), "single_transformer_blocks.0.proj_mlp.weight": ()},
    ),
    Known(
        "HunyuanVideo",
        "HunyuanVideo",
        {
            "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": (),
            "img_in.proj.weight": (3072, None, 1, 2, 2),
        },
    ),
    Known(
        "HunyuanVideo / HunyuanImage",
        "HunyuanVideo / HunyuanImage",
        {"txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": ()},
    ),
    *(
        Known(
            f"Flux.1 {name}",
            "Flux.1",
            {**_FLUX_1, "img_in.weight": (3072, inputs), "guidance_in.in_layer.weight": ()},
            lacks=_NOT_FLUX_1,
        )
        for name, inputs in {"dev / Kontext / Krea": 64, "Fill": 384, "Canny / Depth": 128}.items()
    ),
    Known("Flux.1 schnell", "Flux.1", {**_FLUX_1, "img_in.weight": (3072, 64)}, lacks=("guidance_in.", *_NOT_FLUX_1)),
    Known("Flux.1", "Flux.1", _FLUX_1, lacks=_NOT_FLUX_1),
    *(
        Known(
            f"Flux.1 {name}",
            "Flux.1",
            {
                **_FLUX_1_DIFFUSERS,
                "x_embedder.weight": (3072, inputs),
                "time_text_embed.guidance_embedder.linear_1.weight": (),
            },
            lacks=_NOT_FLUX_1,
        )
        for name, inputs in {"dev / Kontext / Krea": 64, "Fill": 384, "Canny / Depth": 128}.items()
    ),
    Known(
        "Flux.1 schnell",
        "Flux.1",
        {**_FLUX_1_DIFFUSERS, "x_embedder.weight": (3072, 64)},
        lacks=("guidance_embedder.", *_NOT_FLUX_1),
    ),
    Known("Flux.1", "Flux.1", _FLUX_1_DIFFUSERS, lacks=_NOT_FLUX_1),
    # Qwen-Image
    Known("Qwen-Image 2.1", "Qwen-Image 2.1", {"txt_in.text_norm.weight": (4096,), "txt_in.in_layer.weight": ()}),
    Known("Qwen-Image-Layered", "Qwen-Image", {**_QWEN, "time_text_embed.addition_t_embedding.weight": ()}),
    Known("Qwen-Image-Edit 2511", "Qwen-Image", {**_QWEN, "__index_timestep_zero__": ()}),
    Known("Qwen-Image / Qwen-Image-Edit", "Qwen-Image", _QWEN, lacks=("addition_t_embedding",)),
    # Anima, and Cosmos that it is made from
    Known("Anima", "Anima", _ANIMA),
    *(
        Known(
            f"Cosmos-Predict2 {size}",
            "Cosmos-Predict2",
            {**_COSMOS_2, "x_embedder.proj.1.weight": (width,)},
            lacks=("llm_adapter.",),
        )
        for size, width in {"2B": 2048, "14B": 5120}.items()
    ),
    Known(
        "Anima / Cosmos-Predict2 2B",
        "Anima / Cosmos-Predict2",
        {**_COSMOS_2_DIFFUSERS, "patch_embed.proj.weight": (2048,)},
    ),
    Known("Cosmos-Predict2 14B", "Cosmos-Predict2", {**_COSMOS_2_DIFFUSERS, "patch_embed.proj.weight": (5120,)}),
    Known(
        "Cosmos 1", "Cosmos 1", {"blocks.block1.blocks.0.block.attn.to_q.0.weight": (), "x_embedder.proj.1.weight": ()}
    ),
    # Lumina 2, and what grew from it
    Known(
        "Z-Image",
        "Z-Image",
        {
            "noise_refiner.0.attention_norm1.weight": (3840,),
            "layers.0.adaLN_modulation.0.weight": (),
            "cap_embedder.0.weight": (2560,),
        },
    ),
    Known(
        "Lumina 2 / NetaYume",
        "Lumina 2",
        {
            "noise_refiner.0.attention_norm1.weight": (2304,),
            "layers.0.adaLN_modulation.1.weight": (),
            "cap_embedder.0.weight": (2304,),
        },
    ),
    Known(
        "Lumina 2 / NetaYume",
        "Lumina 2",
        {"noise_refiner.0.ffn_norm1.weight": (2304,), "time_caption_embed.caption_embedder.0.weight": (2304,)},
    ),
    # by one maker each
    Known("Krea 2", "Krea 2", {"txtfusion.projector.weight": (), "blocks.0.attn.wq.weight": ()}),
    Known("Krea 2", "Krea 2", {"text_fusion.projector.weight": (), "time_mod_proj.weight": ()}),
    Known(
        "Ernie-Image",
        "Ernie-Image",
        {"layers.0.mlp.linear_fc2.weight": (), "layers.0.adaLN_sa_ln.weight": (4096,), "text_proj.weight": ()},
    ),
    Known(
        "HiDream-I1",
        "HiDream",
        {"double_stream_blocks.0.block.adaLN_modulation.1.bias": (), "caption_projection.0.linear.weight": ()},
    ),
    Known("AuraFlow", "AuraFlow", {"double_layers.0.attn.w1q.weight": (), "cond_seq_linear.weight": ()}),
    Known("AuraFlow", "AuraFlow", {"joint_transformer_blocks.0.attn.add_q_proj.weight": (), "register_tokens": ()}),
    Known("PiD", "PiD", {"lq_proj.latent_proj.0.weight": ()}),
    Known("LTX-Video", "LTX-Video", {"patchify_proj.weight": (), "transformer_blocks.0.scale_shift_table": ()}),
    Known("Mochi 1", "Mochi 1", {"blocks.0.attn.qkv_x.weight": ()}),
    Known("HunyuanDiT", "HunyuanDiT", {"mlp_t5.0.weight": (), "blocks.0.attn1.Wqkv.weight": ()}),
    Known(
        "PixArt",
        "PixArt",
        {"t_block.1.weight": (), "blocks.0.mlp.fc1.weight": (), "blocks.0.cross_attn.kv_linear.weight": ()},
    ),
    Known(
        "PixArt",
        "PixArt",
        {
            "adaln_single.linear.weight": (),
            "caption_projection.linear_1.weight": (),
            "pos_embed.proj.weight": (1152, 4),
        },
    ),
    Known("Sana", "Sana", {"blocks.0.mlp.inverted_conv.conv.weight": (), "blocks.0.cross_attn.q_linear.weight": ()}),
    Known("Sana", "Sana", {"transformer_blocks.0.ff.conv_inverted.weight": (), "caption_norm.weight": ()}),
    Known(
        "Stable Cascade", "Stable Cascade", {"clip_txt_mapper.weight": (), "down_blocks.0.0.channelwise.0.weight": ()}
    ),
    Known(
        "Mugen (SDXL, 32 latent channels)",
        "Mugen",
        {"input_blocks.0.0.weight": (None, 32), "out.2.weight": (32,), "label_emb.0.0.weight": ()},
    ),
    Known(
        "Mugen (SDXL, 32 latent channels)",
        "Mugen",
        {"conv_in.weight": (None, 32), "conv_out.weight": (32,), "add_embedding.linear_1.weight": ()},
    ),
    # SD3
    *(Known(name, "SD3", {**_SD3, "pos_embed": sizes}) for name, sizes in _SD3_SIZES.items()),
    Known("SD3", "SD3", _SD3),
    *(Known(name, "SD3", {**_SD3_DIFFUSERS, "pos_embed.pos_embed": sizes}) for name, sizes in _SD3_SIZES.items()),
    # Wan
    *(
        known
        for start in (_WAN, _WAN_DIFFUSERS)
        for known in (
            *(
                Known(name, "Wan", {**start, "patch_embedding.weight": sizes}, holds, (*lacks, *_WAN_VARIANTS))
                for name, (sizes, holds, lacks) in _WAN_SIZES.items()
            ),
            *(
                Known(
                    "Wan 2.1 I2V 14B", "Wan", {**start, "patch_embedding.weight": (5120, 36)}, (image,), _WAN_VARIANTS
                )
                for image in _WAN_IMAGE
            ),
            Known("Wan VACE", "Wan", start, ("vace_blocks.",)),
            Known("Wan", "Wan", start),
        )
    ),
)
_DENOISER_STARTS = ("model.diffusion_model.", "diffusion_model.", "transformer.", "unet.", "model.", "net.", "")
"""What the names of a denoiser's tensors may begin with."""


# ---- VAEs -----------------------------------------------------------------------------------------------------------

_FLUX_VAE = "Flux.1 / SD3 / Chroma / Z-Image / Lumina 2"
_WAN_VAE = "Wan 2.1 / Qwen-Image / Anima / Krea 2"
_VAES: Final[tuple[Known, ...]] = (
    Known(
        "Flux.2 / Ernie-Image / Mugen",
        "Flux.2 / Ernie-Image / Mugen",
        {"bn.running_mean": (128,), "decoder.conv_in.weight": (None, 32, 3, 3)},
    ),
    Known(
        _FLUX_VAE,
        _FLUX_VAE,
        {"decoder.conv_in.weight": (512, 16, 3, 3), "encoder.conv_out.weight": (32, 512)},
        lacks=("quant_conv.",),
    ),
    Known(_WAN_VAE, _WAN_VAE, {"decoder.middle.0.residual.0.gamma": (), "decoder.conv1.weight": (384, 16)}),
    Known(
        _WAN_VAE,
        _WAN_VAE,
        {"decoder.mid_block.resnets.0.norm1.gamma": (), "decoder.conv_in.weight": (384, 16, 3, 3, 3)},
    ),
    Known("Wan 2.2 5B", "Wan", {"decoder.middle.0.residual.0.gamma": (), "decoder.conv1.weight": (1024, 48)}),
    Known(
        "Wan 2.2 5B",
        "Wan",
        {"decoder.mid_block.resnets.0.norm1.gamma": (), "decoder.conv_in.weight": (1024, 48, 3, 3, 3)},
    ),
    Known("Sana", "Sana", {"decoder.stages.1.op_list.0.main.conv.conv.bias": (), "encoder.project_in.conv.bias": ()}),
    Known("Sana", "Sana", {"decoder.conv_in.weight": (1024, 32, 3, 3), "encoder.down_blocks.0.0.conv1.weight": ()}),
)
_VAE_STARTS = ("", "first_stage_model.", "vae.")


# ---- text encoders --------------------------------------------------------------------------------------------------

_LAYER = "layers.0.self_attn."
_SEES = ("visual.",)
_T5 = "encoder.block.0.layer.0.SelfAttention.q.weight"
_BIAS_OF_NEXT = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"
_QWEN_3 = {f"{_LAYER}q_norm.weight": (128,), f"{_LAYER}q_proj.weight": ()}
_TEXT_ENCODERS: Final[tuple[Known, ...]] = (
    Known("UMT5-XXL (Wan)", "T5", {_T5: (4096,), _BIAS_OF_NEXT: (), "shared.weight": (256384, 4096)}),
    Known("UMT5-XXL (Wan)", "T5", {"blocks.0.attn.q.weight": (4096,), "token_embedding.weight": (256384, 4096)}),
    Known("Pile-T5-XL (AuraFlow)", "T5", {_T5: (2048,), _BIAS_OF_NEXT: ()}),
    Known("T5-XXL (Flux.1, SD3, Chroma)", "T5", {_T5: (4096,), "shared.weight": (32128, 4096)}),
    *(
        Known(name, "Qwen", {**_QWEN_3, "norm.weight": (width,)}, lacks=("_feedforward_layernorm.", "post_ffw", *_SEES))
        for name, width in {
            "Qwen3 0.6B (Anima)": 1024,
            "Qwen3 4B (Z-Image, Flux.2 Klein 4B)": 2560,
            "Qwen3 8B (Flux.2 Klein 9B)": 4096,
        }.items()
    ),
    Known(
        "Qwen3-VL 4B (Krea 2)", "Qwen", {**_QWEN_3, "norm.weight": (2560,)}, holds=("visual.deepstack_merger_list.",)
    ),
    Known(
        "Qwen2.5-VL 7B (Qwen-Image)",
        "Qwen",
        {f"{_LAYER}q_proj.bias": (3584,), "norm.weight": (3584,)},
        holds=("visual.",),
    ),
    Known(
        "Qwen2.5 7B (Qwen-Image)", "Qwen", {f"{_LAYER}q_proj.bias": (3584,), "norm.weight": (3584,)}, lacks=("visual.",)
    ),
    Known(
        "Gemma 2 2B (Lumina 2)",
        "Gemma",
        {"layers.0.post_feedforward_layernorm.weight": (2304,), "norm.weight": (2304,)},
    ),
    Known(
        "Gemma 3 4B",
        "Gemma",
        {"layers.0.post_feedforward_layernorm.weight": (2560,), f"{_LAYER}q_norm.weight": (256,)},
    ),
    Known(
        "Ministral 3 3B (Ernie-Image)",
        "Mistral",
        {f"{_LAYER}q_proj.weight": (4096, 3072), "norm.weight": (3072,)},
        lacks=("q_norm.",),
    ),
    Known(
        "Mistral Small 24B (Flux.2 dev)", "Mistral", {f"{_LAYER}q_proj.weight": (4096, 5120), "norm.weight": (5120,)}
    ),
    Known(
        "Llama 3.1 8B (HiDream, HunyuanVideo)",
        "Llama",
        {f"{_LAYER}k_proj.weight": (1024, 4096), "norm.weight": (4096,)},
        lacks=("q_norm.",),
    ),
)
_TEXT_ENCODER_STARTS = (
    "", "model.", "transformer.", "language_model.", "language_model.model.", "model.language_model.",
    "transformer.model.",
)  # fmt: skip
_AS_GGUF: Mapping[str, str] = MappingProxyType(
    {
        "enc.blk.0.attn_q.weight": _T5,
        "enc.blk.1.attn_rel_b.weight": _BIAS_OF_NEXT,
        "token_embd.weight": "shared.weight",
        "blk.0.attn_q_norm.weight": f"{_LAYER}q_norm.weight",
        "blk.0.attn_q.weight": f"{_LAYER}q_proj.weight",
        "blk.0.attn_q.bias": f"{_LAYER}q_proj.bias",
        "blk.0.attn_k.weight": f"{_LAYER}k_proj.weight",
        "blk.0.post_ffw_norm.weight": "layers.0.post_feedforward_layernorm.weight",
        "output_norm.weight": "norm.weight",
    }
)
"""Tensors of text encoders as llama.cpp names them -> as transformers does."""


def denoiser_of(tensors: Tensors) -> Known | None:
    """The model that these tensors are, or the denoiser of which is among them; None if it is not known."""
    return _found(_DENOISERS, _DENOISER_STARTS, tensors)


def vae_of(tensors: Tensors) -> Known | None:
    """The VAE that these tensors are, of those that are not Stable Diffusion's; None if it is not known."""
    return _found(_VAES, _VAE_STARTS, tensors)


def text_encoder_of(tensors: Tensors) -> Known | None:
    """The text encoder that these tensors are; None if it is not known."""
    named = {_AS_GGUF.get(name, name): info for name, info in tensors.items()}
    return _found(_TEXT_ENCODERS, _TEXT_ENCODER_STARTS, named)


def _found(rows: tuple[Known, ...], starts: tuple[str, ...], tensors: Tensors) -> Known | None:
    names = "\n".join(tensors)
    for start in starts:
        own = {_plain(name.removeprefix(start)): info for name, info in tensors.items() if name.startswith(start)}
        row = next((row for row in rows if row.is_in(own, names)), None)
        if row is not None:
            return row
    return None


def _plain(name: str) -> str:
    """A packed weight's name as that of the weight."""
    return f"{name.removesuffix('.qweight')}.weight" if name.endswith(".qweight") else name
