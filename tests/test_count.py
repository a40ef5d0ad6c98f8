"""What a step asks of a card, counted on a pretended one: what the counting sees, and the table that the docs show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITHIN = 0.02
SEEN = """
import torch
from benchmarks.counting import Card

card = Card()
with card.on():
    weight = torch.empty(8, 4, device=card.device, requires_grad=True)
    x = torch.empty(2, 4, device=card.device)
    with card.counted() as counts:
        y = x @ weight.T          # 1 kernel, 2 * 2 * 8 * 4 flop; 32 + 128 bytes read, 64 written
        y.sum().backward()        # a sum, the gradient it starts with, and 2 * 8 * 2 * 4 flop; the rest are views
        kept = y.view(4, 4)
        after = dict(counts.kernels)
    print(after, counts.flop, counts.work[128, 224], counts.waits.total(), counts.copies.total())
    with card.counted() as counts:
        bool(y.isnan().any())
        y.sum().item()
        y.cpu()
    print(counts.waits.total(), counts.copies.total())
    with card.counted() as counts:
        torch.zeros(2).to(card.device)
        torch.tensor([1.0], device=card.device)
        x[[1, 0]]
    print(counts.waits.total(), counts.copies.total())
    before = card.living.now
    big = torch.empty(1024, 1024, device=card.device)
    print(card.living.now - before)
    del big
    print(card.living.now - before)
    try:
        x + torch.zeros(2, 4)
    except RuntimeError as error:
        print("at least two devices" in str(error), flush=True)
"""


def ran(*command: str) -> str:
    """What a program prints; in a process of its own, since torch learns of devices once."""
    paths = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], check=False, cwd=ROOT, env=paths, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_counted() -> None:
    work, waits, copies, living, freed, mixed = ran("-c", SEEN).splitlines()
    assert work.endswith("256 1 0 0"), work
    assert "'mm': 2" in work
    assert "view" not in work
    assert waits == "3 0"
    assert copies == "0 3"
    assert (living, freed) == (str(4 * 1024 * 1024), "0")
    assert mixed == "True"


@pytest.mark.more
def test_a_step_asks_for_no_more_than_the_docs_say() -> None:
    """Kernels and memory within 2 %; it never waits for the card, and copies nothing to it."""
    rows = rows_of(ran("-m", "benchmarks.count", "SD1", "LoRA", "iLECO"))
    assert len(rows) == 2
    published = rows_of((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"))
    for key, row in rows.items():
        said = published[key]
        for column in ("kernels", "GiB at most"):
            now, then = (float(each[column].replace(",", "")) for each in (row, said))
            assert now == pytest.approx(then, rel=WITHIN), (key, column)
        assert (row["waits"], row["copies"]) == ("0", "0"), key


def rows_of(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the table of counts by model and case."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    columns: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells[:3] == ["model, size", "case", "modules"]:
            columns = cells
        elif not line.startswith("|"):
            columns = []
        elif columns and len(cells) == len(columns) and cells[0] != "---":
            found[cells[0], cells[1]] = dict(zip(columns, cells, strict=True))
    return found
