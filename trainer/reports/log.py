"""The loss log: TrainTrain's CSV, written during the run and read by the plot."""

from __future__ import annotations

import codecs
import csv
import io
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import OutputError, UserError
from ..job import Event, Step
from ..paths import open_file, reason_of

if TYPE_CHECKING:  # a run that only writes its log need not wait for pandas
    import pandas as pd

_RATE = "Learning Rate"
_COLUMNS = ("Step", "Loss", f"{_RATE} 1", f"{_RATE} 2")
VALIDATION = "Validation Loss"
"""The column of the loss of the images that are not trained."""
_LARGEST = 64 * 2**20
"""Bytes of a log that is read: a million steps take 40 MB."""
_MOST_ROWS = 2_000_000
_MOST_COLUMNS = 100
_MOST_HEAD_ROWS, _LONGEST_HEAD_ROW = 100, 10_000
_LONGEST_NUMBER = 60
_LARGEST_LOSS = 3.5e38
"""What single precision holds; a figure cannot span what doubles do."""
_LARGEST_STEP = 2**53


@dataclass(frozen=True)
class LogColumns:
    """What a log has beside step and loss.

    Attributes:
        rates: how many learning rates.
        validates: whether there is a validation loss, in the rows of the steps after which it was measured.
    """

    rates: int = 1
    validates: bool = False


class CSVLog:
    """Listens to a run and writes its steps; flushed every step, so a crash loses none.

    Rows are ``Step,Loss,Learning Rate 1[,Learning Rate 2][,Validation Loss]`` below eight head rows ``key,value``.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        model_version: str,
        columns: LogColumns = LogColumns(),
        *,
        start: bytes = b"",
    ) -> None:
        """Args:
            start: what the log of a run that is continued holds already.

        Raises:
            OutputError: the file cannot be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(start)
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise OutputError("reports.log_not_written", where=str(path), reason=error.strerror) from error
        self.path = path
        self._columns = columns
        self._writer = csv.writer(self._file)
        if not start:
            self._writer.writerows(_head(settings, model_version))
            self._writer.writerow([*_COLUMNS[: 2 + columns.rates], *([VALIDATION] if columns.validates else [])])

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step):
            validation = [event.validation] if self._columns.validates else []
            self._writer.writerow([event.number, event.loss, *event.rates[: self._columns.rates], *validation])
            self._file.flush()

    @property
    def size(self) -> int:
        """How many bytes have been written."""
        self._file.flush()
        return self._file.tell()

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
        rows: columns ``Step``, ``Loss``, the learning rates and, if the run had it, ``Validation Loss``.
    """

    name: str
    head: dict[str, str]
    rows: pd.DataFrame


def read_log(path: Path) -> LossLog:
    """Read a log, also one of a run that is still in progress or was cut short.

    Raises:
        UserError: there is no such file, it is no loss log, or it is too long.
    """
    try:
        with open_file(path) as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UserError("reports.unreadable", where=str(path), reason=reason_of(error)) from error
    if len(content) > _LARGEST:
        raise UserError("reports.too_large", where=str(path), most=_LARGEST // 2**20)
    lines = io.StringIO(_text(content, path), newline=None)
    head: dict[str, str] = {}
    for line in lines:
        if line.startswith("Step,Loss"):
            return LossLog(path.stem, head, _rows(line, lines, path))
        if len(head) < _MOST_HEAD_ROWS:
            head.update(_head_row(line))
    raise UserError("reports.no_log", where=str(path))


def _text(content: bytes, path: Path) -> str:
    """A log's text, whatever program has written it again since: its numbers are plain letters in all encodings."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    plain = content.replace(b"\0", b"")
    try:
        return plain.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"Step,Loss" not in plain:
            raise UserError("reports.no_text", where=str(path)) from error
        return plain.decode("utf-8-sig", "replace")


def _head_row(line: str) -> dict[str, str]:
    try:
        row = next(csv.reader([line[:_LONGEST_HEAD_ROW]]), [])
    except csv.Error:
        return {}
    return {row[0]: row[1]} if len(row) >= 2 else {}


def _rows(titles: str, lines: Iterable[str], path: Path) -> pd.DataFrame:
    """The rows below the titles; those without a step are left out, and the last one if it is half written."""
    import pandas as pd

    named = {name.strip(): place for place, name in enumerate(titles.split(",", _MOST_COLUMNS))}
    known = ("Step", "Loss", VALIDATION)
    places = {name: place for name, place in named.items() if name in known or name.startswith(_RATE)}
    columns = {name: array("d") for name in places}
    last = max(places.values()) + 1
    for count, line in enumerate(lines):
        if count == _MOST_ROWS:
            raise UserError("reports.too_many_rows", where=str(path), most=_MOST_ROWS)
        cells = line.split(",", last)
        step = _number(cells[0])
        if not line.endswith("\n") or not abs(step) <= _LARGEST_STEP:
            continue
        for name, place in places.items():
            columns[name].append(_number(cells[place]) if place < len(cells) else math.nan)
    return pd.DataFrame(columns)


def _number(cell: str) -> float:
    """NaN for what is none, and for what no loss in single precision can be."""
    try:
        number = float(cell.strip().strip('"')) if len(cell) <= _LONGEST_NUMBER else math.nan
    except ValueError:
        return math.nan
    return number if abs(number) <= _LARGEST_LOSS else math.nan


def smoothed(losses: Sequence[float] | pd.Series, weight: float = 0.95) -> pd.Series:
    """Exponential moving average, corrected for its start."""
    import pandas as pd

    return pd.Series(losses).ewm(alpha=1 - weight, adjust=True).mean()
