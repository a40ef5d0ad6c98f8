"""The images that a run makes by itself: what they may cost, and the LoRA of each step, kept beside its image.

How many there are is counted before the run (:func:`.plan.filmed_steps`). Here it is measured what each really takes:
one that would bring them above their share of the run is left out, so that they become fewer, at larger distances.
The files beside them are there to be kept by the user. They are whole or absent, outlive a program that is killed, and
are removed after a week, or earlier where all of them together take too much of the disk.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..claims import STEP_ENDING, tidy_steps
from ..errors import UserError
from ..networks.base import Network
from . import plan
from .previews import Previews
from .reporting import Reporter

_SPARE: Final = 3
"""Times its size has to be free on the disk for such a file: the LoRA itself and the state of the run come first."""


class Film:
    """Makes the images of one pass and keeps the LoRA of each."""

    def __init__(
        self,
        previews: Previews,
        save: Callable[[Network, int, Path], None],
        samples: Path,
        reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        save: writes the network as it is after a step, to a path.
        samples: the folder of the run's images.
        """
        self._previews = previews
        self._save = save
        self._samples = samples
        self._reporter = reporter
        self._clock = clock
        self._steps: tuple[int, ...] = ()
        self._first = self._total = 0
        self._began = self._spent = self._last = 0.0
        self._is_told = self._is_full = False

    def begin(self, steps: Sequence[int], first: int, total: int) -> None:
        """The steps are about to be taken.

        Args:
            steps: after which images are made.
            first: the last step that has been taken already.
            total: of the pass.
        """
        self._steps = tuple(sorted(step for step in steps if step > first))
        self._first, self._total, self._began = first, total, self._clock()

    def paused(self, seconds: float) -> None:
        """Time that was not spent on training."""
        self._began += seconds

    def make(self, network: Network, step: int) -> None:
        """The image after a step, and the LoRA beside it, unless that would be too dear. Never ends the run."""
        began = self._clock()
        if self._is_too_dear(step, began):
            if not self._is_told:
                self._is_told = True
                self._reporter.warn("engine.film_thinned", percent=round(100 * plan.SHARE))
            return
        for image in self._previews.make(network, step):
            self._keep(network, step, image.with_suffix(STEP_ENDING))
        self._last = self._clock() - began
        self._spent += self._last

    def _is_too_dear(self, step: int, now: float) -> bool:
        """Whether an image as dear as the last one would bring all so far above their part of the share: after the
        third of nine steps with an image, that is a third of it."""
        trained = now - self._began - self._spent
        whole = trained / max(1, step - self._first) * (self._total - self._first)
        part = (self._steps.index(step) + 1) / len(self._steps)
        # Of the whole run, the images among it.
        return self._last > 0 and self._spent + self._last > plan.SHARE / (1 - min(0.9, plan.SHARE)) * whole * part

    def _keep(self, network: Network, step: int, path: Path) -> None:
        if self._is_full:
            return
        try:
            self._save(network, step, path)
            size = path.stat().st_size
            tidy_steps(self._samples.parent.parent, self._samples)
            self._is_full = shutil.disk_usage(path.parent).free < _SPARE * size
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is worth more than this copy
            self._is_full = True
            reason = error.whole if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self._reporter.warn("engine.film_not_kept", reason=reason)
