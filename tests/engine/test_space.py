"""Room on the disk is looked at before the first step, on a disk that really is small."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.plan import Plan
from trainer.engine.run import run
from trainer.engine.space import room_needed
from trainer.errors import OutputError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Step, Warned
from trainer.paths import Folders

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of that many bytes; skips where none may be made."""
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None:
        pytest.skip("this system has no mount")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no small disk may be made here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([unmount, str(folder)], check=True)


def job(model: Path, **changes: object) -> Job:
    given = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64), network_rank=2, network_blocks=("M00",), train_iterations=4, train_batch_size=1,
        save_lora_name="x", effect_strip=False, train_seed=3,
    )  # fmt: skip
    return Job(replace(given, **changes), CREATED)


def host(folders: Folders) -> Standalone:
    return Standalone(torch.device("cpu"), folders)


def test_a_disk_too_small_for_the_lora_is_told_before_the_first_step(model: Path, folders: Folders) -> None:
    with small_disk(folders.data.parent / "small", 256 * 1024) as disk:
        events: list[Event] = []
        given = job(model, network_rank=64)
        with pytest.raises(OutputError, match=r"The disk has 0\.\d MB left, and the LoRA takes \d+\.\d MB"):
            run(given, host(replace(folders, loras=disk)), Control(), events.append)
        assert not any(isinstance(event, Step) for event in events)
        assert not list(disk.iterdir())


def test_a_disk_too_small_for_all_of_it_is_told_and_the_run_goes_on(model: Path, folders: Folders) -> None:
    with small_disk(folders.data.parent / "small", 700 * 1024) as disk:
        events: list[Event] = []
        given = job(model, save_per_steps=1)
        done = run(given, host(replace(folders, loras=disk)), Control(), events.append)
        told = [str(event.message) for event in events if isinstance(event, Warned)]
        assert any(f"{disk}: this run may write up to" in each for each in told)
        assert done.path is not None


def test_enough_room_is_not_told(model: Path, folders: Folders) -> None:
    events: list[Event] = []
    run(job(model), host(folders), Control(), events.append)
    assert not [event for event in events if isinstance(event, Warned) and "MB left" in str(event.message)]


def test_the_estimate_is_what_is_written(model: Path, folders: Folders) -> None:
    """The LoRAs within their headers; the state not below what AdamW needs."""
    given = job(model, network_rank=32, save_per_steps=2, train_optimizer="AdamW")
    done = run(given, host(folders), Control(), lambda _event: None)
    written = done.path.stat().st_size
    numbers = (written - 100_000) // 2
    plan = Plan(given.settings)
    one, loras, others = room_needed(numbers, torch.float16, given.settings, plan, saved=True)
    assert written <= one <= written + 250_000
    assert loras == 2 * one
    assert others >= 2 * 3 * 4 * numbers
    assert room_needed(numbers, torch.float16, given.settings, plan, saved=False)[1] == 0


def test_the_disk_of_a_folder_that_is_not_there_yet_is_the_one_above(folders: Folders, tmp_path: Path) -> None:
    from trainer.engine.space import warnings

    far = replace(folders, loras=tmp_path / "not" / "yet", data=tmp_path / "neither")
    free = shutil.disk_usage(tmp_path).free
    numbers = free // 2 - 500_000
    if os.stat(tmp_path).st_dev != os.stat(tmp_path.parent).st_dev:
        pytest.skip("two disks")
    told = list(warnings(numbers, torch.float16, Settings(save_per_steps=0), Plan(Settings()), far, saved=True))
    assert len(told) == 1, "LoRAs and states are on one disk, and are added up"
