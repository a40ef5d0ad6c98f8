"""What a run costs, as a table: ``python -m benchmarks.table [--full] [--device cuda] [family …]``.

Every case is a process of its own on a checkpoint of random weights, made for it and deleted after. Small models show
what the program itself costs, full ones (``--full``, minutes and up to 15 GB of memory each) what a user waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from tests.helpers.checkpoints import small_checkpoint
from tests.helpers.full_size import numbers_in, shapes_of, write_full_size

ROOT = Path(__file__).resolve().parents[1]


VARIANTS = (
    ("iLECO, lierla, rank 16", {}),
    ("int8", {"train_model_precision": "int8"}),
    ("checkpointing", {"use_gradient_checkpointing": True}),
    ("text encoder too", {"network_train_text_encoder": True}),
    ("c3lier", {"network_type": "c3lier"}),
    ("loha", {"network_type": "loha"}),
)


def measured(folder: Path, changes: dict[str, Any], device: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.case", str(folder), json.dumps(changes), device]
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": paths})
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=["SD1", "SD2", "SDXL"], help="SD1, SD2, SDXL")
    parser.add_argument("--full", action="store_true", help="checkpoints of full size, stored as fp16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pixels", type=int, default=64, help="sides of the picture")
    parser.add_argument("--steps", type=int, help="steps a case, 3 of them for warming up")
    chosen = parser.parse_args(arguments)
    steps = chosen.steps or (6 if chosen.full else 23)
    print("| model | settings | load s | peak GB loading | peak GB stepping | s/step | × time of the first |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for family in chosen.families:
        with tempfile.TemporaryDirectory() as name:
            rows(Path(name), family, chosen, steps)


def rows(folder: Path, family: str, chosen: argparse.Namespace, steps: int) -> None:
    """Print a family's rows."""
    if chosen.full:
        shapes = shapes_of(family)
        path = write_full_size(folder / f"{family}.safetensors", shapes, torch.float16)
        title = f"{family}, {numbers_in(shapes) / 1e9:.2f} G numbers in fp16"
    else:
        path = small_checkpoint(folder, family, dtype=torch.float16)
        title = f"small {family}"
    first = 0.0
    for label, changes in VARIANTS:
        size = [chosen.pixels, chosen.pixels]
        settings = {"model": str(path), "image_size": size, "train_iterations": steps, "network_rank": 16, **changes}
        found = measured(folder, {"train_batch_size": 1, **settings}, chosen.device)
        first = first or found["step"]
        print(
            f"| {title} | {label} | {found['load']:.1f} | {found['loaded'] / 1e9:.2f} | {found['stepping'] / 1e9:.2f} "
            f"| {found['step']:.3f} | {found['step'] / first:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
