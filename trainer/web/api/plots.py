"""The plot's routes: which runs there are, and a plot of loss and learning rate of some of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Query, Response

from ...errors import UserError
from ...reports.log import read_log
from ..services.context import PageContext
from . import core

MOST_RUNS = 20
"""As many curves as colours and line styles can tell apart."""
_CHOSEN: list[str] = Query(default=[], alias="run")
_WIDTH: int = Query(default=900, ge=240, le=2000)
_SHARPNESS: float = Query(default=1.0, ge=0.5, le=3.0)


@dataclass(frozen=True)
class Run:
    """A run that left a log.

    Attributes:
        name: its LoRA's name, with the suffix of the log if the run has several passes.
        log: the log's file; its stem is the run's id.
        written: when its last step was logged.
    """

    name: str
    log: Path
    written: datetime


def runs(data: Path) -> list[Run]:
    """All runs with a log below ``data``, the latest first.

    Every run keeps its own log in ``runs``; ``logs`` holds those that were asked for, or come from elsewhere.
    """
    found = {path.stem: path for kind in ("logs", "runs") for path in (data / kind).glob("**/*.csv")}
    listed = []
    for stem, path in found.items():
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime)
        except OSError:  # deleted meanwhile
            continue
        listed.append(Run(_name(stem), path, written))
    return sorted(listed, key=lambda run: (run.written, run.log.stem), reverse=True)


def _name(stem: str) -> str:
    """``red-20261121_093000_copy`` → ``red (copy)``."""
    name, dash, rest = stem.rpartition("-")
    date, _, ending = rest[:15], rest[15:16], rest[16:]
    if not (dash and len(date) == 15 and date.replace("_", "", 1).isdecimal()):
        return stem
    return f"{name} ({ending})" if ending else name


def mount(app: Any, context: PageContext) -> None:
    """Add the routes to a FastAPI application."""
    routes = _Routes(context)
    core.add_routes(app, context.access, context.language, {"/runs": routes.runs, "/plot": routes.plot})


class _Routes:
    def __init__(self, context: PageContext) -> None:
        self._data = context.folders.data

    def runs(self) -> dict[str, Any]:
        """The runs that have a log, the latest first."""
        told = [{"id": run.log.stem, "name": run.name, "written": run.written.timestamp()} for run in runs(self._data)]
        return {"runs": told}

    def plot(
        self, chosen: list[str] = _CHOSEN, raw: bool = True, smoothed: bool = True, rate: bool = True,
        logarithmic: bool = False, dark: bool = False, width: int = _WIDTH, sharpness: float = _SHARPNESS,
    ) -> Response:  # fmt: skip
        """A plot (PNG) of some runs by their ids, one over the other; of the latest if none is named.

        raw, smoothed: the loss; rate: the learning rate; width: in points, of sharpness pixels each.
        """
        from ...reports.plot import loss_figure

        logs = [read_log(path) for path in self._logs(chosen)]
        figure = loss_figure(
            logs, raw=raw, smooth=smoothed, rate=rate, logarithmic=logarithmic, dark=dark, width=width / 100
        )
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=100 * sharpness)
        return Response(data.getvalue(), media_type="image/png", headers={"Cache-Control": "no-store"})

    def _logs(self, chosen: list[str]) -> list[Path]:
        known = runs(self._data)
        if not known:
            raise UserError("web.no_runs")
        if len(chosen) > MOST_RUNS:
            raise UserError("web.too_many_runs", count=len(chosen), most=MOST_RUNS)
        by_id = {run.log.stem: run.log for run in known}
        gone = [name for name in chosen if name not in by_id]
        if gone:
            raise UserError("web.no_such_run", where=gone[0])
        return [by_id[name] for name in chosen] or [known[0].log]
