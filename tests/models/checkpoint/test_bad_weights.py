"""Checkpoints that look right by their names, and whose numbers are no good: a sentence, before anything is saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.checkpoints import GROUPS, TEXT, UNET, sd1_tensors, write_checkpoint, write_safetensors
from tests.helpers.home import host_in
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.run import run
from trainer.errors import DivergedError, ModelError, UserError
from trainer.job import Control, Event, Failed, Job
from trainer.models.registry import load_bundle


def train(model: Path, folder: Path, **changes: Any) -> None:
    host = host_in(folder)
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        train_iterations=2, train_seed=1, save_lora_name="x", network_rank=4, network_blocks=("M00",),
        effect_strip=False, **changes,
    )  # fmt: skip
    events: list[Event] = []
    try:
        run(Job.create(settings), host, Control(), events.append)
    finally:
        assert isinstance(events[-1], Failed)
        assert not list((folder / "loras").glob("*"))


BESIDE = {
    "nf4": (".absmax", "4 bits by bitsandbytes (nf4, fp4)"),
    "bitsandbytes int8": (".SCB", "int8 by bitsandbytes"),
    "scaled fp8": (".scale_weight", "scaled fp8"),
    "ComfyUI": (".comfy_quant", "a format of ComfyUI's"),
    "GPTQ": (".qweight", "4 or 8 bits by GPTQ or AWQ"),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_quantised_weights_are_refused_by_name(name: str, ending: str, tmp_path: Path) -> None:
    beside, what = BESIDE[name]
    tensors = sd1_tensors(dtype=torch.float16)
    linear = f"{UNET}input_blocks.1.1.transformer_blocks.0.ff.net.2"
    tensors[linear + beside] = torch.ones(4)
    path = tmp_path / f"it.{ending}"
    (write_safetensors if ending == "safetensors" else write_checkpoint)(path, tensors)
    with pytest.raises(ModelError) as caught:
        load_bundle(path)
    assert str(caught.value) == (
        f"it.{ending} is quantised to {what}, which cannot be trained on. "
        "Choose the model in fp16, bf16 or fp32; int8 as model precision makes it as small for training."
    )


def spoilt(name: str, value: float) -> dict[str, Tensor]:
    tensors = sd1_tensors()
    tensors[name][0] = value
    return tensors


@pytest.mark.parametrize(
    ("name", "value", "precision", "where"),
    [
        (
            f"{UNET}middle_block.0.in_layers.2.weight",
            torch.nan,
            "fp16",
            "mid_block.resnets.0.conv1.weight of the U-Net",
        ),
        (f"{UNET}middle_block.0.in_layers.2.weight", torch.nan, "int8", "mid_block.resnets.0.conv1.scale of the U-Net"),
        (f"{UNET}out.2.bias", torch.inf, "model", "conv_out.bias of the U-Net"),
        (f"{TEXT}final_layer_norm.weight", torch.nan, "model", "final_layer_norm.weight of the text encoder"),
    ],
    ids=["U-Net", "U-Net as int8", "infinite", "text encoder"],
)
def test_weights_that_are_no_numbers(name: str, value: float, precision: str, where: str, tmp_path: Path) -> None:
    """Found at the first loss that is no number: the checkpoint is named, not the learning rate."""
    path = write_safetensors(tmp_path / "broken.safetensors", spoilt(name, value), GROUPS)
    with pytest.raises(ModelError) as caught:
        train(path, tmp_path, train_model_precision=precision)
    sentence = str(caught.value).replace("text_model.", "")  # a level that older transformers have
    assert sentence == (
        f"broken.safetensors has NaN or infinite weights ({where}). "
        "Choose another copy of it, or fp32 as model precision if fp16 was too narrow for it."
    )


def test_a_sound_model_is_not_blamed(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "sound.safetensors", sd1_tensors(), GROUPS)
    with pytest.raises(DivergedError, match="Lower the learning rate"):
        train(path, tmp_path, train_learning_rate=1e30, train_lr_scheduler="constant", train_optimizer="Lion")


def test_what_a_host_has_put_in_torchs_place_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A1111 leaves its own way of loading in these classes where its extension for LoRAs is switched off."""

    def theirs(*_arguments: Any) -> None:
        raise AssertionError("the host's way of loading was asked")

    path = write_checkpoint(tmp_path / "sound.safetensors", sd1_tensors())
    for kind in (torch.nn.Module, torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm):
        monkeypatch.setattr(kind, "_load_from_state_dict", theirs, raising=False)
    bundle = load_bundle(path)
    assert not any(tensor.is_meta or tensor.requires_grad for tensor in bundle.denoiser.parameters())


def test_the_machines_memory_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the weights are copied; the sentence reaches the listener before the exception does."""
    path = write_safetensors(tmp_path / "large.safetensors", sd1_tensors(dtype=torch.float16), GROUPS)

    def full(*_arguments: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("trainer.models.checkpoint.weights._changed", full)
    with pytest.raises(UserError, match=r"^There is not enough memory\. "):
        train(path, tmp_path)
