"""Logs of any content are drawn, or a sentence."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.hostile import limits, mutated, numbers, texts
from trainer.reports.log import read_log
from trainer.reports.plot import loss_figure

cells = numbers.map(str) | texts
rows = st.lists(st.lists(cells, max_size=5).map(",".join), max_size=12)
logs = st.builds(
    lambda head, body, end: "\n".join([*head, "Step,Loss,Learning Rate 1", *body]) + end,
    rows, rows, st.sampled_from(("", "\n", "\r\n", "\r")),
).map(lambda text: text.encode("utf-8", "surrogatepass"))  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "any.csv"


@given(content=logs | mutated(logs), drawn=st.integers(0, 59))
def test_logs(path: Path, content: bytes, drawn: int) -> None:
    path.write_bytes(content)
    with limits("logs"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = read_log(path)
        if drawn == 37:  # a figure takes a hundred times as long as the rest
            loss_figure([log], logarithmic=len(content) % 2 == 0).savefig(io.BytesIO(), format="png")
