"""Names: which of the model's modules a network trains, and what a file calls them.

Modules are chosen by their path in diffusers' and transformers' modules, never by class name, which changes between
versions of those libraries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from torch import nn

from ..checkpoint.parts import DENOISER, TEXT_ENCODER, text_encoder_part
from ..lora_target import Target
from .blocks import unet_block

_TRANSFORMER = re.compile(r"\.attentions\.\d+\.")
_AROUND = re.compile(r"\.(resnets|downsamplers|upsamplers)\.\d+\.")
_ELEMENTS = {"Full": "", "CrossAttention": ".attn2.", "SelfAttention": ".attn1."}
_READ_PROMPT = (".attn2.to_k", ".attn2.to_v")
_TEXT_QUERY_KEY_VALUE = re.compile(r"^(.+\.self_attn)\.[qkv]_proj$")
_TEXT_LAYER = re.compile(r"^(?:text_model\.)?(encoder\.layers\.\d+\.(?:self_attn|mlp)\..+)$")
_LAYER = re.compile(r"(down|mid|up)_blocks?\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_SGM_RESIDUAL = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_SGM_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


# ---- what is trained ------------------------------------------------------------------------------------------------


def unet_targets(
    unet: nn.Module, blocks: Collection[str], element: str, *, include_resnets: bool = False, sgm: bool = False
) -> list[Target]:
    """The modules in ``blocks`` that a network is attached to.

    Args:
        unet: diffusers' U-Net.
        blocks: names such as ``IN01``; see :func:`unet_block`. Those the U-Net does not have are passed over.
        element: ``Full``, ``CrossAttention`` (only ``attn2``) or ``SelfAttention`` (only ``attn1``). The last two are
            about attention alone: with them nothing around the transformers is trained, whatever ``include_resnets``
            says.
        include_resnets: not only the linears and 1×1 convolutions of the transformers (lierla), but also everything in
            the residual, down- and up-sampling blocks (c3lier, loha).
        sgm: name them by the paths of the original code.
    """
    wanted = _ELEMENTS[element]
    layers = layers_per_block(unet)
    targets = []
    for path, module in unet.named_modules():
        if not isinstance(module, (nn.Linear, nn.Conv2d)) or unet_block(path, layers) not in blocks:
            continue
        transformer = _TRANSFORMER.search(path) and wanted in path
        if transformer or (include_resnets and not wanted and _AROUND.search(path)):
            targets.append(_unet_target(unet, path, module, unet_name(sgm_path(path, unet) if sgm else path)))
    return targets


def _unet_target(unet: nn.Module, path: str, module: nn.Module, name: str) -> Target:
    before, within, _ = path.partition(".transformer_blocks.")
    depth = len(unet.get_submodule(before + within.rstrip("."))) if within else 1  # type: ignore[arg-type]
    return Target(name, module, DENOISER, depth, reads_prompt=path.endswith(_READ_PROMPT), reads=_input_of(path))


def _input_of(path: str) -> str:
    """The attention whose hidden states or prompt a module projects; see :attr:`Target.reads`."""
    attention, _, projection = path.rpartition(".to_")
    if attention.endswith(".attn2"):
        return attention if projection in ("k", "v") else ""
    return attention if projection in ("q", "k", "v") else ""


def text_targets(text_encoder: nn.Module, prefix: str = "lora_te", part: str = TEXT_ENCODER) -> list[Target]:
    """The linears of a CLIP text encoder's attention and feed-forward layers.

    File names always carry ``text_model``, which transformers 5 no longer has in its paths.

    Args:
        prefix: what their names begin with.
        part: which text encoder it is.
    """
    linears = {
        found[1]: module
        for path, module in text_encoder.named_modules()
        if (found := _TEXT_LAYER.match(path)) and isinstance(module, nn.Linear)
    }
    depth = len({path.split(".")[2] for path in linears})  # encoder.layers.NUMBER
    return [
        Target(
            f"{prefix}_text_model_{path.replace('.', '_')}", module, part, depth,
            reads=f"{prefix}.{found[1]}" if (found := _TEXT_QUERY_KEY_VALUE.match(path)) else "",
        )
        for path, module in linears.items()
    ]  # fmt: skip


def all_text_targets(text_encoders: Sequence[nn.Module]) -> list[Target]:
    """Those of every text encoder of a model; with two of them names tell which."""
    found = []
    for number, text_encoder in enumerate(text_encoders):
        prefix = f"lora_te{number + 1}" if len(text_encoders) > 1 else "lora_te"
        found += text_targets(text_encoder, prefix, text_encoder_part(number))
    return found


def _projections(text_encoders: Sequence[nn.Module]) -> list[Target]:
    """What projects a pooled prompt, which others train as well."""
    return [
        Target(f"lora_te{number + 1}_text_projection", projection, text_encoder_part(number))
        for number, text_encoder in enumerate(text_encoders)
        if isinstance(projection := getattr(text_encoder, "text_projection", None), nn.Linear)
    ]


# ---- what a file calls it -------------------------------------------------------------------------------------------


def known_names(unet: nn.Module, text_encoders: Sequence[nn.Module], *, sgm: bool) -> dict[str, Target]:
    """Every module that any LoRA file may change, under every name that files have for it.

    U-Net modules have two names, by diffusers' path and by the original code's; :attr:`Target.name` is the one written
    for this family, whichever was read.

    Args:
        sgm: the one by the original code's path is written.
    """
    known = {}
    for path, module in unet.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            names = unet_name(path), unet_name(sgm_path(path, unet))
            target = _unet_target(unet, path, module, names[1] if sgm else names[0])
            known.update(dict.fromkeys(names, target))
            if path.endswith(".to_out.0"):  # as older diffusers calls what it attaches there
                known[unet_name(path.removesuffix(".0"))] = target
    text = [*all_text_targets(text_encoders), *_projections(text_encoders)]
    known.update({target.name: target for target in text})
    known.update({target.name.replace("lora_te1_", "lora_te_"): target for target in text})
    known.update(
        {name.replace("_text_model_", "_"): target for name, target in known.items() if "_text_model_" in name}
    )
    return known


def unet_name(path: str) -> str:
    """The kohya name of a U-Net module: ``lora_unet_`` and its path with ``_`` for ``.``."""
    return "lora_unet_" + path.replace(".", "_")


def sgm_path(path: str, unet: nn.Module) -> str:
    """A module's path in the original code (LDM, SGM), from its path in diffusers' U-Net."""
    found = _LAYER.fullmatch(path)
    if not found:
        return _SGM_ENDS.get(path, path)
    direction, level, kind, index, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
    inner = _SGM_RESIDUAL[rest] if kind == "resnets" else rest
    if direction == "mid":
        return f"middle_block.{2 * index if kind == 'resnets' else 1}.{inner}"
    layers = layers_per_block(unet)
    first = level * (layers + 1)
    if kind == "downsamplers":
        return f"input_blocks.{1 + first + layers}.0.op"
    if kind == "upsamplers":
        attends = hasattr(unet.get_submodule(f"up_blocks.{level}"), "attentions")
        return f"output_blocks.{first + layers}.{2 if attends else 1}.conv"
    number = f"input_blocks.{1 + first + index}" if direction == "down" else f"output_blocks.{first + index}"
    return f"{number}.{0 if kind == 'resnets' else 1}.{inner}"


def layers_per_block(unet: nn.Module) -> int:
    """How many residual layers each level of the down path has."""
    resnets = unet.get_submodule("down_blocks.0.resnets")
    assert isinstance(resnets, nn.ModuleList)
    return len(resnets)
