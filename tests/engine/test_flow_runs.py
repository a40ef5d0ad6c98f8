"""Whole runs on SDXL rectified flow: what is said of it, what draws its images, what its LoRA's file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from tests.engine.test_family_runs import settings, trained
from tests.helpers.checkpoints import GROUPS, sdxl_tensors, write_safetensors
from trainer.job import Account, Effect, Preview, Step, Warned
from trainer.models.euler import Euler
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.sampler import DDIM


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = json.dumps({**json.loads(GROUPS["trainyard_config"]), "prediction": "flow"})
    path = tmp_path_factory.mktemp("model") / "flowing.safetensors"
    return write_safetensors(path, sdxl_tensors(), {"trainyard_config": config})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two captioned images, which are also a pair."""
    found = tmp_path / "images"
    found.mkdir()
    for name in ("a", "b"):
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(found / f"{name}.png")
        (found / f"{name}.txt").write_text(f"a thing called {name}")
    return found


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("LoRA", {"train_noise_offset": 0.1, "train_debiased_estimation": True, "train_timestep_shift": 0.0}),
        pytest.param(
            "iLECO",
            {"ileco_closed_form": True, "ileco_descriptions": 4, "train_timestep_density": "uniform"},
            marks=pytest.mark.slow,
        ),
        pytest.param("ADDifT", {"train_min_timesteps": 500, "diff_alt_ratio": -1.0}, marks=pytest.mark.slow),
    ],
)
def test_a_run_says_what_it_does_and_draws_with_euler(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, changes: dict[str, Any]
) -> None:
    drawn: list[int] = []
    steps_of = Euler.timesteps
    monkeypatch.setattr(Euler, "timesteps", lambda sampler, steps: drawn.append(steps) or steps_of(sampler, steps))
    monkeypatch.setattr(DDIM, "__init__", lambda *_: pytest.fail("that is for models that predict noise or velocity"))
    given = settings(
        model, folder, mode, original_image=str(folder / "a.png"), target_image=str(folder / "b.png"),
        train_iterations=2, sample_every_steps=1, sample_prompt="a thing --s 3", effect_strip=mode == "ADDifT",
        **changes,
    )  # fmt: skip
    path, events = trained(given, tmp_path)
    assert drawn
    assert [each.path.is_file() for each in events if isinstance(each, Preview)] == [True, True]
    assert any(isinstance(each, Effect) for each in events)
    losses = [each.loss for each in events if isinstance(each, Step)]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    (account,) = (event for event in events if isinstance(event, Account))
    said = [str(row.text) for row in account.rows]
    assert any("It predicts the flow (rectified flow): its metadata says so." in text for text in said)
    assert any("Min-SNR, debiased estimation, noise offset" in text for text in said)
    off = [str(each.message) for each in events if isinstance(each, Warned) and "are off" in str(each.message)]
    if mode == "LoRA":
        (sentence,) = off
        assert sentence.endswith("they are off: train debiased estimation, train noise offset.")
    else:
        assert off == []
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    assert metadata["modelspec.prediction_type"] == "flow"
    assert metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert (metadata["ss_min_snr_gamma"], metadata["ss_noise_offset"]) == ("None", "None")
    assert metadata["ss_debiased_estimation"] == "False"


def test_the_density_of_the_family_is_logit_normal(model: Path) -> None:
    density = load_bundle(model).diffusion.density
    assert density.below(0.45) == pytest.approx(0.5, abs=0.01)  # the median: 1 / (1 + exp(0.2))
    assert load_bundle(model, prediction="noise").diffusion.density.below(0.45) == 0.45
