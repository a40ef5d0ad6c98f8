"""Jobs whose run was broken off are continued: from the queue, by the worker, with their own files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.run import run
from trainer.errors import UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Failed, Paused, Step
from trainer.jobs.store import DONE, FAILED, INTERRUPTED, STOPPED, WAITING, Entry, Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.reports.log import read_log

WAIT = 60.0


@pytest.fixture
def settings(model: Path) -> Callable[..., Settings]:
    given = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64), network_rank=2, network_alpha=2.0, network_element="CrossAttention",
        network_blocks=("M00",), train_iterations=8, train_batch_size=1, train_learning_rate=1e-2, train_seed=3,
        effect_strip=False, logging_save_csv=True, save_per_steps=2,
    )  # fmt: skip
    return lambda name="a", **changes: replace(given, save_lora_name=name, **changes)


@pytest.fixture
def store(folders: Folders) -> Iterator[Store]:
    opened = Store(folders, timeout=1.0)
    yield opened
    opened.close()


def worked(store: Store, begin: Callable[[Worker], object], react: Callable[[Worker, Event], object]) -> list[Event]:
    """The events of one program that works on the queue and is closed at its end."""
    events: list[Event] = []

    def listen(_entry: Entry, event: Event) -> None:
        events.append(event)
        react(worker, event)

    worker = Worker(store, lambda: Standalone(torch.device("cpu"), store.folders), listen)
    begin(worker)
    assert worker.join(WAIT)
    worker.close()
    return events


def at_step(number: int, press: Callable[[Worker], object]) -> Callable[[Worker, Event], None]:
    def react(worker: Worker, event: Event) -> None:
        if isinstance(event, Step) and event.number == number:
            thread = threading.Thread(target=press, args=[worker])
            thread.start()
            thread.join(WAIT)

    return react


def nothing(_worker: Worker, _event: Event) -> None:
    """Let it run."""


def interrupted_at(store: Store, number: int) -> Entry:
    worked(store, Worker.start, at_step(number, Worker.interrupt))
    return store.entries()[0]


def undisturbed(store: Store, number: int, folder: Path) -> dict[str, bytes]:
    alone = Standalone(torch.device("cpu"), Folders(folder, folder / "loras", store.folders.models))
    run(store.job(number), alone, Control(), lambda _event: None)
    return files_of(alone.folders)


def files_of(folders: Folders) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folders.loras.iterdir())}


def states(store: Store) -> list[Path]:
    return [path for path in store.folders.data.rglob("states/**/*") if path.is_file()]


def test_an_interrupted_job_is_continued_and_gives_what_it_would_have_given(
    store: Store, settings, tmp_path: Path
) -> None:
    number = store.add(settings()).id
    entry = interrupted_at(store, 5)
    assert (entry.status, entry.can_continue, entry.continue_at) == (INTERRUPTED, True, 5)
    assert entry.path == store.folders.lora("a")
    assert store.broken_off() == entry
    events = worked(store, lambda worker: worker.continue_now(number), nothing)
    assert [event.number for event in events if isinstance(event, Step)] == [6, 7, 8]
    entry = store.get(number)
    assert (entry.status, entry.can_continue, entry.path) == (DONE, False, store.folders.lora("a"))
    assert files_of(store.folders) == undisturbed(store, number, tmp_path / "alone")
    assert states(store) == []
    assert store.broken_off() is None
    for kind in ("runs", "logs"):
        (log,) = store.folders.data.glob(f"{kind}/*/*.csv")
        assert read_log(log).rows["Step"].tolist() == list(range(1, 9))


def test_what_was_stopped_and_saved_is_continued_too(store: Store, settings, tmp_path: Path) -> None:
    number = store.add(settings()).id
    worked(store, Worker.start, at_step(3, Worker.stop_and_save))
    entry = store.get(number)
    assert (entry.status, entry.continue_at) == (STOPPED, 3)
    worked(store, lambda worker: worker.continue_now(number), nothing)
    assert store.get(number).status == DONE
    assert files_of(store.folders) == undisturbed(store, number, tmp_path / "alone")


def test_what_was_stopped_without_saving_is_not_wanted_any_more(store: Store, settings) -> None:
    number = store.add(settings()).id
    worked(store, Worker.start, at_step(3, Worker.stop))
    assert not store.get(number).can_continue
    assert states(store) == []
    with pytest.raises(UserError, match="has no state to continue from"):
        store.resume(number)


def test_a_restart_continues_what_its_program_ended(store: Store, settings) -> None:
    for name in "abc":
        store.add(settings(name))
    worked(store, lambda worker: worker.run_now(2), at_step(3, Worker.stop_and_save))
    worked(store, lambda worker: worker.run_now(1), at_step(3, Worker.close))

    def begin(worker: Worker) -> None:
        assert (worker.continue_broken_off(), worker.continue_broken_off()) == (1, 0)

    events = worked(store, begin, nothing)
    assert next(event.number for event in events if isinstance(event, Step)) == 4
    assert {entry.name: entry.status for entry in store.entries()} == {"a": DONE, "b": STOPPED, "c": WAITING}


def test_a_pause_that_a_kill_ends_can_be_continued(store: Store, settings) -> None:
    number = store.add(settings()).id
    found: list[bool] = []

    def react(worker: Worker, event: Event) -> None:
        at_step(4, Worker.pause)(worker, event)
        if isinstance(event, Paused):
            deadline = time.monotonic() + WAIT
            while not states(store) and time.monotonic() < deadline:  # it is written while the run waits
                time.sleep(0.01)
            found.append(bool(states(store)))
            worker.close()

    worked(store, Worker.start, react)
    assert found == [True]
    assert store.get(number).continue_at == 4


@pytest.mark.parametrize("how", ["delete", "clear", "edit"])
def test_a_state_goes_with_its_job(store: Store, settings, how: str) -> None:
    number = store.add(settings()).id
    interrupted_at(store, 3)
    store.folders.lora("a").unlink()
    assert len(states(store)) == 1
    if how == "delete":
        store.delete(number)
    elif how == "clear":
        assert store.clear([INTERRUPTED]) == 1
    else:
        assert store.edit(number, settings(network_rank=4)).status == WAITING
    assert states(store) == []


def test_a_state_that_is_left_of_a_job_that_is_done_is_tidied(store: Store, settings) -> None:
    for name in "ab":
        store.add(settings(name))
    interrupted_at(store, 3)
    (state,) = states(store)
    content = state.read_bytes()
    worked(store, lambda worker: worker.continue_now(1), nothing)
    worked(store, Worker.start, at_step(3, Worker.interrupt))
    state.write_bytes(content)  # as if it had been killed in between
    assert len(states(store)) == 2
    assert not store.get(1).can_continue
    assert store.tidy() == 1
    assert store.get(2).can_continue


def test_a_state_that_does_not_fit_says_why_and_what_to_do(store: Store, settings) -> None:
    number = store.add(settings()).id
    interrupted_at(store, 3)
    (state,) = states(store)
    content = bytearray(state.read_bytes())
    content[-5] ^= 1
    state.write_bytes(content)
    events = worked(store, lambda worker: worker.continue_now(number), nothing)
    entry = store.get(number)
    assert entry.status == FAILED
    assert "is damaged" in str(entry.message)
    assert isinstance(events[-1], Failed)
    state.write_bytes(b"nothing")
    assert store.get(number).can_continue, "whoever presses it is told"
    worked(store, lambda worker: worker.run_now(number), nothing)  # from its beginning
    assert store.get(number).status == DONE
    assert states(store) == []


def test_again_begins_anew_and_resume_is_forgotten_by_then(store: Store, settings) -> None:
    number = store.add(settings()).id
    interrupted_at(store, 3)
    assert store.resume(number).resume
    assert (store.get(number).status, store.get(number).position) == (WAITING, 1)
    events = worked(store, Worker.start, at_step(5, Worker.interrupt))
    assert [event.number for event in events if isinstance(event, Step)] == [4, 5]
    assert not store.again(number).resume
    events = worked(store, Worker.start, nothing)
    assert [event.number for event in events if isinstance(event, Step)] == list(range(1, 9))
    written = store.folders.data.glob("*/*/*")
    kinds = sorted((path.parts[-3], path.suffix) for path in written if path.parts[-3] in ("runs", "logs"))
    assert kinds == [("logs", ".csv"), ("runs", ".csv"), ("runs", ".txt")], "its own are written over"


def test_what_runs_or_waits_or_is_done_cannot_be_continued(store: Store, settings) -> None:
    number = store.add(settings()).id
    with pytest.raises(UserError, match="is waiting"):
        store.resume(number)
    worked(store, Worker.start, nothing)
    with pytest.raises(UserError, match="is done"):
        store.resume(number)
