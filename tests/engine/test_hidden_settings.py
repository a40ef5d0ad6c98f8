"""What a mode does not show changes nothing of what it trains, whatever has been left in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.helpers.home import host_in
from tests.helpers.other_values import OTHER
from trainer.config.choices import MODES, SECOND_PASS_GROUPS, WITH_SECOND_PASS
from trainer.config.settings import ROWS, Settings
from trainer.config.size import DEFAULT_SIZE, Size
from trainer.engine.run import run
from trainer.job import Control, Event, Job, Saved, Warned
from trainer.networks.files import file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.png`` and ``a_after.png`` of 64 pixels a side, differing all over."""
    folder = tmp_path_factory.mktemp("pairs")
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(255 - pixels).save(folder / "a_after.png")
    return folder


def settings(mode: str, model: Path, folder: Path, **changes: Any) -> Settings:
    """Of one step; what the mode does not show holds the table's default."""
    shown = {
        "original_prompt": "red", "target_prompt": "blue", "original_image": str(folder / "a.png"),
        "target_image": str(folder / "a_after.png"), "lora_trigger_word": "thing", "lora_data_directory": str(folder),
        "diff_target_name": "_after", "image_min_length": 64, "network_train_text_encoder": True,
    }  # fmt: skip
    groups = MODES[mode].groups
    here = {row.name: shown[row.name] for row in ROWS if row.name in shown and row.group in groups}
    base = Settings(
        mode=mode, model=str(model), network_rank=2, network_blocks=("BASE", "M00"), image_size=Size(64, 64),
        train_iterations=1, train_batch_size=1, train_seed=3, save_lora_name="x", save_precision="fp32",
        effect_strip=False, sample_every_steps=0, **here,
    )  # fmt: skip
    return replace(base, **changes)


def trained(given: Settings, folder: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The LoRA's tensors, and what was warned of."""
    events: list[Event] = []
    run(Job.create(given), host_in(folder), Control(), events.append)
    (path,) = [event.path for event in events if isinstance(event, Saved)]
    return file.read(path)[0], [str(event.message) for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize("mode", MODES)
def test_what_is_left_over_trains_the_same(mode: str, models: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    groups = {*MODES[mode].groups, *(SECOND_PASS_GROUPS if mode in WITH_SECOND_PASS else ())}
    left_over = {row.name: OTHER[row.name] for row in ROWS if row.group not in groups}
    assert left_over
    plain = settings(mode, models["SD1"], folder)
    tensors, warnings = trained(plain, tmp_path / "plain")
    others, others_warnings = trained(
        replace(plain, **left_over, second_pass=Settings(network_rank=4, train_iterations=2)), tmp_path / "left over"
    )
    assert others.keys() == tensors.keys()
    assert all(torch.equal(others[name], tensors[name]) for name in tensors)
    assert others_warnings == warnings


@pytest.mark.parametrize("mode", [name for name, mode in MODES.items() if mode.images == "pair"])
@pytest.mark.parametrize(("chosen", "size"), [(None, "64x64"), (Size(128, 128), "128x128")])
def test_a_pair_is_trained_at_its_own_size_or_the_chosen_one(
    mode: str, chosen: Size | None, size: str, models: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    run(
        Job.create(settings(mode, models["SD1"], folder, image_size=chosen)),
        host_in(tmp_path),
        Control(),
        events.append,
    )
    (path,) = [event.path for event in events if isinstance(event, Saved)]
    assert file.read(path)[1]["modelspec.resolution"] == size


def test_a_pair_for_sdxl_is_trained_at_512_if_that_is_chosen(models: dict[str, Path], tmp_path: Path) -> None:
    for number, name in enumerate(("a.png", "a_after.png")):
        pixels = np.random.default_rng(number).integers(0, 255, (640, 640, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    given = settings("ADDifT", models["SDXL"], tmp_path, image_size=DEFAULT_SIZE, network_blocks=("M00",))
    events: list[Event] = []
    run(Job.create(given), host_in(tmp_path), Control(), events.append)
    (path,) = [event.path for event in events if isinstance(event, Saved)]
    assert file.read(path)[1]["modelspec.resolution"] == "512x512"
