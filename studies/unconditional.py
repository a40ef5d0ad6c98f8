"""What holding the unconditional does to iLECO with the shipped preset, and how many samples have to hold it.

As a program it prints the table that ``docs/keep.md`` holds: ``python -m studies.unconditional``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from studies.ileco import Counts, pair, study
from studies.studio import Studio, print_table
from trainer.modes import keep

SEEDS = (10, 11)
CASES = (pair("red", "green", "yellow", preset=True), pair("purple", "yellow", "green", preset=True))
HOLDS: dict[str, tuple[str, Callable[[int, int], slice]]] = {
    "nothing": ("no", keep.half_of),
    "half of the samples, as it is": ("yes", keep.half_of),
    "every sample": ("yes", lambda count, _step: slice(0, count)),
}


def table(folder: Path) -> str:
    studio = Studio()
    headings = ["held", *(case.name.partition(",")[0] for case in CASES), "all other colours", "seconds"]
    lines = [f"| {' | '.join(headings)} |", "| --- " * len(headings) + "|"]
    for name, (state, rows) in HOLDS.items():
        with mock.patch.object(keep, "half_of", rows):
            found = [
                study(studio, replace(case, changes=(("hold_unconditional", state),)), folder / name, SEEDS)
                for case in CASES
            ]
        pooled = Counts()
        for each in found:
            pooled.add(each)
        became = [f"{each.became}/{each.of}" for each in found]
        seconds = f"{pooled.seconds / len(SEEDS) / len(CASES):.0f}"
        lines.append(f"| {' | '.join([name, *became, f'{pooled.rest}/{pooled.of_rest}', seconds])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print_table(table)
