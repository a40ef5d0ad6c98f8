"""Checkpoints whose tensors have other names than the original code's are what they are, and load as that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.checkpoints import (
    CLIP_G,
    GROUPS,
    OPEN_CLIP,
    SDXL,
    UNET,
    family_tensors,
    sd1_shapes,
    sd2_shapes,
    sdxl_shapes,
    sdxl_tensors,
    write_safetensors,
)  # fmt: skip
from trainer.models.checkpoint.identify import Kind, identify
from trainer.models.checkpoint.names import with_own_names
from trainer.models.checkpoint.weights import Source
from trainer.models.registry import check_files, load_bundle
from trainer.models.stable_diffusion import ldm

Tensors = dict[str, Tensor]


def averages_only(tensors: Tensors) -> Tensors:
    """The U-Net as LDM's moving average has it: no dots, and no first ``model.``."""
    return {
        f"model_ema.{name[6:].replace('.', '')}" if name.startswith(UNET) else name: tensor
        for name, tensor in tensors.items()
    } | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(3)}


def under(level: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {f"{level}{name}": tensor for name, tensor in tensors.items()}


NAMED = {
    "averages": averages_only,
    "model.": under("model."),
    "state_dict.": under("state_dict."),
    "module.": under("module."),
    "state_dict.module.": under("state_dict.module."),
    "beside an optimizer": lambda tensors: under("model.")(tensors) | {"optimizer.state.0.exp_avg": torch.zeros(2)},
}


@pytest.mark.parametrize("name", NAMED)
def test_it_is_called_and_loaded_as_what_it_is(tmp_path: Path, name: str) -> None:
    tensors = family_tensors("SD1")
    plain = load_bundle(write_safetensors(tmp_path / "plain.safetensors", tensors, GROUPS))
    path = write_safetensors(tmp_path / "named.safetensors", NAMED[name](tensors), GROUPS)
    assert str(identify(path).label) == "an SD1 checkpoint"
    named = load_bundle(path)
    for part, module in plain.modules.items():
        weights = named.modules[part].state_dict()
        assert all(torch.equal(weights[each], tensor) for each, tensor in module.state_dict().items())


def test_a_pickle_with_the_model_beside_other_things(tmp_path: Path) -> None:
    path = tmp_path / "epoch3.ckpt"
    torch.save({"model": family_tensors("SD1"), "optimizer": {"lr": 1e-4}, "epoch": 3}, path)
    kind = identify(path)
    assert kind.kind is Kind.SD1
    assert Source.of_file(kind).tensors.keys() == family_tensors("SD1").keys()


@pytest.mark.parametrize("shapes", [sd1_shapes(), sd2_shapes(), sdxl_shapes()], ids=["SD1", "SD2", "SDXL"])
def test_every_name_of_an_average_is_known_at_full_size(shapes: dict[str, tuple[int, ...]]) -> None:
    unet = {name: name for name in shapes if name.startswith(UNET)}
    averages = {f"model_ema.{name[6:].replace('.', '')}": name for name in unet}
    assert with_own_names(averages) == unet


def test_where_the_weights_are_there_the_averages_are_left_alone() -> None:
    tensors = {f"{UNET}input_blocks.0.0.weight": 1, "model_ema.diffusion_modelinput_blocks00weight": 2}
    assert with_own_names(tensors) is tensors


def test_metadata_of_null(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "plain.safetensors", family_tensors("SD1"))
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.dumps({**json.loads(content[8 : 8 + length]), "__metadata__": None}).encode()
    path.write_bytes(len(table).to_bytes(8, "little") + table + content[8 + length :])
    assert identify(path).kind is Kind.SD1
    assert len(Source.of_file(identify(path)).tensors) == len(family_tensors("SD1"))


def renamed_second(tensors: Tensors, home: str) -> Tensors:
    """SDXL's second text encoder under transformers' names, which are written out here by hand."""
    found = {name: tensor for name, tensor in tensors.items() if not name.startswith(CLIP_G)}
    width = SDXL.open_clip[0]
    for name, tensor in tensors.items():
        if not name.startswith(CLIP_G):
            continue
        name = name.removeprefix(CLIP_G)
        if "attn.in_proj" in name:
            layer, ending = name.split(".")[2], name.rpartition("_")[2]
            for number, part in enumerate("qkv"):
                key = f"{home}text_model.encoder.layers.{layer}.self_attn.{part}_proj.{ending}"
                found[key] = tensor[number * width : (number + 1) * width].clone()
            continue
        for old, new in (
            ("transformer.resblocks.", "encoder.layers."), ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
            ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2"), ("attn.out_proj", "self_attn.out_proj"),
            ("ln_final", "final_layer_norm"), ("token_embedding", "embeddings.token_embedding"),
            ("positional_embedding", "embeddings.position_embedding.weight"),
        ):  # fmt: skip
            name = name.replace(old, new)
        if name == "text_projection":
            found[f"{home}text_projection.weight"] = tensor.T.contiguous()
        elif name != "logit_scale":
            found[f"{home}text_model.{name}"] = tensor
    return found


@pytest.mark.parametrize("home", [CLIP_G, CLIP_G.replace(".model.", ".transformer.")])
def test_the_second_text_encoder_under_the_names_of_transformers(tmp_path: Path, home: str) -> None:
    tensors = sdxl_tensors()
    plain = load_bundle(write_safetensors(tmp_path / "plain.safetensors", tensors, GROUPS))
    named = load_bundle(write_safetensors(tmp_path / "named.safetensors", renamed_second(tensors, home), GROUPS))
    weights: nn.Module = named.text_encoders[1]
    for name, tensor in plain.text_encoders[1].state_dict().items():
        assert torch.equal(weights.state_dict()[name], tensor), name


def test_sd2s_text_encoder_under_the_names_of_transformers(tmp_path: Path) -> None:
    """As diffusers saves it, without the layer that takes no part."""
    tensors = family_tensors("SD2")
    start = OPEN_CLIP
    inner = {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}
    text = ldm.clip_from_open_clip(inner, last_layer=False)
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith(start)}
    home = "cond_stage_model.transformer.text_model."
    named = {**others, **{home + name: tensor.clone() for name, tensor in text.items() if name != ldm.PROJECTION}}
    plain = load_bundle(write_safetensors(tmp_path / "plain.safetensors", tensors, GROUPS))
    again = load_bundle(write_safetensors(tmp_path / "named.safetensors", named, GROUPS))
    for name, tensor in plain.text_encoders[0].state_dict().items():
        assert torch.equal(again.text_encoders[0].state_dict()[name], tensor), name


def test_a_whole_model_in_one_file_under_diffusers_names(tmp_path: Path) -> None:
    """Some tools merge the parts' files and keep the folders as prefixes."""
    from tests.helpers.checkpoints import write_diffusers

    folder = write_diffusers(tmp_path / "model", "SDXL")
    groups = {"trainyard_config": json.dumps({"vae_norm_groups": 16})}
    single = write_safetensors(tmp_path / "single.safetensors", dict(Source.of_file(identify(folder)).tensors), groups)
    check_files(single)
    one, other = load_bundle(folder), load_bundle(single)
    for part, module in one.modules.items():
        weights = other.modules[part].state_dict()
        assert all(torch.equal(weights[each], tensor) for each, tensor in module.state_dict().items())
