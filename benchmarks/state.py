"""What keeping the state of a run costs its loop: the time of its own thread, and what a write beside it slows down.

    python -m benchmarks.state [MILLION_NUMBERS] [TENSORS]

By default as many numbers as a LoRA of rank 16 for SDXL has, with AdamW: three times that go into a state.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from trainer.config.settings import Settings
from trainer.engine.basis import Basis
from trainer.engine.keeper import PassPosition, StateKeeper
from trainer.engine.reporting import StepLogs
from trainer.hosts.standalone import Standalone
from trainer.job import Job
from trainer.optim import optimizers
from trainer.paths import Folders, RunFiles

EVERY_SECONDS = 300
"""The setting's default."""
CPU = torch.device("cpu")


def unused(*_arguments: object) -> None: ...


def work(seconds: float) -> int:
    """How many products of matrices the loop's thread makes."""
    matrix, count, end = torch.randn(384, 384), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        matrix @ matrix
        count += 1
    return count


def main(millions: float = 23.0, tensors: int = 1680) -> None:
    """Print both costs, and what share of the loop's time they are."""
    size = int(millions * 1e6) // tensors
    parameters = [nn.Parameter(torch.randn(size)) for _ in range(tensors)]
    settings = replace(Settings(), train_optimizer="AdamW", save_lora_name="x")
    optimizer = optimizers.make_optimizer(settings, [{"params": parameters, "lr": 1e-4}])
    for parameter in parameters:
        parameter.grad = torch.randn(size)
    optimizer.step()
    with tempfile.TemporaryDirectory() as folder:
        folders = Folders(Path(folder) / "data", Path(folder) / "loras", Path(folder) / "models")
        folders.models.mkdir()
        (folders.models / "m.safetensors").write_bytes(b"")
        job = Job.create(replace(settings, model=str(folders.models / "m.safetensors")))
        keeper = StateKeeper(job, RunFiles(folders, "x", job.created), CPU, unused, None)
        keeper.begin(Basis(job.settings, [], None, Standalone(CPU, folders)))
        where = PassPosition(1, 1, 1000, (), StepLogs(unused))

        def keep() -> float:
            began = time.perf_counter()
            network = {str(number): each for number, each in enumerate(parameters)}
            keeper.keep(where, {"step": 1, "network": network, "optimizer": optimizers.kept(optimizer)})
            return time.perf_counter() - began

        keep()
        keeper.close()
        own = []
        for _ in range(5):
            own.append(keep())
            keeper.close()
        alone = work(4.0)
        keep()
        began = time.perf_counter()
        beside = work(4.0)
        keeper.close()
        took = time.perf_counter() - began
        written = RunFiles(folders, "x", job.created).state.stat().st_size
    lost = 4.0 * (1 - beside / alone)
    print(f"{3 * millions:.0f} million numbers in {tensors} tensors, {written / 1e6:.0f} MB:")
    print(f"  copied in the loop's thread: {1000 * statistics.median(own):.0f} ms, written within {took:.1f} s")
    print(f"  lost by a loop beside the write: {1000 * lost:.0f} ms")
    print(f"  of {EVERY_SECONDS} s: {100 * (statistics.median(own) + max(lost, 0)) / EVERY_SECONDS:.3f} %")


if __name__ == "__main__":
    main(*(float(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else ())
