"""How long a run will take, from the runs that this machine has done."""

from __future__ import annotations

import math

from ..config.settings import Settings
from ..errors import UserError
from .store import DONE, Entry, Store

_LATEST = 8
"""Runs that are looked at."""
_APART = 2
"""So many times more than another must a run have done for the two to tell a step's time from that of start and end."""


def expected_seconds(settings: Settings, store: Store, steps: int = 0) -> float | None:
    """About how long a run with these settings will take; None where no run of the same mode on the same model is
    known.

    Of the latest such runs, that counts which did about as much, and its time in the ratio of what they do: steps,
    samples in a step and pixels of a sample. Where another one did much more or much less, the two tell how long what
    they differ in took, and so how long start and end do, which do not grow with the steps.

    Args:
        steps: how many the run takes, where ``train_epochs`` says so; 0 where that is not known.

    Raises:
        UserError: the queue cannot be read.
    """
    if settings.train_epochs and not steps:
        return None
    alike = [entry for entry in reversed(store.entries()) if _tells(entry, settings)][:_LATEST]
    wanted, found = _work(settings, steps), list[tuple[float, float]]()
    for entry in alike:
        try:
            ran = store.job(entry.id).settings
        except UserError:  # removed from the queue meanwhile
            continue
        if ran.model == settings.model and entry.started and entry.ended:
            found.append((_work(ran, entry.steps), entry.ended - entry.started))
    if not found:
        return None
    work, seconds = min(found, key=lambda run: _apart(wanted, run[0]))
    in_ratio = seconds * wanted / work
    other, its_seconds = max(found, key=lambda run: _apart(work, run[0]))
    if _apart(work, other) < math.log(_APART) or (its_seconds > seconds) != (other > work):
        return in_ratio
    by_both = seconds + (wanted - work) * (its_seconds - seconds) / (other - work)
    return by_both if wanted > work else max(by_both, in_ratio)


def _apart(one: float, another: float) -> float:
    return abs(math.log(one / another))


def _tells(entry: Entry, settings: Settings) -> bool:
    """Whether it was done in one go."""
    return entry.status == DONE and entry.mode == settings.mode and entry.runs == 1 and not entry.resume


def _work(settings: Settings, steps: int = 0) -> float:
    area = settings.size.area
    return (
        (steps or settings.train_iterations) * settings.train_batch_size * settings.train_gradient_accumulation * area
    )
