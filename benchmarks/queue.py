"""How long a full queue takes: to open, to list, to put in order, and the curve of a long run.

    python -m benchmarks.queue [ENTRIES] [STEPS]

Prints a table of milliseconds, the median of several; the store is a new one in the system's folder for such things.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trainer.config.settings import Settings
from trainer.job import Step
from trainer.jobs.run_status import RunStatus
from trainer.jobs.store import Store
from trainer.paths import Folders

TIMES = 9


def median(act: Callable[[], object]) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - begin))
    return statistics.median(taken)


def measure_store(folder: Path, entries: int) -> dict[str, float]:
    folders = Folders(folder, folder, folder)
    given = replace(Settings(), mode="iLECO", model="m.safetensors", original_prompt="a red bicycle " * 20)
    store = Store(folders)
    begin = time.perf_counter()
    for number in range(entries):
        store.add(replace(given, save_lora_name=f"job {number}"))
    each = 1000 * (time.perf_counter() - begin) / entries
    store.close()

    def open_and_list() -> None:
        opened = Store(folders)
        assert len(opened.entries()) == entries
        opened.close()

    found = {"add one, on the average": each, "open and list": median(open_and_list)}
    store = Store(folders)
    found["list again"] = median(store.entries)
    found["move the last to the front"] = median(lambda: store.move(entries, 1) and store.move(entries, entries)) / 2
    found["read one with its settings"] = median(lambda: store.job(entries // 2))
    store.close()
    return found


def measure_curve(steps: int) -> dict[str, float]:
    run_status = RunStatus()
    begin = time.perf_counter()
    for number in range(1, steps + 1):
        run_status(Step(number, steps, 1.0 / number, (1e-3,)))
    each = 1000 * (time.perf_counter() - begin) / steps
    return {
        "tell one step": each,
        "snapshot": median(run_status.snapshot),
        f"curve of {steps:,} steps": median(run_status.curve),
    }


def main() -> None:
    entries, steps = (int(given) for given in (*sys.argv[1:], *("1000", "100000")[len(sys.argv) - 1 :]))
    print(f"{entries:,} entries")
    with tempfile.TemporaryDirectory() as folder:
        for name, taken in {**measure_store(Path(folder), entries), **measure_curve(steps)}.items():
            print(f"  {name:28}{taken:10.3f} ms")


if __name__ == "__main__":
    main()
