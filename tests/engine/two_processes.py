"""Two processes that train together on the CPU, started as ``torchrun`` starts them; and what they do in the tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engine.test_loop import CPU, Regression, settings, unused
from tests.engine.test_resume import job_of
from tests.helpers.home import host_in
from trainer.config.choices import MODES
from trainer.engine.loop import LoopHooks, train
from trainer.engine.processes import Processes, joined
from trainer.engine.run import run
from trainer.engine.trained import tensors_of
from trainer.errors import UserError
from trainer.job import Control, Step
from trainer.modes.base import StepLoss

ROOT = Path(__file__).resolve().parents[2]
COUNT = 2


def started(arguments: Sequence[str], **more: Any) -> list[subprocess.Popen[str]]:
    """``python`` with these arguments, twice."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"WORLD_SIZE": COUNT, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    return [
        subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **{name: str(value) for name, value in given.items()},
                 "RANK": str(number), "LOCAL_RANK": str(number)},
            **more,
        )
        for number in range(COUNT)
    ]  # fmt: skip


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """What the processes have printed, and their exit codes, once both have ended."""
    try:
        said = [each.communicate(timeout=240)[0] for each in processes]
    finally:
        for each in processes:
            each.kill()
    return [(each.returncode, text) for each, text in zip(processes, said, strict=True)]


# ---- the loop -------------------------------------------------------------------------------------------------------


class Uneven(Regression):
    """Its batches have one, two or three samples, with names."""

    def loss(self, rng: Any) -> StepLoss:
        whole = super().loss(rng)
        count = 1 + rng.step % 3
        names = tuple(f"image {rng.step}.{sample}" for sample in range(count))
        return StepLoss(whole.samples[:count], whole.timesteps[:count], names)


CASES: Mapping[str, Mapping[str, Any]] = {
    "even": {"train_gradient_accumulation": 2},
    "clipped": {"train_gradient_accumulation": 2, "train_max_grad_norm": 0.01},
    "scaled": {"train_gradient_accumulation": 2, "scale_loss": True},
    "averaged": {"train_gradient_accumulation": 2, "train_ema_decay": 0.9},
    "of three batches": {"train_gradient_accumulation": 3},
    "of one batch": {"train_gradient_accumulation": 1},
    "of uneven batches": {"train_gradient_accumulation": 4, "problem": Uneven},
    "until it gets no better": {
        "train_gradient_accumulation": 2, "early_stop_patience": 25, "train_learning_rate": 2.0,
        "train_iterations": 600,
    },
    "diverging": {"train_gradient_accumulation": 2, "broken_at": 4, "broken_sample": 1},
    "diverging by name": {"train_gradient_accumulation": 2, "broken_at": 4, "broken_sample": 0, "problem": Uneven},
}  # fmt: skip
EXACT = ("even", "scaled", "averaged")
"""Cases in which the same two numbers are added up, in whichever order."""


def outcome(case: str, processes: Processes | None, stop_at: int = 0, die_at: int = 0) -> dict[str, Any]:
    """What comes of a case: the network's numbers, the losses, what was said, and after which step it was saved."""
    from trainer.optim.early_stop import EarlyStop

    changes = dict(CASES[case])
    scale_loss = changes.pop("scale_loss", False)
    problem = changes.pop("problem", Regression)(changes.pop("broken_at", 0), changes.pop("broken_sample", 0))
    given = replace(settings(), **changes)
    control, steps, failed = Control(), list[Step](), list[int]()

    def step_done(number: int) -> None:
        if number == stop_at:
            control.stop_and_save()
        if number == die_at:
            os._exit(9)

    hooks = replace(LoopHooks(unused, unused, unused, step_done), failed=failed.append)
    error = ""
    early = EarlyStop(given.early_stop_patience, validates=False) if given.early_stop_patience else None
    with problem.network.attached():
        try:
            train(
                problem, problem.network, given, device=CPU, scale_loss=scale_loss, control=control, emit=steps.append,
                hooks=hooks, processes=processes, early_stop=early,
            )  # fmt: skip
        except UserError as raised:
            error = str(raised)
    numbers = [tensor.detach().flatten().tolist() for tensor in tensors_of(problem.network).values()]
    asked = [control.asked_to_stop, control.asked_to_save]
    return {
        "numbers": numbers,
        "losses": [step.loss for step in steps],
        "error": error,
        "failed": failed,
        "asked": asked,
    }


def run_modes(processes: Processes | None, model: Path, pairs: Path, out: Path) -> dict[str, Path | None]:
    """A run of each mode with two batches a step; the LoRAs, where the process writes any."""
    found: dict[str, Path | None] = {}
    for mode in MODES:
        job = job_of(
            model, pairs, mode=mode, train_gradient_accumulation=2, train_iterations=2, save_per_steps=0,
            state_every_minutes=0.0,
        )  # fmt: skip
        found[mode] = run(job, host_in(out / mode), Control(), lambda _event: None, processes=processes).path
    return found


def main(task: str, out: str, *given: str) -> None:
    number = int(os.environ["RANK"])
    with joined(CPU) as processes:
        if task == "cases":
            found = {case: outcome(case, processes) for case in CASES}
            found["stopped"] = outcome("even", processes, stop_at=5 if number else 0)
            found["shares"] = [list(processes.share_of(range(count))) for count in range(6)]
        else:
            written = run_modes(processes, *map(Path, given), Path(out, str(number)))
            found = {mode: None if path is None else str(path) for mode, path in written.items()}
        Path(out, f"{number}.json").write_text(json.dumps(found))
        if task == "cases":  # one of them does not come back
            left = outcome("even", processes, die_at=5 if number else 0)
            Path(out, "left.json").write_text(json.dumps(left))


if __name__ == "__main__":
    main(*sys.argv[1:])
