"""What is known of the model: never waited for, the newest question first, and news only where something is new."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from trainer.config.settings import Settings
from trainer.errors import ModelError
from trainer.text.messages import Message, literal
from trainer.web.services.advice import Advice, Advisor


class Choice(NamedTuple):
    label: Message
    family: str
    about: tuple[tuple[Message, ...], tuple[Message, ...]] = ((), (literal("a doubt"),))


class SlowHost:
    """Answers when it is let; the model called ``broken`` is none."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.loaded = "first"
        self.asked: list[str] = []

    def check_model(self, settings: Settings) -> Choice:
        self.asked.append(settings.model)
        assert self.let.wait(30)
        if settings.model == "broken":
            raise ModelError(literal("is no checkpoint."), where="broken")
        return Choice(literal(settings.model or self.loaded), "SDXL")

    def defaults(self, settings: Settings) -> dict[str, Any]:
        return {"train_learning_rate": 2e-4} if settings.mode == "ADDifT" else {}


def until(holds: Callable[[], bool]) -> None:
    waited = threading.Event()
    while not holds():
        waited.wait(0.01)


def test_nobody_waits_for_an_answer() -> None:
    host = SlowHost()
    advisor = Advisor(lambda: host)  # type: ignore[arg-type, return-value]
    assert advisor.on(Settings(mode="ADDifT", model="a")) is None
    assert advisor.on(Settings(model="b")) is None
    assert advisor.status() == {"advice": 0}
    host.let.set()
    until(lambda: advisor.number == 2)
    assert advisor.on(Settings(mode="ADDifT", model="a")) == Advice(
        literal("a"), None, {"train_learning_rate": 2e-4}, doubts=(literal("a doubt"),)
    )
    assert advisor.on(Settings(model="b")) == Advice(literal("b"), doubts=(literal("a doubt"),))


def test_whoever_needs_an_answer_gets_it_and_does_not_wait_for_ever() -> None:
    host = SlowHost()
    advisor = Advisor(lambda: host)  # type: ignore[arg-type, return-value]
    chosen = Settings(mode="ADDifT", model="a")
    assert advisor.soon(chosen, patience=0.05) is None
    threading.Timer(0.05, host.let.set).start()
    found = advisor.soon(chosen, patience=30)
    assert found is not None
    assert found.defaults == {"train_learning_rate": 2e-4}
    assert host.asked == ["a"]
    assert advisor.soon(chosen, patience=0) == found


def test_a_question_that_finds_no_answer_holds_up_no_other() -> None:
    """As about a file on a network drive that has gone."""
    host, now = SlowHost(), [0.0]
    advisor = Advisor(lambda: host, lambda: now[0])  # type: ignore[arg-type, return-value]
    advisor.on(Settings(model="gone"))
    until(lambda: host.asked == ["gone"])
    advisor.on(Settings(model="a"))
    assert host.asked == ["gone"]
    now[0] = 6.0
    advisor.on(Settings(model="gone"))
    advisor.on(Settings(model="a"))
    until(lambda: host.asked == ["gone", "a"])
    host.let.set()
    until(lambda: advisor.number == 2)
    assert host.asked == ["gone", "a"]


def test_the_newest_question_is_answered_first() -> None:
    host = SlowHost()
    advisor = Advisor(lambda: host)  # type: ignore[arg-type, return-value]
    advisor.on(Settings(model="a"))
    until(lambda: host.asked == ["a"])  # it is busy with that one
    for model in ("b", "c"):
        advisor.on(Settings(model=model))
    host.let.set()
    until(lambda: advisor.number == 3)
    assert host.asked.index("c") < host.asked.index("b")


def test_a_model_that_cannot_be_used_is_told() -> None:
    host = SlowHost()
    host.let.set()
    advisor = Advisor(lambda: host)  # type: ignore[arg-type, return-value]
    advisor.on(Settings(model="broken"))
    until(lambda: advisor.number == 1)
    advice = advisor.on(Settings(model="broken"))
    assert (advice.label, str(advice.problem)) == (None, "broken: is no checkpoint.")


def test_another_model_that_a_host_has_loaded_is_news_and_the_same_one_is_not() -> None:
    host, now = SlowHost(), [0.0]
    host.let.set()
    advisor = Advisor(lambda: host, lambda: now[0])  # type: ignore[arg-type, return-value]
    advisor.on(Settings())
    until(lambda: advisor.number == 1)
    now[0] += 10
    advisor.status()
    until(lambda: len(host.asked) == 2)
    now[0] += 10
    host.loaded = "second"
    until(lambda: advisor.status() == {"advice": 2})  # the page asks again and again
    found = advisor.on(Settings())
    assert found is not None
    assert str(found.label) == "second"
