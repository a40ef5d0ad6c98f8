"""Single-file names, Stable Diffusion 1's and SDXL's, for diffusers' and transformers' weights, and back."""

from __future__ import annotations

import re

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils
from torch import nn

from tests.toy.conditioning import Texts, whole_table

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer.text_model."
XL_TEXT_PREFIXES = ("conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model.")
LOGIT_SCALE = 4.6052  # CLIP's own; nothing here uses it

State = dict[str, torch.Tensor]

_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def _replace_start(name: str, table: dict[str, str]) -> str | None:
    for ours, theirs in table.items():
        if name.startswith(ours + "."):
            return theirs + name[len(ours) :]
    return None


def unet_name(name: str, *, lowest_attends: bool = False) -> str:
    """ "down_blocks.0.resnets.1.conv1.weight" -> "input_blocks.2.0.in_layers.2.weight".

    Args:
        lowest_attends: the lowest level has attention, as SDXL's.
    """
    if match := re.match(r"(.*resnets\.\d)\.(.*)", name):
        name = f"{match[1]}.{_replace_start(match[2], _UNET_RESNET)}"
    if changed := _replace_start(name, _UNET_ENDS):
        return changed
    way, block, kind, layer, rest = _unet_parts(name)
    if kind == "downsamplers":
        return f"input_blocks.{3 * block + 3}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":  # behind the attention, where there is one
        return f"output_blocks.{3 * block + 2}.{1 if block == 0 and not lowest_attends else 2}.{rest}"
    number = 3 * block + layer + (1 if way == "down" else 0)
    side = "input" if way == "down" else "output"
    return f"{side}_blocks.{number}.{0 if kind == 'resnets' else 1}.{rest}"


def _unet_parts(name: str) -> tuple[str, int, str, int, str]:
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.+)", name)
    if match is None:
        raise KeyError(name)
    return match[1], int(match[2]), match[3], int(match[4]), match[5]


def vae_name(name: str, blocks: int = 4) -> str:
    """ "decoder.up_blocks.0.resnets.1.conv1.weight" -> "decoder.up.3.block.1.conv1.weight"."""
    name = re.sub(r"down_blocks\.(\d)\.", r"down.\1.", name)
    name = re.sub(r"up_blocks\.(\d)\.", lambda match: f"up.{blocks - 1 - int(match[1])}.", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
    if match := re.fullmatch(r"(.*)mid_block\.attentions\.0\.(.*)", name):
        name = f"{match[1]}mid.attn_1.{_replace_start(match[2], _VAE_ATTENTION)}"
    name = name.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
    name = name.replace("resnets.", "block.").replace("conv_shortcut", "nin_shortcut")
    return name.replace("conv_norm_out", "norm_out")


_OPEN_CLIP = {
    "embeddings.token_embedding": "token_embedding",
    "final_layer_norm": "ln_final",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def single_file_state(unet: UNet2DConditionModel, vae: AutoencoderKL, texts: Texts) -> State:
    """All weights under their single-file names: Stable Diffusion 1's, with two text models SDXL's."""
    two = len(texts.models) > 1
    state = {UNET_PREFIX + unet_name(name, lowest_attends=two): weight for name, weight in unet.state_dict().items()}
    for name, weight in vae.state_dict().items():
        linear = ".attentions." in name and weight.ndim == 2  # Stable Diffusion has 1 x 1 convolutions there
        state[VAE_PREFIX + vae_name(name)] = weight[:, :, None, None] if linear else weight
    weights = [_text_state(model) for model in texts.models]
    state |= {(XL_TEXT_PREFIXES[0] if two else TEXT_PREFIX) + name: weight for name, weight in weights[0].items()}
    if two:
        state |= {XL_TEXT_PREFIXES[1] + name: weight for name, weight in _as_open_clip(weights[1]).items()}
    return state


def _text_state(model: nn.Module) -> State:
    """A text model's weights, its whole token table among them, without the level that comes and goes."""
    state = {name.removeprefix("text_model."): weight for name, weight in model.state_dict().items()}
    state = {name: w for name, w in state.items() if "token_embedding" not in name and "position_ids" not in name}
    return {**state, "embeddings.token_embedding.weight": whole_table(model)}


def _as_open_clip(state: State) -> State:
    """OpenCLIP's names; queries, keys and values are one matrix there, and the projection stands the other way."""
    found = {"logit_scale": torch.tensor(LOGIT_SCALE)}
    for name, weight in state.items():
        if match := re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", name):
            start = f"encoder.layers.{match[1]}.self_attn."
            parts = [state[f"{start}{part}_proj.{match[3]}"] for part in "qkv"]
            found[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[3]}"] = torch.cat(parts)
        elif name == "text_projection.weight":
            found["text_projection"] = weight.T
        elif name == "embeddings.position_embedding.weight":
            found["positional_embedding"] = weight
        else:
            for ours, theirs in _OPEN_CLIP.items():
                name = name.replace(ours, theirs)
            found[name.replace("encoder.layers.", "transformer.resblocks.")] = weight
    return found


def fill_modules(state: State, unet: UNet2DConditionModel, vae: AutoencoderKL, texts: Texts) -> None:
    """Loads a single file's weights into empty modules, by way of diffusers' own conversion."""
    _load(unet, single_file_utils.convert_ldm_unet_checkpoint(dict(state), unet.config))
    _load(vae, single_file_utils.convert_ldm_vae_checkpoint(dict(state), vae.config))
    converted = [single_file_utils.convert_ldm_clip_checkpoint(dict(state))]
    if len(texts.models) > 1:
        second = texts.models[1]
        converted.append(single_file_utils.convert_open_clip_checkpoint(second, dict(state), XL_TEXT_PREFIXES[1]))
    for model, weights in zip(texts.models, converted, strict=True):
        prefixed = next(iter(model.state_dict())).startswith("text_model.")  # always, until transformers 5
        _load(model, weights if prefixed else {name.removeprefix("text_model."): w for name, w in weights.items()})


def _load(module: nn.Module, state: State) -> None:
    expected = module.state_dict()
    state = {name: weight.reshape(expected[name].shape).float() for name, weight in state.items()}
    # Old versions of transformers keep 0, 1, 2 … with the weights; the file has none.
    positions = {name: value for name, value in expected.items() if name.endswith(".position_ids")}
    module.load_state_dict({**positions, **state}, strict=True)
    module.requires_grad_(False).eval()
