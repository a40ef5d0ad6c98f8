"""What is known about the chosen model, found in the background: no click waits for torch or a disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from ...config.settings import Settings
from ...errors import UserError
from ...paths import kept_traceback
from ...text.messages import Message

if TYPE_CHECKING:
    from ...engine.host import Host

_HOLDS = 5.0
"""Seconds after which an answer is looked up again: the host may have loaded another model, the file may be another."""
_PATIENCE, _MOST_AT_ONCE = 5.0, 8
"""Seconds after which an answer is no longer waited for before another question, as with a file on a drive that has
gone; and how many may be waited for like that."""


@dataclass(frozen=True)
class Advice:
    """About one model in one mode.

    Attributes:
        label: the model in words; None if it cannot be trained on.
        problem: why not; else None.
        defaults: settings by short name that suit it better than the mode's defaults.
        facts, doubts: what is found out about it; see :class:`.models.about.About`.
    """

    label: Message | None = None
    problem: Message | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[Message, ...] = ()
    doubts: tuple[Message, ...] = ()


@dataclass(frozen=True)
class _Question:
    mode: str
    model: str
    vae: str
    prediction: str
    network_resume: str

    @property
    def settings(self) -> Settings:
        return Settings(**asdict(self))


DECISIVE: Final = tuple(each.name for each in fields(_Question))
"""The settings, by short name, that decide which defaults suit."""


def _question_of(settings: Settings) -> _Question:
    return _Question(**{name: getattr(settings, name) for name in DECISIVE})


class Advisor:
    """Answers at once with what it knows, and looks up the rest meanwhile. Any thread may ask."""

    def __init__(self, host: Callable[[], Host], clock: Callable[[], float] = time.monotonic) -> None:
        """Store how to reach the host; nothing is looked up yet.

        Args:
            host: may take seconds the first time.
        """
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._answers: dict[_Question, tuple[float, Advice]] = {}
        self._open: list[_Question] = []
        self._latest: _Question | None = None
        self._number = 0
        self._looking: dict[_Question, float] = {}

    def on(self, settings: Settings) -> Advice | None:
        """What is known about the settings' model; None until something is."""
        question = _question_of(settings)
        with self._lock:
            self._latest = question
            return self._look(question)

    def soon(self, settings: Settings, patience: float = _PATIENCE) -> Advice | None:
        """What is known about the settings' model, once it has been looked at; None if that takes longer.

        Args:
            patience: seconds.
        """
        question = _question_of(settings)
        with self._answered:
            self._look(question)
            self._answered.wait_for(lambda: question in self._answers, patience)
            return self._answers.get(question, (0.0, None))[1]

    @property
    def number(self) -> int:
        """Grows with every change of an answer."""
        return self._number

    def status(self) -> dict[str, Any]:
        """:attr:`number`, as ``advice``."""
        with self._lock:
            if self._latest is not None and not self._latest.model:  # the host may load another one at any time
                self._look(self._latest)
            return {"advice": self._number}

    def _look(self, question: _Question) -> Advice | None:
        moment, known = self._answers.get(question, (-_HOLDS, None))
        if known is None or self._clock() - moment > _HOLDS:
            self._ask(question)
        return known

    def _ask(self, question: _Question) -> None:
        if question not in self._open:
            self._open.append(question)
        is_waiting = question not in self._looking
        stuck = sum(self._clock() - began > _PATIENCE for began in self._looking.values())
        if is_waiting and stuck == len(self._looking) < _MOST_AT_ONCE:
            self._begin(question)

    def _begin(self, question: _Question) -> None:
        self._looking[question] = self._clock()
        threading.Thread(target=self._work, args=(question,), name="trainyard-advice", daemon=True).start()

    def _work(self, question: _Question) -> None:
        while True:
            found = self._find(question)
            with self._lock:
                self._open.remove(question)
                began = self._looking.pop(question)  # what was true then may be over
                _, before = self._answers.get(question, (0.0, None))
                self._answers[question] = (began, found)
                self._number += found != before
                self._answered.notify_all()
                waiting = [each for each in self._open if each not in self._looking]
                if not waiting:
                    return
                question = waiting[-1]  # the newest matters most
                self._looking[question] = self._clock()

    def _find(self, question: _Question) -> Advice:
        try:
            host = self._host()
            found = host.check_model(question.settings)
            return Advice(found.label, None, dict(host.defaults(question.settings)), *found.about)
        except UserError as error:
            return Advice(problem=error.whole)
        except Exception as error:  # noqa: BLE001 - a bug of ours, or of a library: reported, and the page lives on
            return Advice(problem=kept_traceback(error))
