"""A run with the cache writes the file that a run without it writes, and the next one starts without encoding."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from trainer.cli import main
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data import latents as latents_module
from trainer.data import scan as scan_module
from trainer.data.cache import cache_path
from trainer.engine import run as run_module
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Warned
from trainer.modes import base


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (64, 80, 3), np.uint8)).save(path)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        path.with_suffix(".txt").write_text(f"a cat of kind {number}")
    return folder


def trained(host: Standalone, model: Path, images: Path, name: str, **changes: Any) -> tuple[Path, list[str]]:
    settings = replace(
        Settings(), mode="LoRA", model=str(model), lora_data_directory=str(images), image_size=Size(64, 64),
        image_min_length=64, image_buckets_step=64, network_rank=2, network_element="CrossAttention",
        network_blocks=("M00",), train_iterations=2, train_batch_size=2, train_seed=3, effect_strip=False,
        save_lora_name=name, **changes,
    )  # fmt: skip
    warnings: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, Warned):
            warnings.append(str(event.message))

    done = run(Job.create(settings, datetime(2026, 1, 2, tzinfo=timezone.utc)), host, Control(), emit)
    assert done.path is not None
    return done.path, warnings


def test_runs_are_alike_with_and_without_and_the_second_starts_at_once(
    model: Path, host: Standalone, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(base, "_FEW_ON_CPU", 1)
    without, told = trained(host, model, images, "without", data_cache=0.0)
    assert not cache_path(host.folders).exists()
    first, told_by_first = trained(host, model, images, "first")
    assert cache_path(host.folders).stat().st_size > 3 * 4 * 8 * 8 * 4
    for module, name in ((scan_module, "inspect_image"), (latents_module, "_encode")):
        monkeypatch.setattr(module, name, lambda *_given, **_others: pytest.fail("it is known"))
    second, _ = trained(host, model, images, "second")
    assert told_by_first == told
    for other in (first, second):
        assert {name: each.tolist() for name, each in load_file(other).items()} == {
            name: each.tolist() for name, each in load_file(without).items()
        }
    assert any(tensor.any() for tensor in load_file(without).values())

    capsys.readouterr()
    arguments = ["cache", "--data-dir", str(host.folders.data)]
    assert main(arguments) == 0
    assert ": 7 entries," in capsys.readouterr().out  # three images, their latents, one batch of captions
    assert main([*arguments, "--empty"]) == 0
    assert ": 0 entries," in capsys.readouterr().out
    with pytest.raises(pytest.fail.Exception):
        trained(host, model, images, "third")


def test_much_of_it_is_told_once(model: Path, host: Standalone, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_MUCH_CACHED", 1000)
    told = [trained(host, model, images, name)[1] for name in ("first", "second")]
    assert [any(str(host.folders.data) in each for each in warnings) for warnings in told] == [True, False]


def test_a_cache_that_cannot_be_used_is_told_and_the_run_goes_on(model: Path, host: Standalone, images: Path) -> None:
    cache_path(host.folders).mkdir(parents=True)
    path, told = trained(host, model, images, "x")
    assert path.exists()
    assert any(str(cache_path(host.folders)) in each for each in told)


def test_the_command_says_where_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--data-dir", str(tmp_path)]) == 0
    assert "nothing" in capsys.readouterr().out
