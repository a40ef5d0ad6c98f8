"""The data of a run, looked at before any model is loaded: what a run does first, and what a queue asks of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ..config.choices import MODES
from ..config.settings import Settings
from ..errors import DataError, Stopped
from ..text.messages import label
from .cache import DataCache
from .epochs import counted_by
from .images.fingerprint import Copies, copies_among
from .pairs.comparison import COMPARED_AT
from .pairs.pair import Pair, difference, open_pair
from .pairs.scan import scan_for_mode
from .samples import Sample, Scan, pixels_of

Check = Callable[[], None]
Progress = Callable[[int, int], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Look:
    """What was found.

    Attributes:
        images: a folder's, or one or two that are given by themselves; None for modes without images.
        copies: those of the folder that are there more than once, by their places in :attr:`Scan.fingerprints`.
        differing: of two images, the share of the area where they differ, as :func:`~.pairs.pair.difference` says.
    """

    images: Scan | Pair | None
    copies: Copies = field(default_factory=Copies)
    differing: float | None = None


@dataclass(frozen=True)
class Unfinished:
    """A look that would have taken too long: how many images it had read, of how many; 0 while it searches them."""

    done: int
    total: int


def look(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: DataCache | None = None,
) -> Look:
    """Look at every image, as the run will.

    Args:
        settings: those in effect.
        check: called between images and while one is waited for; may raise to stop.
        progress: called with how many images are done, and how many there are.
        cache: what is known of images from earlier.

    Raises:
        DataError: there is nothing to train, or nothing to learn from it.
    """
    kind = MODES[settings.mode].images
    if kind == "none":
        return Look(None)
    if kind == "pair":
        return _look_at_pair(open_pair(settings), settings)
    found = scan_for_mode(settings, check=check, progress=progress, cache=cache)
    found.require_usable()
    counted_by(settings, found)
    if found.pairs and found.equal_pairs == found.pairs and not any(map(_differ_at_all, found.distinct)):
        raise DataError("data.all_pairs_equal", where=label("lora_data_directory"), folder=found.folder)
    return look_over(found, check)


def look_over(found: Scan, check: Callable[[], None] | None = None) -> Look:
    """What a scan shows when its images are compared with each other."""
    return Look(found, copies_among([fingerprint for _, fingerprint in found.fingerprints], check))


def within(seconds: float, work: Callable[[Check, Progress], Result]) -> Result | Unfinished:
    """What ``work`` finds, if that takes no longer than somebody waits; a drive that does not answer is not waited for
    either.

    Args:
        work: is given what to call again and again, which raises ``Stopped`` once nobody waits any more, and what to
            call with how many images are done of how many.

    Raises:
        DataError: as ``work`` does, if that is in time.
    """
    found: list[Result | BaseException] = []
    ended = threading.Event()
    counts = [0, 0]

    def check() -> None:
        if ended.is_set():
            raise Stopped

    def progress(done: int, total: int) -> None:
        counts[:] = done, total

    def run() -> None:
        try:
            found.append(work(check, progress))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            found.append(error)

    thread = threading.Thread(target=run, name="trainyard-look", daemon=True)
    thread.start()
    thread.join(seconds)
    ended.set()
    if not found:
        return Unfinished(*counts)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _look_at_pair(pair: Pair, settings: Settings) -> Look:
    """Raises:
    DataError: nothing differs.
    """
    sample = pair.placed(settings, COMPARED_AT).distinct[0]
    if sample.target is None or settings.diff_1st_pass_only:
        return Look(pair)
    original, target = pixels_of(sample)[0], pixels_of(sample.target)[0]
    if np.array_equal(original, target):
        raise DataError("data.pair_same_pixels", where=label("target_image"))
    return Look(pair, differing=float(difference(original, target).mean()))


def _differ_at_all(sample: Sample) -> bool:
    assert sample.target is not None
    return not np.array_equal(pixels_of(sample)[0], pixels_of(sample.target)[0])
