"""How long a run takes to start with many images, first and again: ``python -m benchmarks.data_cache [IMAGES]``.

Generated images of 256 x 256 pixels with a caption each, trained at 64 x 64 on a random checkpoint with a tiny VAE, on
the CPU: with a real one, the first start takes far longer, and the second does not.
Each start is a process of its own, from the call to the first step, without importing the libraries. The first makes
everything, the second finds it in the cache; after it, one image is changed; the last start has the cache turned off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.checkpoints import GROUPS, Sizes, sd1_tensors, write_safetensors
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.cache import cache_path
from trainer.paths import Folders

SIDE = 256
MODEL = "tiny.safetensors"
PHASES = ("looking at the images", "loading the model", "encoding the images", "encoding the captions", "in all")


def write_image(path: Path, seed: int) -> None:
    """A smooth image of some kilobytes, as if it had been there for long."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=90)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def folders_in(home: Path) -> Folders:
    return Folders(home / "data", home / "loras", home / "models")


def start(home: Path, cache: float) -> dict[str, float]:
    """Run one step; seconds of each phase until then, and the most memory of the process in MB."""
    import torch

    from benchmarks.case import Memory
    from trainer.engine.run import run
    from trainer.hosts.standalone import Standalone
    from trainer.job import Control, Event, Job, Phase

    settings = replace(
        Settings(), mode="LoRA", model=MODEL, lora_data_directory=str(home / "images"),
        image_size=Size(64, 64), image_min_length=64, image_buckets_step=64, network_rank=1, network_blocks=("M00",),
        train_iterations=1, train_seed=1, effect_strip=False, save_lora_name="x", save_overwrite=True,
        state_every_minutes=0.0, data_cache=cache,
    )  # fmt: skip
    host = Standalone(torch.device("cpu"), folders_in(home))
    host.prepare()
    seconds = dict.fromkeys(PHASES, 0.0)
    now, since = "", time.perf_counter()

    def listen(event: Event) -> None:
        nonlocal now, since
        if isinstance(event, Phase) and str(event.message) != now:
            moment = time.perf_counter()
            if now in seconds:
                seconds[now] += moment - since
            now, since = str(event.message), moment
            if now == "training":
                seconds["in all"] = moment - began

    memory, began = Memory(host.device), time.perf_counter()
    run(Job.create(settings), host, Control(), listen)
    return {**seconds, "MB": memory.peak() / 1e6}


def measured(home: Path, cache: float = 10.0) -> dict[str, float]:
    """:func:`start` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data_cache", "--start", str(home), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(images: int) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name in ("images", "models", "loras"):
            (home / name).mkdir()
        write_safetensors(home / "models" / MODEL, sd1_tensors(Sizes(vae=(8, 8, 16, 16))), GROUPS)
        for number in range(images):
            write_image(home / "images" / f"{number}.jpg", number)
            (home / "images" / f"{number}.txt").write_text(f"a picture of colours, number {number}")
        print(f"{images} images\n\n| start |", " | ".join(PHASES), "| peak MB |")
        print("| --- |" + " --- |" * (len(PHASES) + 1))
        show("first", measured(home))
        show("second", measured(home))
        write_image(home / "images" / f"{images // 2}.jpg", images)
        show("one image changed", measured(home))
        size = cache_path(folders_in(home)).stat().st_size / 1e6
        show("without the cache", measured(home, 0.0))
    print(f"\nThe cache takes {size:.0f} MB.")


def show(name: str, row: dict[str, float]) -> None:
    print(f"| {name} |", " | ".join(f"{row[phase]:.1f}" for phase in PHASES), f"| {row['MB']:.0f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("images", nargs="?", type=int, default=500)
    parser.add_argument("--start", nargs=2)
    options = parser.parse_args()
    if options.start:
        print(json.dumps(start(Path(options.start[0]), float(options.start[1]))))
    else:
        main(options.images)
