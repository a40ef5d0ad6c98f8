"""A job: what is to be trained. Control: what the user asks of it while it runs. Events: what it reports."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .config.redact import publishable
from .config.schema import dump
from .config.settings import Settings
from .errors import Stopped, UserError, as_message
from .text.messages import Message


@dataclass(frozen=True)
class Job:
    """Everything a run is a function of: the same job gives the same file on the same machine."""

    settings: Settings
    created: datetime

    @staticmethod
    def create(settings: Settings, created: datetime | None = None) -> Job:
        """A job made now; a seed of -1 is drawn here, once, and kept.

        ``SOURCE_DATE_EPOCH`` (seconds; reproducible-builds.org) in the environment stands in for the clock.
        """
        if settings.train_seed < 0:
            settings = replace(settings, train_seed=random.SystemRandom().randrange(2**32))
        return Job(settings, created or _now())

    @property
    def name(self) -> str:
        return self.settings.save_lora_name or "untitled"

    @property
    def id(self) -> str:
        """Ten digits' worth of the job's content: what sd-scripts' files call the session id."""
        content = f"{self.created.isoformat()}\n{dump(publishable(self.settings))}".encode()
        return str(int.from_bytes(hashlib.sha256(content).digest()[:4], "big"))


def _now() -> datetime:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdigit():
        return datetime.fromtimestamp(int(given), tz=timezone.utc)
    return datetime.now().astimezone()


class Control:
    """The buttons beside a run. Set from any thread; the run looks at them between steps and within each phase."""

    def __init__(self) -> None:
        # Re-entrant: Ctrl-C presses a button in the middle of whatever its thread was doing, waiting here included.
        self._changed = threading.Condition(threading.RLock())
        self._stop = False
        self._save = False
        self._pause = False
        self._interrupted = False

    def stop(self) -> None:
        """Stop as soon as the current step is done and save nothing."""
        self._set(stop=True, save=False)

    def stop_and_save(self) -> None:
        """Stop as soon as the current step is done and save what has been trained by then."""
        self._set(stop=True, save=True)

    def interrupt(self) -> None:
        """The program ends: stop and save what has been trained by then, and leave out what would take longer.

        A run that was stopped already ends as it was stopped.
        """
        with self._changed:
            self._interrupted = True
            self._set(stop=True, save=self._save or not self._stop)

    def pause(self) -> None:
        """Wait as soon as the current step is done; before the first step, as soon as that could be taken."""
        self._set(pause=True)

    def resume(self) -> None:
        """End the pause."""
        self._set(pause=False)

    def _set(self, *, stop: bool | None = None, save: bool | None = None, pause: bool | None = None) -> None:
        with self._changed:
            self._save = self._save if save is None else save
            self._stop = self._stop if stop is None else stop
            self._pause = self._pause if pause is None else pause
            self._changed.notify_all()

    @property
    def asked_to_stop(self) -> bool:
        return self._stop

    @property
    def asked_to_save(self) -> bool:
        return self._save

    @property
    def is_interrupted(self) -> bool:
        """Whether the program ends, rather than that somebody no longer wants the run."""
        return self._interrupted

    @property
    def asked_to_pause(self) -> bool:
        return self._pause

    def wait(self) -> None:
        """Return when the pause has ended, at once if the job is not paused; stopping ends it, too."""
        with self._changed:
            while self._pause and not self._stop:
                self._changed.wait(1.0)  # without a limit, Ctrl-C would not be heard on Windows

    def check(self) -> None:
        """Raises:
        Stopped: if the user asked for it.
        """
        if self._stop:
            raise Stopped


@dataclass(frozen=True)
class Phase:
    """What the run is doing; ``done`` of ``total`` where that can be counted."""

    message: Message
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class AccountRow:
    """A line of an account.

    Attributes:
        heading: what it is about.
        text: without a full stop where it is no sentence.
        is_odd: whether it is something to look at before the run.
    """

    heading: Message
    text: Message
    is_odd: bool = False


@dataclass(frozen=True)
class Account:
    """What a run is made from, told before its first step. Modes without images may have nothing to tell.

    Attributes:
        facts: the same in a few words, for a single line.
        steps: how many ``train_epochs`` stands for, where a job was asked for it before its run; else 0.
    """

    rows: tuple[AccountRow, ...] = ()
    facts: tuple[Message, ...] = ()
    steps: int = 0


@dataclass(frozen=True)
class TrainsOn:
    """The model is there that the run trains on."""

    name: str


@dataclass(frozen=True)
class Step:
    """One finished training step."""

    number: int
    total: int
    loss: float
    rates: tuple[float, ...]
    """The learning rate of each part of the model that is trained."""
    validation: float | None = None
    """The loss of the validation images after it, where that was measured."""


@dataclass(frozen=True)
class Paused:
    """The run is paused after a step, and the device's memory is free for others."""

    step: int


@dataclass(frozen=True)
class Resumed:
    """The run was resumed after a pause."""

    step: int


@dataclass(frozen=True)
class Preview:
    """An image made while training.

    Attributes:
        number: of its prompt, counted from 1, where there are several.
        prompt: the prompt, where there are several.
    """

    step: int
    path: Path
    number: int = 0
    prompt: str = ""


@dataclass(frozen=True)
class Saved:
    """A LoRA file that is on the disk."""

    path: Path
    step: int


@dataclass(frozen=True)
class Trained:
    """The job's own LoRA is on the disk. What follows only looks at it: whatever happens, the job has its result."""

    path: Path
    steps: int
    stopped: bool


@dataclass(frozen=True)
class Change:
    """How much a LoRA changes the weights of one block, or of the whole model."""

    block: str
    """``BASE``, ``IN01`` … ``OUT11``; empty for the whole model."""
    norm: float
    """Of the update at strength 1: the root of the sum of its squares (Frobenius)."""
    relative: float
    """The same, over the norm of the weights it is added to."""


@dataclass(frozen=True)
class Asked:
    """Whether a LoRA does what was asked of it."""

    changed: int
    """Images that show it."""
    unchanged: int
    """Images that show what was there before. Of the others it cannot be told."""
    images: int
    words: tuple[Message, ...]
    """The same in sentences, and what to change."""
    kept: int | None = None
    """Of as many images of other words, those that are nearly as the base makes them; None: it was not looked at."""
    lost: int = 0
    """Of the same, those that are clearly others."""
    empty_moved: int | None = None
    """Of as many images of the empty prompt, those that differ from the base's; None: it was not looked at."""
    shown: Message | None = None
    """What the strip shows of it, in a sentence; None: nothing."""


@dataclass(frozen=True)
class Effect:
    """What a saved LoRA does: measured on the file itself, so with its precision."""

    path: Path
    whole: Change
    blocks: tuple[Change, ...]
    """In the model's order."""
    strip: Path | None = None
    """A sheet of images at strength -1, 0 and +1, if they were made; below them those in which it was looked at whether
    the LoRA does what was asked."""
    prompt: str = ""
    """Their prompt."""
    differences: tuple[tuple[float, float], ...] = ()
    """Strength, and how far its image is from the one at 0: the mean over all pixels, in levels of 255."""
    asked: Asked | None = None
    """Where it can be measured, and images are made."""

    def strongest(self, count: int = 3) -> list[Change]:
        """The blocks that are changed most, for their size."""
        return sorted(self.blocks, key=lambda change: -change.relative)[:count]


@dataclass(frozen=True, init=False)
class Warned:
    """Something the user should know; it does not end the run."""

    message: Message

    def __init__(self, key: str | Message, /, **values: Any) -> None:
        object.__setattr__(self, "message", as_message(key, values))


@dataclass(frozen=True, init=False)
class Detail:
    """What only ``logging_verbose`` reports."""

    message: Message

    def __init__(self, key: str | Message, /, **values: Any) -> None:
        object.__setattr__(self, "message", as_message(key, values))


@dataclass(frozen=True)
class Done:
    """The run has ended well, or was stopped."""

    path: Path | None
    steps: int
    stopped: bool


@dataclass(frozen=True)
class Failed:
    """The run ended with an error."""

    error: UserError


Event = (
    Phase
    | Account
    | TrainsOn
    | Step
    | Paused
    | Resumed
    | Preview
    | Saved
    | Trained
    | Effect
    | Warned
    | Detail
    | Done
    | Failed
)
Listener = Callable[[Event], None]
