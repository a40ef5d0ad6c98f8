"""Room on the disks for what a pass is going to write, looked at before its first step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from ..claims import MOST_STEP_BYTES
from ..config.sample_prompts import SamplePrompt
from ..config.settings import Settings
from ..errors import OutputError
from ..paths import Folders
from ..text.messages import Message, message
from .plan import Plan

_HEADER = 200_000
"""Bytes a LoRA file has beside its tensors: their names, the settings, counts of tags."""
_STATE_BYTES = 12
"""Of a trained number in a state: itself and two more that most optimizers remember of it, in single precision."""
_AVERAGE_BYTES = 4
"""The same, of its average."""
_PREVIEW_BYTES = 1.5
"""Of a pixel of a preview, in the middle of what photographs take as PNG."""


def room_needed(
    numbers: int,
    dtype: torch.dtype,
    settings: Settings,
    plan: Plan,
    *,
    saved: bool,
    prompts: Sequence[SamplePrompt] = (),
) -> tuple[int, int, int]:
    """Bytes for one LoRA, for all LoRAs of a pass, and for its states, its previews and the LoRAs beside these.

    Args:
        numbers: that are trained.
        dtype: the precision of the LoRA's file.
        plan: the pass's.
        saved: whether the pass saves its network.
        prompts: of its previews.
    """
    one = numbers * torch.empty((), dtype=dtype).element_size() + _HEADER
    loras = one * (len(plan.saves) + 1) if saved else 0
    previews = settings.sample_at_start + len(plan.previews)
    pixels = sum(prompt.size(settings.size).area for prompt in prompts) * len(settings.sample_strengths)
    remembered = _STATE_BYTES + _AVERAGE_BYTES * bool(settings.train_ema_decay)
    states = 2 * remembered * numbers if settings.state_every_minutes else 0  # the new one beside the old one
    steps = min(one * len(plan.film), MOST_STEP_BYTES)
    return one, loras, states + steps + int(previews * pixels * _PREVIEW_BYTES)


def warnings(
    numbers: int,
    dtype: torch.dtype,
    settings: Settings,
    plan: Plan,
    folders: Folders,
    *,
    saved: bool,
    prompts: Sequence[SamplePrompt] = (),
) -> Iterable[Message]:
    """What the user should know of the room on the disks before a pass begins.

    Raises:
        OutputError: not even the finished LoRA has room.
    """
    one, loras, others = room_needed(numbers, dtype, settings, plan, saved=saved, prompts=prompts)
    needs: dict[int, tuple[Path, int]] = {}
    for folder, size in ((folders.loras, loras), (folders.data, others)):
        disk = _there(folder)
        number = os.stat(disk).st_dev
        needs[number] = (needs.get(number, (folder, 0))[0], needs.get(number, (folder, 0))[1] + size)
    free = shutil.disk_usage(_there(folders.loras)).free
    if saved and free < one:
        raise OutputError("engine.no_room", where=str(folders.loras), free=_mb(free), size=_mb(one))
    for folder, size in needs.values():
        free = shutil.disk_usage(_there(folder)).free
        if free < size:
            yield message("engine.little_room", folder=folder, free=_mb(free), size=_mb(size))


def _there(folder: Path) -> Path:
    """The folder, or the one above it that is there."""
    return next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"
