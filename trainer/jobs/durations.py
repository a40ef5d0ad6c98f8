"""How long a run will take, from the runs that this machine has done."""

from __future__ import annotations

import math

from ..config.settings import Settings
from ..errors import UserError
from .store import DONE, Entry, Store

_LATEST = 8
"""Runs that are looked at."""
_MOST_TIMES = 50
"""A run that did so many times more or less says nothing of another."""


def expected_seconds(settings: Settings, store: Store) -> float | None:
    """About how long a run with these settings will take; None where no run of the same mode on the same model is
    known.

    Of the latest such runs, that counts which did about as much, and its time in the ratio of what they do: steps,
    samples in a step and pixels of a sample.

    Raises:
        UserError: the queue cannot be read.
    """
    if settings.train_epochs:  # its steps are known only once its images have been looked at
        return None
    alike = [entry for entry in reversed(store.entries()) if _tells(entry, settings)][:_LATEST]
    wanted, found = _work(settings), list[tuple[float, float]]()
    for entry in alike:
        try:
            ran = store.job(entry.id).settings
        except UserError:  # removed from the queue meanwhile
            continue
        ratio = wanted / _work(ran, entry.steps)
        if ran.model == settings.model and entry.started and entry.ended and 1 / _MOST_TIMES < ratio < _MOST_TIMES:
            found.append((abs(math.log(ratio)), (entry.ended - entry.started) * ratio))
    return min(found)[1] if found else None


def _tells(entry: Entry, settings: Settings) -> bool:
    """Whether it was done in one go."""
    return entry.status == DONE and entry.mode == settings.mode and entry.runs == 1 and not entry.resume


def _work(settings: Settings, steps: int = 0) -> float:
    area = settings.size.area
    return (
        (steps or settings.train_iterations) * settings.train_batch_size * settings.train_gradient_accumulation * area
    )
