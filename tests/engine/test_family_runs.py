"""Every family, trained: the loss falls, whole runs write what hosts read, sizes and both text encoders take part."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from tests.helpers.checkpoints import FAMILIES
from tests.helpers.home import host_in
from trainer.config.settings import Settings
from trainer.data.latents import encode_samples
from trainer.data.scan import scan
from trainer.diffusion.schedule import Draw, NoiseSchedule
from trainer.engine.run import run
from trainer.job import Control, Event, Job, Sample, Step, Warned
from trainer.models.base import Bundle, Conditioning
from trainer.models.registry import load_bundle
from trainer.modes.base import Scene
from trainer.modes.registry import mode_of
from trainer.networks.base import build
from trainer.networks.files.read import network_from_file
from trainer.networks.registry import builder, targets_of

CPU = torch.device("cpu")
QUICK = {("SD2-v", "lierla", "LoRA"), ("SDXL", "loha", "LoRA"), ("SDXL-v", "c3lier", "iLECO")}
CASES = [
    pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
    for case in ((f, n, m) for f in FAMILIES for n in ("lierla", "c3lier", "loha") for m in ("LoRA", "iLECO"))
]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of one bucket, cut differently; the first caption is longer than a window."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, height in enumerate([80, 96]):
        pixels = np.random.default_rng(number).integers(0, 256, (height, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "0.txt").write_text("a cat, " * 40)
    (folder / "1.txt").write_text("a dog")
    return folder


def settings(model: Path, pictures: Path, mode: str, **changes: Any) -> Settings:
    base = replace(
        Settings(), mode=mode, model=str(model), lora_data_directory=str(pictures), image_size=(64, 64),
        image_min_length=64, image_buckets_step=64, train_iterations=3, train_seed=1, network_rank=2,
        network_alpha=2.0, original_prompt="a cat", target_prompt="a dog", network_train_text_encoder=True,
        effect_strip=False, save_lora_name="made",
    )  # fmt: skip
    return replace(base, **changes)


def scene_of(given: Settings, bundle: Bundle) -> Scene:
    data = encode_samples(scan(given), bundle, given, lambda *_event: None) if given.mode == "LoRA" else None
    network = build(
        targets_of(bundle, given, trains_text=True),
        builder(given, torch.float32, CPU),
        torch.Generator().manual_seed(5),
    )
    return Scene(given, bundle, network, NoiseSchedule.from_betas(bundle.betas, bundle.prediction_type), data)


@pytest.mark.parametrize(("family", "network", "mode"), CASES)
def test_the_loss_falls_on_a_fixed_batch(
    models: dict[str, Path], pictures: Path, family: str, network: str, mode: str
) -> None:
    given = settings(models[family], pictures, mode, network_type=network, train_snr_gamma=0.0)
    scene = scene_of(given, load_bundle(models[family]))
    (training,) = mode_of(mode).passes(given)
    optimizer = torch.optim.AdamW(
        scene.network.parameters(), lr=3e-4
    )  # few numbers differ by much in iLECO: a large step goes past them
    losses = []
    with scene.network.attached():
        training.prepare(scene)
        for _ in range(5):
            loss = training.loss(Draw.of_step(1, 1, CPU)).samples.mean()
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert losses[-1] < losses[0], losses


@pytest.mark.parametrize("trains_text", [False, True])
def test_lora_tells_sdxl_the_size_of_each_picture(
    models: dict[str, Path], pictures: Path, trains_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = Settings().network_blocks if trains_text else Settings().network_blocks[1:]
    given = settings(models["SDXL"], pictures, "LoRA", network_blocks=blocks)
    bundle = load_bundle(models["SDXL"])
    scene = scene_of(given, bundle)
    told: list[Conditioning] = []
    kept = type(bundle.family).predict

    def predict(self: Any, *arguments: Any) -> Tensor:
        told.append(arguments[-1])
        return kept(self, *arguments)

    monkeypatch.setattr(type(bundle.family), "predict", predict)
    (training,) = mode_of("LoRA").passes(given)
    with scene.network.attached(), torch.no_grad():
        training.prepare(scene)
        names = training.loss(Draw.of_step(1, 1, CPU)).names
    (conditioning,) = told
    assert conditioning.size_ids is not None
    found = dict(zip(names, conditioning.size_ids.tolist(), strict=True))
    assert found == {"0.png": [80, 64, 8, 0, 64, 64], "1.png": [96, 64, 16, 0, 64, 64]}


ARCHITECTURES = {
    "SD1": ("sd_v1", "False", "stable-diffusion-v1/lora", "epsilon", "diffusers"),
    "SD2": ("sd_v2", "True", "stable-diffusion-v2-512/lora", "epsilon", "diffusers"),
    "SD2-v": ("sd_v2", "True", "stable-diffusion-v2-768-v/lora", "v", "diffusers"),
    "SDXL": (
        "sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora", "epsilon",
        "https://github.com/Stability-AI/generative-models",
    ),
    "SDXL-v": (
        "sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora", "v",
        "https://github.com/Stability-AI/generative-models",
    ),
}  # fmt: skip
KEYS = ("ss_base_model_version", "ss_v2", "modelspec.architecture", "modelspec.prediction_type")


def trained(given: Settings, tmp_path: Path) -> tuple[Path, list[Event]]:
    events: list[Event] = []
    host = host_in(tmp_path)
    done = run(Job.create(given), host, Control(), events.append)
    assert done.path is not None
    return done.path, events


@pytest.mark.parametrize(
    "family", [f if f in ("SD2-v", "SDXL-v") else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES]
)
def test_a_whole_run(models: dict[str, Path], pictures: Path, tmp_path: Path, family: str) -> None:
    given = settings(
        models[family], pictures, "LoRA", sample_prompt="a cat", sample_every_steps=2, sample_strengths=(1.0,)
    )
    path, events = trained(given, tmp_path)
    losses = [event.loss for event in events if isinstance(event, Step)]
    assert len(losses) == 3
    assert all(map(math.isfinite, losses))
    assert len([event for event in events if isinstance(event, Sample)]) == 1
    assert not [event for event in events if isinstance(event, Warned)]
    with safe_open(str(path), "pt") as file:
        metadata, names = file.metadata(), list(file.keys())
    assert tuple(metadata[key] for key in (*KEYS, "modelspec.implementation")) == ARCHITECTURES[family]
    starts = {name.split("_text_model")[0] for name in names if name.startswith("lora_te")}
    assert starts == ({"lora_te1", "lora_te2"} if family.startswith("SDXL") else {"lora_te"})
    assert len(network_from_file(path, load_bundle(models[family]))) * 3 == len(names)


def test_v_prediction_asked_for_is_told(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    """A v-prediction checkpoint without a mark needs the setting; with it, the setting changes nothing."""
    sentence = "Nothing in small-sdxl.safetensors says that it is a v-prediction model; it is trained as one because "
    for family in ("SDXL", "SDXL-v"):
        given = settings(
            models[family], pictures, "iLECO", model_v_pred=True, train_iterations=1, save_lora_name=family
        )
        path, events = trained(given, tmp_path)
        with safe_open(str(path), "pt") as file:
            assert file.metadata()["modelspec.prediction_type"] == "v"
        told = [event for event in events if isinstance(event, Warned) and str(event.message).startswith(sentence)]
        assert len(told) == (family == "SDXL")
