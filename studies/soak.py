"""Runs a long queue in one process and looks for what is not given back: ``python -m studies.soak``.

Jobs of every mode, one after the other, by one worker, every tenth of them failing and every tenth stopped on the way.
After each the process's memory, open files and threads are noted, once garbage is collected; the last quarter must need
no more than the second did, but for what ``--slack`` allows.

    python -m studies.soak --jobs 200

Linux only: it reads /proc. Exit code 0: all three are flat.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from studies.survive import kinds
from trainer.config.settings import Settings
from trainer.hosts.standalone import Standalone
from trainer.job import Event, Step
from trainer.jobs.store import Entry, Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders


@dataclass(frozen=True)
class Reading:
    """What the process has after a job: bytes resident, open files, threads."""

    resident: int
    files: int
    threads: int

    @staticmethod
    def now() -> Reading:
        gc.collect()
        status = Path("/proc/self/status").read_text("ascii").splitlines()
        (resident,) = (int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))
        return Reading(resident, len(os.listdir("/proc/self/fd")), threading.active_count())


def soak(count: int, folder: Path) -> tuple[list[Reading], Counter[str]]:
    """Run ``count`` jobs.

    Returns:
        The readings after each, and how many ended how.
    """
    folders = Folders(folder / "data", folder / "loras", folder / "models")
    store = Store(folders)
    of_kind = list(kinds(folder / "images").values())
    stopped: set[int] = set()

    def listen(entry: Entry, event: Event) -> None:
        if isinstance(event, Step) and entry.id in stopped and event.number == 2:
            worker.stop()

    worker = Worker(store, lambda: Standalone(torch.device("cpu"), folders), listen)
    readings, ends = [], Counter[str]()
    for number in range(1, count + 1):
        entry = store.add(_job(of_kind[number % len(of_kind)], number))
        if number % 10 == 5:
            stopped.add(entry.id)
        worker.run_now(entry.id)
        worker.join()
        readings.append(Reading.now())
        ends[store.get(entry.id).status] += 1
    worker.close()
    store.close()
    return readings, ends


def _job(settings: Settings, number: int) -> Settings:
    if number % 10 == 0:  # it fails at its first step, once all is loaded
        settings = replace(settings, train_learning_rate=1e30, train_optimizer="AdamW", train_lr_scheduler="constant")
    return replace(settings, save_lora_name=f"soak-{number}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Run a long queue and look for what is not given back.")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--slack", type=float, default=0.05, help="share of the memory that may be added")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        readings, ends = soak(options.jobs, Path(folder))
    quarter = len(readings) // 4
    early, late = readings[quarter : 2 * quarter], readings[-quarter:]
    print("ended:", ", ".join(f"{count} {status}" for status, count in sorted(ends.items())))
    print("after job    MB  files  threads")
    for number in sorted({1, *range(quarter, len(readings) + 1, max(1, quarter // 2)), len(readings)}):
        each = readings[number - 1]
        print(f"{number:9}  {each.resident / 1e6:6.0f}  {each.files:5}  {each.threads:7}")
    grown = _median(late, "resident") / _median(early, "resident") - 1
    flat = grown <= options.slack and all(_median(late, name) <= _median(early, name) for name in ("files", "threads"))
    print(f"memory of the last quarter against the second: {grown:+.1%}; {'flat' if flat else 'NOT FLAT'}")
    return 0 if flat else 1


def _median(readings: Sequence[Reading], name: str) -> float:
    return statistics.median(getattr(each, name) for each in readings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
