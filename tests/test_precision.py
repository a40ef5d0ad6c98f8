"""Which precision is chosen for what is stored where, and that half precision trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from checkpoints import sd1_tensors, write_safetensors
from study import CHECKPOINT
from trainer import run as run_module
from trainer.errors import NotBuiltError, UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Step
from trainer.models.placement import place
from trainer.models.registry import load_bundle
from trainer.paths import Folders
from trainer.precision import Precision, choose_device, choose_precision
from trainer.run import run
from trainer.settings import Settings

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("wanted", "stored", "device", "base", "told"),
    [
        ("fp16", {F16}, CUDA, F16, False),
        ("fp16", {BF16}, CUDA, BF16, False),  # half as stored, no copy
        ("bf16", {F16}, CUDA, F16, False),
        ("fp16", {F32}, CUDA, F16, True),
        ("bf16", {F32}, CUDA, BF16, True),
        ("fp16", {F16, F32}, CUDA, F16, True),
        ("model", {F16}, CUDA, F16, False),
        ("model", {F32}, CUDA, F32, False),
        ("fp32", {F16}, CUDA, F32, True),
        ("fp32", {F32}, CPU, F32, False),
        ("fp16", {F32}, CPU, F32, False),
        ("fp16", {F16}, CPU, F32, True),
        ("model", {BF16}, CPU, F32, True),
    ],
)
def test_base(wanted: str, stored: set[torch.dtype], device: torch.device, base: torch.dtype, told: bool) -> None:
    chosen = choose_precision(replace(Settings(), train_model_precision=wanted), stored, device)
    assert chosen.base is base
    assert bool(chosen.notes) is told
    assert chosen.scales_loss is (base is F16)


def test_network_vae_and_file() -> None:
    settings = replace(
        Settings(), train_lora_precision="bf16", train_VAE_precision="fp16", save_precision="model",
    )  # fmt: skip
    on_gpu = choose_precision(settings, {F16}, CUDA)
    assert (on_gpu.network, on_gpu.vae, on_gpu.saved) == (BF16, F16, F16)
    on_cpu = choose_precision(settings, {F16}, CPU)
    assert (on_cpu.network, on_cpu.vae, on_cpu.saved) == (F32, F32, F16)


def test_int8_is_not_built_yet() -> None:
    with pytest.raises(NotBuiltError, match="int8 is not built yet"):
        choose_precision(replace(Settings(), train_model_precision="int8"), {F16}, CUDA)


def test_devices() -> None:
    assert choose_device("cpu") == CPU
    with pytest.raises(UserError, match="device: nonsense cannot be used here"):
        choose_device("nonsense")


@pytest.fixture(scope="module", params=[F32, F16], ids=["fp32", "fp16"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = '{"unet_norm_groups": 8, "vae_norm_groups": 8}'
    return write_safetensors(path, sd1_tensors(dtype=request.param), {"trainyard_config": config})


def pointers(tensors: Iterator[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def test_weights_are_copied_only_for_another_precision(model: Path) -> None:
    bundle = load_bundle(model)
    stored = bundle.dtypes["unet"]
    before = pointers(bundle.unet.parameters())
    place(bundle, CPU, stored, stored)
    assert pointers(bundle.unet.parameters()) == before
    other = F16 if stored is F32 else F32
    place(bundle, CPU, other, stored)
    assert set(pointers(bundle.unet.parameters())).isdisjoint(before)


@pytest.mark.parametrize("base", [BF16, F16], ids=["bf16", "fp16"])
def test_half_precision_trains_as_float32_does(
    base: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU's half formats, computed on the CPU: same seed, so the losses must follow those of float32."""
    host = Standalone(CPU, Folders(tmp_path / "data", tmp_path / "loras", tmp_path / "models"))
    losses: dict[torch.dtype, list[float]] = {}
    for dtype in (F32, base):
        forced = Precision(dtype, F32, F32, F32, ())
        monkeypatch.setattr(run_module, "choose_precision", lambda *_arguments, forced=forced: forced)
        settings = replace(
            Settings(), mode="iLECO", model=str(CHECKPOINT), original_prompt="red", target_prompt="blue",
            image_size=(64, 64), train_iterations=40, train_learning_rate=3e-3, train_lr_scheduler="constant",
            train_seed=1, save_lora_name="x", save_overwrite=True, network_rank=4, network_alpha=4.0,
            effect_strip=False,
        )  # fmt: skip
        events: list[Event] = []
        run(Job.create(settings), host, Control(), events.append)
        losses[dtype] = [event.loss for event in events if isinstance(event, Step)]
    assert losses[base][:10] == pytest.approx(losses[F32][:10], rel=0.05)
    assert sum(losses[base]) == pytest.approx(sum(losses[F32]), rel=0.1)
    assert sum(losses[base][-10:]) < 0.6 * sum(losses[base][:10])
