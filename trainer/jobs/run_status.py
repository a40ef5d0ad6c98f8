"""What a run is doing right now, for everyone who looks, however late: a reloaded page, a phone."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..job import Account, Done, Effect, Event, Failed, Paused, Phase, Preview, Resumed, Saved, Step, TrainsOn, Warned
from ..text.messages import Message
from .memory import Memory

MOST_POINTS = 2000
"""Of the loss curve. In a longer run each point stands for several steps."""
_MOST_WARNINGS = 50
MOST_IMAGES, WHOLE_STEPS = 24, 2
"""Previews that are shown, the latest; and those of how many steps are shown all, however many prompts there are."""
_WINDOW = 60.0
"""Seconds over which the speed is measured."""
_WEIGHT = 0.95


@dataclass(frozen=True)
class Point:
    """One point of the loss curve.

    Attributes:
        step: the last step it stands for.
        loss: the mean over its steps.
        smoothed: as in :class:`Snapshot`, after its last step.
        rates: the learning rate of each parameter group at its last step.
    """

    step: int
    loss: float
    smoothed: float
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        number: counts the events; two snapshots with the same number are the same.
        state: ``running``, ``paused``, ``done``, ``stopped`` or ``failed``.
        account: what is trained, told before the first step; without rows until it is known.
        model: the name of the one it trains on; empty until it is there.
        phase: what it is doing; ``done`` of ``total`` where it can be counted.
        step, steps: the last finished step of how many.
        before: how many of them an earlier program has done, from whose state the run was continued.
        loss: of that step.
        smoothed: exponential moving average of the losses with weight 0.95, corrected for its start.
        rates: the learning rate of each parameter group.
        steps_per_second: over the last minute, without pauses; None until it is known.
        seconds_left: of training, at that speed.
        seconds: since the run began or was continued, pauses included.
        images: the latest, oldest first.
        saved: every file, with its step.
        effect: what the finished LoRA does.
        message: why it failed; else None.
        path: the finished LoRA.
        memory: the last reading while the run was on.
    """

    number: int = 0
    state: str = "running"
    account: Account = field(default_factory=Account)
    model: str = ""
    phase: Message | None = None
    done: int = 0
    total: int = 0
    step: int = 0
    steps: int = 0
    before: int = 0
    loss: float | None = None
    smoothed: float | None = None
    rates: tuple[float, ...] = ()
    steps_per_second: float | None = None
    seconds_left: float | None = None
    seconds: float = 0.0
    warnings: tuple[Message, ...] = ()
    images: tuple[Preview, ...] = ()
    saved: tuple[Saved, ...] = ()
    effect: Effect | None = None
    message: Message | None = None
    path: Path | None = None
    memory: Memory | None = None


class RunStatus:
    """Listens to one run. Any thread may call :meth:`snapshot` and :meth:`curve`, also after the run."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, memory: Callable[[], Memory | None] = lambda: None
    ) -> None:
        """Start timing the run.

        Args:
            memory: what the run takes now; called for a snapshot, never by the run.
        """
        self._clock = clock
        self._memory = memory
        self._began = clock()
        self._ended: float | None = None
        self._lock = threading.Lock()
        self._now = Snapshot()
        self._curve = _Curve()
        self._times: deque[tuple[float, int]] = deque()

    def __call__(self, event: Event) -> None:
        with self._lock:
            changed = self._after(event)
            self._now = replace(changed, number=self._now.number + 1)

    def snapshot(self) -> Snapshot:
        memory = self._memory() if self._ended is None else None  # outside the lock, so that events never wait for it
        with self._lock:
            if memory is not None:
                self._now = replace(self._now, memory=memory)
            speed = self._speed()
            left = (self._now.steps - self._now.step) / speed if speed else None
            seconds = (self._clock() if self._ended is None else self._ended) - self._began
            return replace(self._now, steps_per_second=speed, seconds_left=left, seconds=seconds)

    def curve(self) -> list[Point]:
        """The loss curve of the pass that runs, at most :data:`MOST_POINTS` points."""
        with self._lock:
            return self._curve.points()

    def _after(self, event: Event) -> Snapshot:
        now = self._now
        if isinstance(event, Step):
            return self._after_step(event)
        if isinstance(event, Phase):
            return replace(now, phase=event.message, done=event.done, total=event.total)
        if isinstance(event, Account):
            return replace(now, account=event)
        if isinstance(event, TrainsOn):
            return replace(now, model=event.name)
        if isinstance(event, Paused):
            self._times.clear()
            return replace(now, state="paused")
        if isinstance(event, Resumed):
            return replace(now, state="running")
        if isinstance(event, Warned):
            return replace(now, warnings=(*now.warnings, event.message)[-_MOST_WARNINGS:])
        if isinstance(event, Preview):
            return replace(now, images=latest_previews((*now.images, event)))
        if isinstance(event, Saved):
            return replace(now, saved=(*now.saved, event))
        if isinstance(event, Effect):
            return replace(now, effect=event)
        if isinstance(event, Done | Failed):
            self._ended = self._clock()
            self._times.clear()
            if isinstance(event, Failed):
                return replace(now, state="failed", message=event.error.whole)
            return replace(now, state="stopped" if event.stopped else "done", path=event.path)
        return now

    def _after_step(self, step: Step) -> Snapshot:
        before = self._now.before if self._now.step else step.number - 1
        if step.number <= self._now.step:  # the next of several passes
            self._curve, self._times, before = _Curve(), deque(), 0
        self._curve.add(step)
        moment = self._clock()
        self._times.append((moment, step.number))
        while moment - self._times[1 if len(self._times) > 1 else 0][0] > _WINDOW:
            self._times.popleft()
        return replace(
            self._now,
            done=step.number,
            total=step.total,
            step=step.number,
            steps=step.total,
            before=before,
            loss=step.loss,
            smoothed=self._curve.smoothed,
            rates=step.rates,
        )

    def _speed(self) -> float | None:
        if len(self._times) < 2:
            return None
        (first, begin), (last, end) = self._times[0], self._times[-1]
        return (end - begin) / (last - first) if last > first else None


def latest_previews(images: Sequence[Preview]) -> tuple[Preview, ...]:
    """Those to be shown of all, in their order, the oldest first."""
    steps = sorted({image.step for image in images})[-WHOLE_STEPS:]
    whole = sum(image.step in steps for image in images)
    return tuple(images[-max(MOST_IMAGES, whole) :])


@dataclass
class _Curve:
    """The losses so far. When there are too many points, each two become one."""

    smoothed: float = 0.0
    _points: list[Point] = field(default_factory=list)
    _together: int = 1
    _open: list[float] = field(default_factory=list)
    _sum: float = 0.0
    _weight: float = 0.0
    _last: Step | None = None

    def add(self, step: Step) -> None:
        self._sum = _WEIGHT * self._sum + step.loss
        self._weight = _WEIGHT * self._weight + 1.0
        self.smoothed = self._sum / self._weight
        self._open.append(step.loss)
        self._last = step
        if len(self._open) == self._together:
            self._points.append(self._point())
            self._open.clear()
        if len(self._points) == MOST_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [replace(late, loss=(early.loss + late.loss) / 2) for early, late in pairs]
            self._together *= 2

    def points(self) -> list[Point]:
        return [*self._points, self._point()] if self._open else list(self._points)

    def _point(self) -> Point:
        assert self._last is not None
        return Point(self._last.number, sum(self._open) / len(self._open), self.smoothed, self._last.rates)
