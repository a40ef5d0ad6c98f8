"""What a run reports: phases with their progress, warnings and details, and the log of each pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.settings import Settings
from ..job import Control, Detail, Event, Listener, Phase, Step, Warned
from ..reports.log import CSVLog, LogColumns
from ..reports.trackers import Tracker
from ..text.messages import Message, message
from .host import Host

_MOST_AVERAGED = 200
_GROWN, _GROWN_BY_CHANCE = 2.0, 16.0
"""How many times as large the loss has to be of a long run, and how much more than that of a single step."""
_NO_HARM = 1e-2
"""A mean loss up to which growth is not reported. Runs of the presets for iLECO ended between 1.5e-4 and 5.1e-2 (13
train pairs of the studies, embedded checkpoint, seed 10); one that erased a shape had grown from 1.2e-3 to 5.5e-3."""


@dataclass(frozen=True)
class Reporter:
    """Reports to the run's listener and to its host.

    Attributes:
        job_name: what the host shows beside the phase.
        pass_name: what the phases of one of several passes begin with.
        verbose: whether details are reported.
    """

    job_name: str
    host: Host
    control: Control
    emit: Listener
    pass_name: Message | None = None
    verbose: bool = False

    def phase(self, phase: Message, done: int = 0, total: int = 0) -> None:
        if self.pass_name is not None:
            phase = message("phase.of_pass", pass_name=self.pass_name, phase=phase)
        self.emit(Phase(phase, done, total))

    def progress(self, phase: Message, done: int, total: int) -> None:
        """How far a phase is. The host shows it, and may let others have the model meanwhile.

        Raises:
            Stopped: if the user asked for it.
        """
        self.control.check()
        self.phase(phase, done, total)
        self.let_others(phase, done, total)

    def let_others(self, phase: Message, done: int, total: int) -> None:
        """Show the host how far a phase is, and let others have the model who wait for it.

        Raises:
            Stopped: while others had it.
        """
        shown = message("phase.of_job", job=self.job_name, phase=phase)
        for note in self.host.between_steps(shown, done, total):
            self.emit(Warned(note))

    def warn(self, key: str | Message, **values: Any) -> None:
        self.emit(Warned(key, **values))

    def detail(self, key: str, **values: Any) -> None:
        if self.verbose:
            self.emit(Detail(key, **values))

    def step_detail(self, step: Step) -> None:
        rates = ", ".join(f"{rate:.3g}" for rate in step.rates)
        self.detail("engine.step_detail", step=step.number, loss=f"{step.loss:.5f}", rates=rates)


class StepLogs:
    """Logs of a pass's steps; one that cannot be written any more ends early.

    Args:
        warn: told of those that do.
    """

    def __init__(self, warn: Callable[..., None]) -> None:
        self._logs: list[CSVLog] = []
        self._trackers: list[Tracker] = []
        self._warn = warn

    def add(self, log: CSVLog) -> None:
        self._logs.append(log)

    def track(self, tracker: Tracker) -> None:
        """Have another program record the steps as well."""
        self._trackers.append(tracker)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step):
            for tracker in list(self._trackers):
                with self._without(tracker):
                    tracker.add(event)
        for log in list(self._logs):
            try:
                log(event)
            except OSError as error:
                self._logs.remove(log)
                self._warn("engine.log_ends", path=log.path, reason=error.strerror)

    def written(self) -> tuple[Path, int] | None:
        """A log, and how many bytes of it are written; all of them are alike. None if there is none any more."""
        for log in self._logs:
            try:
                return log.path, log.size
            except OSError:  # the next step reports it
                continue
        return None

    @contextmanager
    def _without(self, tracker: Tracker) -> Iterator[None]:
        """Go on without a tracker that fails: the run is worth more."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - programs of others, over a network perhaps
            self._trackers.remove(tracker)
            self._warn("engine.tracker_ends", tracker=tracker.name, reason=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        for log in self._logs:
            log.close()
        for tracker in list(self._trackers):
            with self._without(tracker):
                tracker.close()


def growth_of(losses: Sequence[float]) -> dict[str, str] | None:
    """The mean loss at the beginning and at the end of a run, if it has grown so that chance is no reason; else None.

    Losses of single steps differ by several times, since each has timesteps of its own; the more are averaged, the less
    growth it takes. Losses far below those of ruined models may grow without harm.
    """
    count = min(len(losses) // 8, _MOST_AVERAGED)
    if count == 0:
        return None
    first, last = (sum(part) / count for part in (losses[:count], losses[-count:]))
    if last <= max(first * (_GROWN + _GROWN_BY_CHANCE / count), _NO_HARM):
        return None
    return {"first": f"{first:.3g}", "last": f"{last:.3g}"}


@contextmanager
def step_logs(
    paths: Sequence[Path], settings: Settings, family: str, columns: LogColumns, reporter: Reporter, start: bytes
) -> Iterator[StepLogs]:
    """Logs of a pass's steps, open while the block lasts.

    Args:
        family: the model's.
        columns: what is logged.
        start: what the logs of a pass that is continued hold already.

    Raises:
        OutputError: a log cannot be made.
    """
    logs = StepLogs(reporter.warn)
    try:
        for path in paths:
            logs.add(CSVLog(path, settings, family, columns, start=start))
        yield logs
    finally:
        logs.close()
