"""Programs that draw a run's losses beside our own log: TensorBoard, Weights & Biases. Imported when asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from ..config.choices import load
from ..config.redact import publishable
from ..config.schema import to_json
from ..config.settings import Settings
from ..errors import UserError
from ..job import Step
from ..text.messages import label

PACKAGES: Final[Mapping[str, str]] = {"logging_tensorboard": "tensorboard", "logging_wandb": "wandb"}
"""Which package a setting needs."""
_WRITERS: Final[Mapping[str, str]] = {
    "logging_tensorboard": "torch.utils.tensorboard:SummaryWriter", "logging_wandb": "wandb:init",
}  # fmt: skip
"""What is called of it."""


class Tracker(Protocol):
    """One that is open."""

    name: str

    def add(self, step: Step) -> None:
        """Record a step."""

    def close(self) -> None:
        """Write what is left."""


class TensorBoard:
    """Writes a run into a folder of its own.

    Args:
        folder: of the run.
        first: the step that is recorded first; what an earlier part of the run has recorded from there on is left out.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path, first: int) -> None:
        self._writer = load(_WRITERS["logging_tensorboard"])(str(folder), purge_step=first)

    def add(self, step: Step) -> None:
        for name, value in values_of(step).items():
            self._writer.add_scalar(name, value, step.number)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """Writes a run into a folder, and sends nothing unless ``WANDB_MODE`` says so.

    Args:
        folder: for the files of all runs.
        name: of the run.
        key: under which a run that is continued is known again.
    """

    name = "Weights & Biases"

    def __init__(self, folder: Path, name: str, key: str, settings: Settings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._run = load(_WRITERS["logging_wandb"])(
            project="trainyard",
            name=name,
            id=key,
            resume="allow",
            dir=str(folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            config=to_json(publishable(settings)),
            reinit=True,
        )

    def add(self, step: Step) -> None:
        self._run.log(values_of(step), step=step.number)

    def close(self) -> None:
        self._run.finish()


def values_of(step: Step) -> dict[str, float]:
    """What is recorded of a step, by its name."""
    found = {"loss": step.loss} | {f"learning rate/{number}": rate for number, rate in enumerate(step.rates, 1)}
    return found if step.validation is None else {**found, "validation loss": step.validation}


def require(settings: Settings) -> None:
    """Refuse to record for a program that is not installed.

    Raises:
        UserError: its package is missing or broken.
    """
    for name, package in PACKAGES.items():
        if getattr(settings, name):
            try:
                load(_WRITERS[name])
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise UserError("engine.tracker_missing", where=label(name), package=package, reason=reason) from error
