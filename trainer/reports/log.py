"""The loss log: TrainTrain's CSV, written during the run and read by the plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import OutputError, UserError
from ..job import Event, Step

if TYPE_CHECKING:  # a run that only writes its log need not wait for pandas
    import pandas as pd

_COLUMNS = ("Step", "Loss", "Learning Rate 1", "Learning Rate 2")


class CSVLog:
    """Listens to a run and writes its steps; flushed every step, so a crash loses none.

    Rows are ``Step,Loss,Learning Rate 1[,Learning Rate 2]`` below eight head rows ``key,value``.
    """

    def __init__(self, path: Path, settings: Settings, model_version: str, groups: int = 1) -> None:
        """Raises:
        OutputError: the file cannot be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise OutputError("reports.log_not_written", where=str(path), reason=error.strerror) from error
        self.path = path
        self._groups = groups
        self._writer = csv.writer(self._file)
        self._writer.writerows(_head(settings, model_version))
        self._writer.writerow(_COLUMNS[: 2 + groups])

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step):
            self._writer.writerow([event.number, event.loss, *event.rates[: self._groups]])
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def _head(settings: Settings, model_version: str) -> list[tuple[str, object]]:
    return [
        ("network_rank", settings.network_rank),
        ("network_alpha", settings.network_alpha),
        ("train_learning_rate", settings.train_learning_rate),
        ("train_iterations", settings.train_iterations),
        ("train_lr_scheduler", settings.train_lr_scheduler),
        ("model_version", model_version),
        ("train_optimizer", settings.train_optimizer),
        ("save_lora_name", settings.save_lora_name or "untitled"),
    ]


@dataclass(frozen=True)
class LossLog:
    """A log read back.

    Attributes:
        name: the file's stem.
        head: the head rows.
        rows: columns ``Step``, ``Loss`` and the learning rates.
    """

    name: str
    head: dict[str, str]
    rows: pd.DataFrame


def read_log(path: Path) -> LossLog:
    """Read a log, also one of a run that is still in progress or was cut short.

    Raises:
        UserError: there is no such file, or it is no loss log.
    """
    import pandas as pd

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError("reports.unreadable", where=str(path), reason=error.strerror) from error
    except UnicodeDecodeError as error:
        raise UserError("reports.no_text", where=str(path)) from error
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("Step,Loss")), None)
    if start is None:
        raise UserError("reports.no_log", where=str(path))
    head = {row[0]: row[1] for row in csv.reader(lines[:start]) if len(row) >= 2}
    whole = lines[start:] if text.endswith("\n") else lines[start:-1]  # the last row may be half written
    rows = pd.read_csv(io.StringIO("\n".join(whole)), on_bad_lines="skip")
    return LossLog(path.stem, head, rows.apply(pd.to_numeric, errors="coerce").dropna(subset=["Step"]))


def smoothed(losses: Sequence[float] | pd.Series, weight: float = 0.95) -> pd.Series:
    """Exponential moving average, corrected for its start."""
    import pandas as pd

    return pd.Series(losses).ewm(alpha=1 - weight, adjust=True).mean()
