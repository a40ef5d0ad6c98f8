"""How long the plot of a long run takes: to list the logs, to read one, to make the figure, to write it as PNG.

    python -m benchmarks.plot [ROWS] [LOGS]

Prints a table of milliseconds, the median of several; beside the clock's, those the thread worked itself, which other
programs on the machine do not count in. The logs are made in the system's folder for such things.
"""

from __future__ import annotations

import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from trainer.config.settings import Settings
from trainer.job import Step
from trainer.reports.log import CSVLog, read_log
from trainer.reports.plot import loss_figure
from trainer.web.api.plots import runs

TIMES = 5


def median(act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock, and those the thread worked."""
    taken = []
    for _ in range(TIMES):
        begin = time.perf_counter(), time.thread_time()
        act()
        taken.append((1000 * (time.perf_counter() - begin[0]), 1000 * (time.thread_time() - begin[1])))
    return statistics.median(clock for clock, _ in taken), statistics.median(worked for _, worked in taken)


def write_logs(data: Path, rows: int, logs: int) -> None:
    """One log of so many rows, and so many short ones that are older."""
    noise = random.Random(1)
    for number in range(logs + 1):
        path = data / "runs" / f"{20260101 + number % 28}" / f"run {number}-20260101_{number:06}.csv"
        log = CSVLog(path, Settings(), "SD1", 2)
        steps = rows if number == logs else 3
        for step in range(1, steps + 1):
            log(Step(step, steps, noise.random(), (1e-4 * (1 - step / steps), 5e-5)))
        log.close()
        os.utime(path, (number, number))


def main() -> None:
    rows, logs = (int(given) for given in (*sys.argv[1:], *("100000", "1000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_logs(data, rows, logs)
        path = runs(data)[0].log
        log = read_log(path)
        figure = loss_figure([log])

        def whole() -> None:
            loss_figure([read_log(runs(data)[0].log)]).savefig(io.BytesIO(), format="png")

        print(f"a log of {rows:,} rows, beside {logs:,} others                clock     worked")
        for name, act in (
            ("list the logs", lambda: runs(data)),
            ("read it", lambda: read_log(path)),
            ("make the figure", lambda: loss_figure([log])),
            ("write it as PNG", lambda: figure.savefig(io.BytesIO(), format="png")),
            ("all of it", whole),
        ):
            clock, worked = median(act)
            print(f"  {name:40}{clock:12.1f}{worked:11.1f} ms")


if __name__ == "__main__":
    main()
