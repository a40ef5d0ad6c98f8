"""What late comers see of a run: phases, steps, speed, losses, whatever was told before they came."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pandas as pd
import pytest

from trainer.errors import UserError
from trainer.job import Change, Done, Effect, Failed, Paused, Phase, Preview, Resumed, Saved, Step, Warned
from trainer.jobs.memory import Memory
from trainer.jobs.run_status import MOST_POINTS, RunStatus
from trainer.text.messages import literal, message


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def steps(
    status: RunStatus, losses: list[float], *, clock: Clock | None = None, seconds: float = 1.0, begin: int = 1
) -> None:
    for number, loss in enumerate(losses, begin):
        if clock:
            clock.now += seconds
        status(Step(number, 5000, loss, (1e-3 / number, 2e-3)))


def test_a_run_from_its_beginning_to_its_end() -> None:
    clock = Clock()
    status = RunStatus(clock)
    assert (status.snapshot().state, status.snapshot().step, status.snapshot().loss) == ("running", 0, None)
    status(Phase(message("phase.encoding_images"), 12, 40))
    now = status.snapshot()
    assert (str(now.phase), now.done, now.total) == ("encoding the images", 12, 40)
    status(Warned(literal("Take care.")))
    status(Phase(message("phase.training"), 0, 5000))
    steps(status, [3.0, 1.0], clock=clock)
    status(Preview(2, Path("two.png")))
    status(Saved(Path("x_2steps.safetensors"), 2))
    now = status.snapshot()
    assert (str(now.phase), now.done, now.total, now.step, now.steps) == ("training", 2, 5000, 2, 5000)
    assert (now.loss, now.rates) == (1.0, (5e-4, 2e-3))
    assert list(map(str, now.warnings)) == ["Take care."]
    assert now.images == (Preview(2, Path("two.png")),)
    assert now.saved == (Saved(Path("x_2steps.safetensors"), 2),)
    effect = Effect(Path("x"), Change("", 1.0, 0.1), ())
    status(effect)
    clock.now += 5
    status(Done(Path("x"), 2, stopped=False))
    clock.now += 500
    now = status.snapshot()
    assert (now.state, now.path, now.effect, now.seconds) == ("done", Path("x"), effect, 7.0)


def test_a_continued_run_tells_what_was_done_before() -> None:
    status = RunStatus(Clock())
    assert status.snapshot().before == 0
    steps(status, [1.0] * 3, begin=281)
    assert status.snapshot().before == 280
    steps(status, [1.0] * 3)  # the next of several passes, which is done here from its beginning
    assert status.snapshot().before == 0


def test_each_event_gives_another_number_and_nothing_else_does() -> None:
    status = RunStatus()
    assert status.snapshot().number == status.snapshot().number == 0
    status(Phase(message("phase.loading_lora")))
    status(Step(1, 2, 1.0, (1.0,)))
    assert status.snapshot().number == 2


@pytest.mark.parametrize(("stopped", "state"), [(True, "stopped"), (False, "done")])
def test_ends(stopped: bool, state: str) -> None:
    status = RunStatus()
    status(Done(None, 3, stopped=stopped))
    assert status.snapshot().state == state


def test_a_failure_is_told() -> None:
    status = RunStatus()
    status(Failed(UserError(literal("is full."), where="disk")))
    now = status.snapshot()
    assert (now.state, str(now.message)) == ("failed", "disk: is full.")


def test_smoothing_is_that_of_the_plot() -> None:
    generator = random.Random(1)
    losses = [generator.random() for _ in range(300)]
    status = RunStatus()
    steps(status, losses)
    wanted = pd.Series(losses).ewm(alpha=0.05, adjust=True).mean()
    assert status.snapshot().smoothed == pytest.approx(wanted.iloc[-1])
    assert [point.smoothed for point in status.curve()] == pytest.approx(wanted.tolist())


def test_speed_and_time_left() -> None:
    clock = Clock()
    status = RunStatus(clock)
    steps(status, [1.0], clock=clock)
    assert status.snapshot().steps_per_second is None
    steps(status, [1.0] * 40, clock=clock, seconds=4.0, begin=2)  # slow at first, forgotten after a minute
    steps(status, [1.0] * 140, clock=clock, seconds=0.5, begin=42)
    now = status.snapshot()
    assert now.steps_per_second == pytest.approx(2.0)
    assert now.seconds_left == pytest.approx((5000 - 181) / 2.0)


def test_a_pause_does_not_slow_a_run_down() -> None:
    clock = Clock()
    status = RunStatus(clock)
    steps(status, [1.0] * 10, clock=clock, seconds=0.5)
    status(Paused(10))
    clock.now += 3600
    assert (status.snapshot().state, status.snapshot().steps_per_second) == ("paused", None)
    status(Resumed(10))
    steps(status, [1.0] * 10, clock=clock, seconds=0.5, begin=11)
    now = status.snapshot()
    assert (now.state, now.steps_per_second) == ("running", pytest.approx(2.0))
    assert now.seconds == pytest.approx(3610)


@pytest.mark.parametrize("count", [1, 2, MOST_POINTS - 1, MOST_POINTS, MOST_POINTS + 1, 13001])
def test_the_curve_is_bounded_and_loses_no_loss(count: int) -> None:
    losses = [float(number % 7) for number in range(count)]
    status = RunStatus()
    steps(status, losses)
    points = status.curve()
    assert len(points) <= MOST_POINTS
    ends = [0, *(point.step for point in points)]
    assert ends[-1] == count
    for begin, point in zip(ends, points, strict=False):
        assert point.loss == pytest.approx(sum(losses[begin : point.step]) / (point.step - begin))
        assert point.rates == (1e-3 / point.step, 2e-3)
    wanted = pd.Series(losses).ewm(alpha=0.05, adjust=True).mean()
    assert [point.smoothed for point in points] == pytest.approx([wanted[point.step - 1] for point in points])


def test_the_next_pass_begins_a_curve_of_its_own() -> None:
    status = RunStatus()
    steps(status, [5.0] * 9)
    steps(status, [1.0, 2.0])
    assert [(point.step, point.loss) for point in status.curve()] == [(1, 1.0), (2, 2.0)]
    assert status.snapshot().step == 2


def test_a_flood_of_warnings_and_pictures_is_bounded() -> None:
    status = RunStatus()
    for number in range(5000):
        status(Warned(literal(str(number))))
        status(Preview(number, Path(f"{number}.png")))
    now = status.snapshot()
    assert len(now.warnings) <= 100
    assert str(now.warnings[-1]) == "4999"
    assert len(now.images) <= 100
    assert now.images[-1].step == 4999


def test_many_may_look_while_it_runs() -> None:
    status, wrong = RunStatus(), []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            now = status.snapshot()
            points = status.curve()
            if now.step and (now.loss != float(now.step) or now.number < now.step):
                wrong.append(now)
            if points and points[-1].step < now.step:
                wrong.append(points[-1])

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    steps(status, [float(number) for number in range(1, 3001)])
    ended.set()
    for looker in lookers:
        looker.join()
    assert not wrong


def test_memory_is_read_for_whoever_looks_and_kept_when_the_run_has_ended() -> None:
    readings = [Memory(5, 7, 9, "cuda"), Memory(6, 7, 9, "cuda")]
    status = RunStatus(Clock(), lambda: readings.pop(0))
    steps(status, [1.0] * 20)
    assert len(readings) == 2
    assert status.snapshot().memory == Memory(5, 7, 9, "cuda")
    assert status.snapshot().memory == Memory(6, 7, 9, "cuda")
    status(Done(Path("a.safetensors"), 20, stopped=False))
    assert status.snapshot().memory == Memory(6, 7, 9, "cuda")
