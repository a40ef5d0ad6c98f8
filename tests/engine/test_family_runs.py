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
from trainer.config.size import Size
from trainer.data.latents import encode_samples
from trainer.data.pairs.pair import open_pair
from trainer.data.pairs.scan import scan_pairs
from trainer.data.scan import scan
from trainer.diffusion.random import StepRandom
from trainer.engine.run import run
from trainer.job import Account, Control, Event, Job, Preview, Step, Warned
from trainer.models.base import Bundle, Conditioning
from trainer.models.registry import load_bundle
from trainer.modes.base import PassContext
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
        Settings(), mode=mode, model=str(model), lora_data_directory=str(pictures), image_size=Size(64, 64),
        image_min_length=64, image_buckets_step=64, train_iterations=3, train_seed=1, network_rank=2,
        network_alpha=2.0, original_prompt="a cat", target_prompt="a dog", network_train_text_encoder=True,
        effect_strip=False, save_lora_name="made",
    )  # fmt: skip
    return replace(base, **changes)


def scene_of(given: Settings, bundle: Bundle) -> PassContext:
    scanned = {
        "LoRA": lambda: scan(given),
        "Multi-ADDifT": lambda: scan_pairs(given),
        "ADDifT": lambda: open_pair(given).placed(given, (64, 64)),
        "Difference": lambda: open_pair(given).placed(given, (64, 64)),
    }.get(given.mode)
    data = encode_samples(scanned(), bundle, given, lambda *_event: None) if scanned else None
    network = build(
        targets_of(bundle, given, trains_text=mode_of(given.mode).trains_text_encoder(given, ["a caption"])),
        builder(given, torch.float32, CPU),
        torch.Generator().manual_seed(5),
    )
    return PassContext(given, bundle, network, bundle.diffusion, data)


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
            loss = training.loss(StepRandom.of_step(1, 1, CPU)).samples.mean()
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
    told, (names,) = told_sizes(given, bundle, 1, monkeypatch)
    assert [dict(zip(names, sizes, strict=True)) for sizes in told] == [
        {"0.png": [80, 64, 8, 0, 64, 64], "1.png": [96, 64, 16, 0, 64, 64]}
    ]


@pytest.mark.parametrize("trains_text", [False, True])
@pytest.mark.parametrize("mode", ["ADDifT", "Multi-ADDifT", "Difference"])
def test_pairs_tell_sdxl_the_size_of_the_original(
    models: dict[str, Path], tmp_path: Path, mode: str, trains_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both sides of a pair and in every turn, with the network and without."""
    for number, name in enumerate(["a.png", "a_after.png"]):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    given = settings(
        models["SDXL"], tmp_path, mode, original_image=str(tmp_path / "a.png"), lora_trigger_word="thing",
        target_image=str(tmp_path / "a_after.png"), diff_target_name="_after", train_batch_size=1,
        network_blocks=Settings().network_blocks if trains_text else Settings().network_blocks[1:],
    )  # fmt: skip
    told, _ = told_sizes(given, load_bundle(models["SDXL"]), 2, monkeypatch)
    rows = [row for prediction in told for row in prediction]
    of_base = 0 if mode == "Difference" else given.train_iterations  # which is asked for every step ahead
    assert rows == [[80, 64, 8, 0, 64, 64]] * (2 + of_base)


def told_sizes(
    given: Settings, bundle: Bundle, steps: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[list[list[int]]], list[tuple[str, ...]]]:
    """The sizes that the U-Net was told, prediction after prediction and sample by sample; the samples of each step."""
    scene = scene_of(given, bundle)
    told: list[Conditioning] = []
    kept = type(bundle.family).predict

    def predict(self: Any, *arguments: Any) -> Tensor:
        told.append(arguments[-1])
        return kept(self, *arguments)

    monkeypatch.setattr(type(bundle.family), "predict", predict)
    training = mode_of(given.mode).passes(given)[0]
    with scene.network.attached(), torch.no_grad():
        training.prepare(scene)
        names = [training.loss(StepRandom.of_step(1, step, CPU)).names for step in range(1, steps + 1)]
    return [conditioning.size_ids.tolist() for conditioning in told if conditioning.size_ids is not None], names


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
    assert len([event for event in events if isinstance(event, Preview)]) == 1
    assert not [event for event in events if isinstance(event, Warned)]
    with safe_open(str(path), "pt") as file:
        metadata, names = file.metadata(), list(file.keys())
    assert tuple(metadata[key] for key in (*KEYS, "modelspec.implementation")) == ARCHITECTURES[family]
    starts = {name.split("_text_model")[0] for name in names if name.startswith("lora_te")}
    assert starts == ({"lora_te1", "lora_te2"} if family.startswith("SDXL") else {"lora_te"})
    assert len(network_from_file(path, load_bundle(models[family]))) * 3 == len(names)


def test_the_text_encoders_learn_at_their_own_rate(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    """Adam's first step is as long as the rate, whatever the gradient; ``up`` begins at zero."""
    given = settings(
        models["SDXL"], pictures, "LoRA", train_iterations=1, train_optimizer="AdamW", train_lr_scheduler="constant",
        train_learning_rate=1e-3, train_textencoder_learning_rate=4e-3, save_precision="fp32",
    )  # fmt: skip
    path, events = trained(given, tmp_path)
    assert [event.rates for event in events if isinstance(event, Step)] == [(1e-3, 4e-3)]
    longest = {"lora_unet": 0.0, "lora_te1": 0.0, "lora_te2": 0.0}
    with safe_open(str(path), "pt") as file:
        for name in file.keys():  # noqa: SIM118
            if name.endswith("lora_up.weight"):
                start = "_".join(name.split("_")[:2])
                longest[start] = max(longest[start], float(file.get_tensor(name).abs().max()))
    assert longest == pytest.approx({"lora_unet": 1e-3, "lora_te1": 4e-3, "lora_te2": 4e-3}, rel=1e-3)


def test_v_prediction_asked_for_is_told(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    """A v-prediction checkpoint without a mark needs the setting; with it, the setting changes nothing. One that has
    inherited its mark needs to be denied it."""
    not_marked = "small-sdxl.safetensors does not say that it predicts the velocity"
    denied = "small-sdxl-v.safetensors predicts the velocity (v-prediction) by its own account"
    for family, choice, sentence, predicts in (
        ("SDXL", "velocity", not_marked, "v"),
        ("SDXL-v", "velocity", "", "v"),
        ("SDXL-v", "noise", denied, "epsilon"),
    ):
        given = settings(
            models[family], pictures, "iLECO", prediction=choice, train_iterations=1,
            save_lora_name=f"{family}-{choice}",
        )  # fmt: skip
        path, events = trained(given, tmp_path)
        with safe_open(str(path), "pt") as file:
            assert file.metadata()["modelspec.prediction_type"] == predicts
        (account,) = (event for event in events if isinstance(event, Account))
        odd = [str(row.text) for row in account.rows if row.is_odd and "prediction is" in str(row.text)]
        assert [each.startswith(sentence) for each in odd] == ([True] if sentence else [])
        assert any(
            f"the settings say so (prediction: {choice})." in str(row.text) for row in account.rows if not row.is_odd
        )
