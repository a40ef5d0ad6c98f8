"""Every family × network type × mode: three steps, a lower loss on what they were taken on, a file that others read.

The first tier has each family, network type and mode at least once; ``--all`` has them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.helpers.checkpoints import FAMILIES, small_checkpoint
from tests.helpers.home import host_in
from tests.helpers.some_networks import apply_by_lycoris, predict
from trainer.config.choices import MODES, NETWORK_TYPES
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.diffusion.random import StepRandom
from trainer.engine import passes
from trainer.engine.run import run
from trainer.job import Control, Job
from trainer.models.base import Bundle
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.conditioning import CLIPConditioning
from trainer.networks.base import Network
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file

STEPS = 3
QUICK = {
    ("SD1", "lierla", "LoRA"),
    ("SD1", "c3lier", "iLECO"),
    ("SD2", "loha", "Difference"),
    ("SD2-v", "lierla", "ADDifT"),
    ("SDXL", "c3lier", "Multi-ADDifT"),
    ("SDXL", "loha", "LoRA"),
    ("SDXL-v", "lierla", "iLECO"),
}


def kinds() -> Iterator[Any]:
    for family, network_type, mode in product(FAMILIES, NETWORK_TYPES, MODES):
        quick = (family, network_type, mode) in QUICK
        yield pytest.param(family, network_type, mode, marks=() if quick else pytest.mark.slow)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model/`` for a checkpoint of each family that is asked for, ``pairs/`` with ``a.png`` and ``a_after.png``."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "model").mkdir()
    (folder / "pairs").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "pairs" / "a.png")
    Image.fromarray(255 - pixels).save(folder / "pairs" / "a_after.png")
    return folder


def job_of(folder: Path, model: Path, network_type: str, mode: str) -> Job:
    pairs = folder / "pairs"
    settings = replace(
        Settings(), mode=mode, model=str(model), network_type=network_type, network_rank=2, network_alpha=2.0,
        network_blocks=("BASE", "IN04", "M00", "OUT03"), original_prompt="red", target_prompt="blue",
        original_image=str(pairs / "a.png"), target_image=str(pairs / "a_after.png"), lora_trigger_word="thing",
        lora_data_directory=str(pairs), diff_target_name="_after", network_train_text_encoder=True,
        image_size=Size(64, 64), image_min_length=64, train_iterations=STEPS, train_batch_size=1,
        train_learning_rate=1e-3, train_lr_scheduler="constant", train_seed=3, save_lora_name="x",
        save_precision="fp32", effect_strip=False,
        hold_unconditional="no",  # what is held is as it should be at first, and its loss can only rise
    )  # fmt: skip
    return Job.create(settings, datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))


@pytest.mark.parametrize(("family", "network_type", "mode"), list(kinds()))
def test_three_steps(
    family: str, network_type: str, mode: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder / "model" / f"small-{family.lower()}.safetensors"
    if not model.exists():
        small_checkpoint(model.parent, family)
    losses: list[tuple[float, float]] = []
    train = passes.train

    def measured(training: Any, network: Network, settings: Settings, **others: Any) -> int:
        before = loss_of(training, settings)
        steps = train(training, network, settings, **others)
        losses.append((before, loss_of(training, settings)))
        return steps

    monkeypatch.setattr(passes, "train", measured)
    host = host_in(tmp_path)
    done = run(job_of(folder, model, network_type, mode), host, Control(), lambda event: None)
    assert done.steps == STEPS
    assert all(after < before for before, after in losses)
    described = file.read(done.path)[1]
    conv = {"conv_dim": "2", "conv_alpha": "2.0"}
    assert (described["ss_network_module"], json.loads(described["ss_network_args"])) == {
        "lierla": ("networks.lora", {}),
        "c3lier": ("networks.lora", conv),
        "loha": ("lycoris.kohya", {**conv, "algo": "loha", "use_tucker": "True"}),
    }[network_type]

    ours, theirs = load_bundle(model), load_bundle(model)
    base = predict(ours)
    with network_from_file(done.path, ours).attached():
        wanted = predict(ours)
    assert not torch.allclose(wanted, base)
    apply_by_lycoris(done.path, theirs)
    torch.testing.assert_close(predict(theirs), wanted, rtol=1e-4, atol=1e-4)


def test_sdxl_holds_no_prompt_in_both_forms(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its text encoders make it, and as zeros; with the text encoders trained."""
    model = small_checkpoint(tmp_path, "SDXL")
    held = {"zeros": 0, "encoded": 0}
    predict_of, train = Bundle.predict, passes.train

    def counted(bundle: Bundle, x: Tensor, timesteps: Tensor, conditioning: CLIPConditioning) -> Tensor:
        if not torch.is_grad_enabled() and len(x) == 6:  # what the batch of four is to match, and half of it is held to
            assert conditioning.pooled is not None
            zeros = int((conditioning.pooled[4:] == 0).all(1).sum())
            held["zeros"] += zeros
            held["encoded"] += 2 - zeros
        return predict_of(bundle, x, timesteps, conditioning)

    def measured(*given: Any, **others: Any) -> int:
        with monkeypatch.context() as patched:
            patched.setattr(Bundle, "predict", counted)
            return train(*given, **others)

    monkeypatch.setattr(passes, "train", measured)
    job = job_of(folder, model, "lierla", "iLECO")
    files = []
    for state in ("automatic", "no"):
        settings = replace(job.settings, hold_unconditional=state, train_batch_size=4, save_lora_name=state)
        files.append(
            run(replace(job, settings=settings), host_in(tmp_path / state), Control(), lambda event: None).path
        )
    assert held["zeros"] + held["encoded"] == STEPS * 2
    assert min(held.values()) > 0
    ours, others = (file.read(path)[0] for path in files)
    assert any(not torch.equal(ours[name], others[name]) for name in ours)


@torch.no_grad()
def loss_of(training: Any, settings: Settings) -> float:
    """On exactly the noise, timesteps and pictures that the steps are taken on."""
    draws = [StepRandom.of_step(settings.train_seed, step, torch.device("cpu")) for step in range(1, STEPS + 1)]
    return sum(float(training.loss(draw).samples.mean()) for draw in draws)
