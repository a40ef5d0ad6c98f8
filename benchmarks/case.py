"""One run, measured, in a process of its own: prints a line of JSON.

    python -m benchmarks.case FOLDER '{"model": "full.safetensors", …settings…}' [device]

Memory is what the process has in use beyond what importing the libraries took, pages of mapped files counted; on CUDA
what torch has allocated there.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Phase, Step, Warned
from trainer.paths import Folders
from trainer.text.messages import message

LIBRARIES = (AutoencoderKL, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer)
"""Imported now, lest importing them counts as loading a model."""
WARM_UP = 3
"""Steps left out of the median."""


class Memory:
    """The most memory in use since the start of a phase, in bytes beyond what there was when this was made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = self._status("VmRSS")
        self.restart()

    def restart(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return self._status("VmHWM") - self._before

    @staticmethod
    def _status(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) * 1024


def measure(folder: Path, changes: dict[str, object], device: torch.device) -> dict[str, object]:
    """Run once.

    Returns:
        ``load``: seconds to the first step; ``loaded``: peak bytes until then; ``stepping``: peak bytes from then on;
        ``step``: median seconds a step, on a CPU with one thread those it worked, whatever else the machine did;
        ``losses``; ``notes``: what was said of copies; ``first`` and ``file``: seconds that the process worked until
        the first step was done, and until the LoRA was there.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    settings = replace(Settings(), mode="iLECO", original_prompt="red", target_prompt="blue", effect_strip=False)
    settings = replace(settings, save_lora_name="x", save_overwrite=True, train_seed=1, **changes)  # type: ignore[arg-type]
    host = Standalone(device, Folders(folder / "data", folder / "loras", folder / "models"))
    found: dict[str, object] = {}
    ends: list[float] = []
    losses: list[float] = []
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Phase) and event.message == message("phase.training"):
            found.update(load=time.perf_counter() - start, loaded=memory.peak())
            memory.restart()
            ends.append(clock())
        elif isinstance(event, Step):
            ends.append(clock())
            found.setdefault("first", time.process_time() - worked)
            losses.append(event.loss)
            found["stepping"] = memory.peak()
        elif isinstance(event, Warned):
            notes.append(str(event.message))

    memory, start, worked = Memory(device), time.perf_counter(), time.process_time()
    run(Job.create(settings), host, Control(), listen)
    found["file"] = time.process_time() - worked
    steps = [after - before for before, after in itertools.pairwise(ends)]
    return {**found, "step": statistics.median(steps[WARM_UP:] or steps), "losses": losses, "notes": notes}


if __name__ == "__main__":
    where, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
    if "image_size" in wanted:
        wanted["image_size"] = Size(*wanted["image_size"])
    print(json.dumps(measure(where, wanted, torch.device(*sys.argv[3:] or ["cpu"]))))
