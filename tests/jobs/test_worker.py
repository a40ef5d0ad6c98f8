"""The queue's worker with real training on a small checkpoint: order, buttons, failures, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
from trainer.errors import OutputError, UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Done, Event, Failed, Paused, Resumed, Step, Trained
from trainer.jobs import worker as queue_module
from trainer.jobs.database import BusyError
from trainer.jobs.store import DONE, FAILED, INTERRUPTED, RUNNING, STOPPED, WAITING, Entry, Store
from trainer.jobs.worker import Worker, held_worker
from trainer.paths import Folders
from trainer.text.messages import literal

ROOT = Path(__file__).resolve().parents[2]
LONG = 100_000
WAIT = 60.0


@pytest.fixture
def settings(model: Path) -> Callable[..., Settings]:
    given = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        network_rank=2, network_alpha=2.0, network_element="CrossAttention", network_blocks=("M00",),
        train_iterations=3, train_batch_size=1, train_learning_rate=1e-2, train_seed=3, effect_strip=False,
    )  # fmt: skip
    return lambda name, **changes: replace(given, save_lora_name=name, **changes)


@pytest.fixture
def store(folders: Folders) -> Iterator[Store]:
    opened = Store(folders, timeout=1.0)
    yield opened
    opened.close()


class Watched:
    """A worker whose events are kept, and that reacts to them."""

    def __init__(self, store: Store) -> None:
        self.events: list[tuple[str, Event]] = []
        self.react: Callable[[Entry, Event], object] = lambda _entry, _event: None
        self.hosts = 0
        self._store = store
        self.worker = Worker(store, self._make_host, self._listen)

    def _make_host(self) -> Standalone:
        self.hosts += 1
        return Standalone(torch.device("cpu"), self._store.folders)

    def _listen(self, entry: Entry, event: Event) -> None:
        self.events.append((entry.name, event))
        self.react(entry, event)

    def at_step(self, number: int, press: Callable[[], object], *, of: str = "") -> None:
        """Press a button in another thread, as soon as a step is done."""

        def react(entry: Entry, event: Event) -> None:
            if isinstance(event, Step) and event.number == number and of in ("", entry.name):
                thread = threading.Thread(target=press)
                thread.start()
                thread.join(WAIT)

        self.react = react

    def began(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.events))

    def wait_for(self, kind: type) -> None:
        deadline = time.monotonic() + WAIT
        while not any(isinstance(event, kind) for _, event in list(self.events)):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def watched(store: Store) -> Iterator[Watched]:
    made = Watched(store)
    yield made
    made.worker.close()


def statuses(store: Store) -> dict[str, str]:
    return {entry.name: entry.status for entry in store.entries()}


# ---- jobs in turn ---------------------------------------------------------------------------------------------------


def test_jobs_run_in_their_order_and_a_failed_one_does_not_stop_the_next(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        changes = {"b": {"model": "nowhere.ckpt"}, "c": {"train_learning_rate": 1e30, "train_iterations": 30}}
        store.add(settings(name, train_lr_scheduler="constant", **changes.get(name, {})))
    store.move(4, 1)
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert watched.began() == ["d", "a", "b", "c"]
    assert statuses(store) == {"d": DONE, "a": DONE, "b": FAILED, "c": FAILED}
    assert watched.hosts == 1
    entries = {entry.name: entry for entry in store.entries()}
    assert (entries["a"].path, entries["a"].step) == (store.folders.lora("a"), 3)
    assert entries["a"].path.exists()
    assert str(entries["b"].message).startswith("model: There is no file nowhere.ckpt")
    assert "NaN or infinite" in str(entries["c"].message)
    assert entries["c"].step > 0
    assert not watched.worker.is_running
    assert not watched.worker.is_started


def test_a_job_from_the_queue_gives_the_file_it_gives_alone(
    store: Store, settings, watched: Watched, tmp_path: Path
) -> None:
    entry = store.add(replace(settings("x"), train_seed=-1))
    job = store.job(entry.id)
    watched.worker.start()
    watched.worker.join(WAIT)
    alone = Standalone(torch.device("cpu"), replace(store.folders, loras=tmp_path / "alone"))
    done = run(job, alone, Control(), lambda _event: None)
    assert store.get(entry.id).path.read_bytes() == done.path.read_bytes()


def test_a_bug_ends_its_job_and_is_kept(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    store.add(settings("a"))
    store.add(settings("b"))

    def react(entry: Entry, event: Event) -> None:
        if entry.name == "a" and isinstance(event, Step):
            raise RuntimeError("a bug")

    watched.react = react
    watched.worker.start()
    watched.worker.join(WAIT)
    assert statuses(store) == {"a": FAILED, "b": DONE}
    message = str(store.get(1).message)
    assert message.startswith("Something went wrong that should not have (RuntimeError: a bug). Please report it")
    (kept,) = tmp_path.glob("trainyard-error-*.txt")
    assert str(kept) in message
    assert "Traceback" in kept.read_text()
    assert sum(isinstance(event, Failed) for name, event in watched.events if name == "a") == 1


def test_a_terminal_that_was_closed_does_not_end_a_job(store: Store, settings, watched: Watched) -> None:
    def react(_entry: Entry, event: Event) -> None:
        if isinstance(event, Step):
            raise BrokenPipeError(32, "Broken pipe")

    store.add(settings("a"))
    watched.react = react
    watched.worker.start()
    watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE}
    assert "Broken pipe" in str(watched.worker.run_status.snapshot().warnings[-1])


def test_a_host_that_cannot_be_had_fails_the_job(store: Store, settings) -> None:
    def none() -> Standalone:
        raise UserError(literal("there is no cuda:7."), where="device")

    store.add(settings("a"))
    worker = Worker(store, none)
    worker.start()
    worker.join(WAIT)
    assert (store.get(1).status, str(store.get(1).message)) == (FAILED, "device: there is no cuda:7.")
    assert worker.run_status.snapshot().state == "failed"
    worker.close()


def test_libraries_are_loaded_by_one_thread_at_a_time_and_once(store: Store) -> None:
    entered, let = threading.Event(), threading.Event()
    loads: list[str] = []

    class SlowHost:
        def prepare(self) -> None:
            loads.append(threading.current_thread().name)
            entered.set()
            assert let.wait(30)

    worker = Worker(store, SlowHost)  # type: ignore[arg-type]
    worker.prepare()
    assert entered.wait(30)
    others = [threading.Thread(target=worker.ready_host, name=f"other {number}") for number in range(3)]
    for other in others:
        other.start()
    worker.host()  # what needs no libraries does not wait
    assert all(other.is_alive() for other in others)
    let.set()
    for other in others:
        other.join(30)
    assert loads == ["trainyard-prepare"]
    worker.close()


def test_settings_that_cannot_be_read_fail_their_job(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(settings("a"))
    store.add(settings("b"))
    with store._database.transaction() as connection:
        connection.execute("UPDATE job SET settings = '{' WHERE id = 1")
    watched.worker.start()
    watched.worker.join(WAIT)
    assert statuses(store) == {"a": FAILED, "b": DONE}


def test_jobs_that_come_later_are_taken_with_watch(store: Store, settings, watched: Watched) -> None:
    watched.worker.start(watch=True)
    assert not watched.worker.join(0.2)
    other = Store(store.folders)  # another program
    other.add(settings("late"))
    watched.wait_for(Done)
    assert not watched.worker.join(0.2)
    watched.worker.hold()
    assert watched.worker.join(WAIT)
    assert statuses(other) == {"late": DONE}
    other.close()


def test_hold_takes_no_more_and_start_goes_on(store: Store, settings, watched: Watched) -> None:
    for name in "abc":
        store.add(settings(name))
    watched.at_step(1, watched.worker.hold)
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE, "b": WAITING, "c": WAITING}
    watched.react = lambda _entry, _event: None
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert set(statuses(store).values()) == {DONE}


def test_start_again_and_again_loses_no_job(store: Store, settings, watched: Watched) -> None:
    """A job added in the moment the thread ends is run all the same."""
    for number in range(4):
        store.add(settings(f"x{number}", train_iterations=1))
        watched.worker.start()
        time.sleep(0.3 * number)
    assert watched.worker.join(WAIT)
    assert set(statuses(store).values()) == {DONE}


def test_run_this_one_now(store: Store, settings, watched: Watched) -> None:
    for name in "abcd":
        store.add(settings(name))
    begins: list[bool] = []
    watched.at_step(1, lambda: begins.append(watched.worker.run_now(4)), of="c")
    assert watched.worker.run_now(3)
    assert watched.worker.join(WAIT)
    assert watched.began() == ["c", "d"]
    assert begins == [False], "it waits for the one that runs"
    assert statuses(store) == {"d": DONE, "c": DONE, "a": WAITING, "b": WAITING}
    with pytest.raises(UserError, match="c: It is done"):
        watched.worker.run_now(3)


def test_what_was_added_before_a_run_follows_it(store: Store, settings, watched: Watched) -> None:
    for name in "abc":
        store.add(settings(name, train_iterations=1))
    assert not watched.worker.follow(), "nothing runs, so it waits"
    assert watched.worker.join(0.1)
    assert watched.worker.run_now(2, and_queue=True)
    assert watched.worker.join(WAIT)
    assert watched.began() == ["b", "a", "c"]


def test_what_is_added_during_a_run_follows_it(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a"))
    follows: list[bool] = []

    def add() -> None:
        store.add(settings("b", train_iterations=1))
        follows.append(watched.worker.follow())

    watched.at_step(2, add, of="a")
    assert watched.worker.run_now(1)
    assert watched.worker.join(WAIT)
    assert follows == [True]
    assert watched.began() == ["a", "b"]
    assert not watched.worker.is_started


def test_what_waits_follows_a_job_that_is_continued(store: Store, settings, watched: Watched) -> None:
    for name in "ab":
        store.add(settings(name, train_iterations=3))
    watched.at_step(1, watched.worker.stop_and_save, of="a")
    assert watched.worker.run_now(1)
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": STOPPED, "b": WAITING}
    assert watched.worker.continue_now(1, and_queue=True)
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE, "b": DONE}


def test_a_queue_that_is_held_stays_so_until_it_is_started(store: Store, settings, watched: Watched) -> None:
    for name in "ab":
        store.add(settings(name, train_iterations=1))
    watched.worker.hold()
    assert watched.worker.run_now(1, and_queue=True)
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE, "b": WAITING}
    assert watched.worker.is_held
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE, "b": DONE}
    assert not watched.worker.is_held


def test_a_job_deleted_before_its_turn_does_not_keep_the_next_from_running(
    store: Store, settings, watched: Watched
) -> None:
    for name in "abc":
        store.add(settings(name))

    def press() -> None:
        watched.worker.run_now(2)
        watched.worker.run_now(3)
        store.delete(2)

    watched.at_step(1, press, of="a")
    watched.worker.run_now(1)
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE, "c": DONE}


def test_run_again_what_was_stopped(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a", train_iterations=LONG))
    watched.at_step(2, watched.worker.stop)
    watched.worker.start()
    assert watched.worker.join(WAIT)
    entry = store.get(1)
    assert (entry.status, str(entry.message)) == (STOPPED, f"Stopped at step 2 of {LONG}. Nothing was saved.")
    assert entry.path is None
    watched.at_step(4, watched.worker.stop_and_save)
    assert watched.worker.run_now(1)
    assert watched.worker.join(WAIT)
    entry = store.get(1)
    assert (entry.status, str(entry.message)) == (STOPPED, f"Stopped at step 4 of {LONG}, and saved.")
    assert entry.path == store.folders.lora("a")
    assert entry.path.exists()


def test_two_workers_share_a_store(store: Store, settings) -> None:
    for name in "abcd":
        store.add(settings(name, train_iterations=1))
    other = Store(store.folders)
    pair = [Watched(store), Watched(other)]
    for each in pair:
        each.worker.start()
    assert all(each.worker.join(WAIT) for each in pair)
    assert sorted(pair[0].began() + pair[1].began()) == list("abcd")
    assert set(statuses(store).values()) == {DONE}
    for each in pair:
        each.worker.close()
    other.close()


# ---- a trained LoRA is a done job -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stopped", [False, True])
def test_a_lora_on_the_disk_ends_its_job_whatever_comes_after(
    store: Store, settings, watched: Watched, stopped: bool
) -> None:
    """A program that is killed from then on leaves what this one sees."""
    found: list[Entry] = []
    store.add(settings("a", train_iterations=LONG if stopped else 3))

    def react(_entry: Entry, event: Event) -> None:
        if stopped and isinstance(event, Step) and event.number == 2:
            watched.worker.stop_and_save()
        if isinstance(event, Trained):
            found.append(store.get(1))
            raise RuntimeError("a bug in what follows")

    watched.react = react
    watched.worker.start()
    assert watched.worker.join(WAIT)
    entry, path = store.get(1), store.folders.lora("a")
    assert [(each.status, each.path) for each in found] == [(RUNNING, path)]
    assert (entry.status, entry.path) == (STOPPED if stopped else DONE, path)
    assert "a bug in what follows" in str(entry.message)


# ---- the running job ------------------------------------------------------------------------------------------------


def test_buttons_without_a_job_say_so(watched: Watched) -> None:
    worker = watched.worker
    assert not any(press() for press in (worker.stop, worker.stop_and_save, worker.pause, worker.go_on))


def test_stop_stops_the_job_and_the_queue_goes_on(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a", train_iterations=LONG))
    store.add(settings("b"))
    watched.at_step(2, watched.worker.stop, of="a")
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": STOPPED, "b": DONE}


def test_pause_and_go_on(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a"))
    watched.at_step(2, watched.worker.pause)
    watched.worker.start()
    watched.wait_for(Paused)
    assert watched.worker.is_pausing
    assert watched.worker.run_status.snapshot().state == "paused"
    assert statuses(store) == {"a": RUNNING}
    assert watched.worker.go_on()
    assert not watched.worker.is_pausing
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE}
    assert sum(isinstance(event, Resumed) for _, event in watched.events) == 1


def test_who_comes_later_sees_the_whole_run(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a"))
    seen = []
    watched.at_step(2, lambda: seen.append(watched.worker.run_status.snapshot()))
    watched.worker.start()
    assert watched.worker.join(WAIT)
    (halfway,) = seen
    assert (halfway.state, str(halfway.phase), halfway.step, halfway.steps) == ("running", "training", 2, 3)
    now = watched.worker.run_status.snapshot()
    told = [event for _, event in watched.events]
    losses = [event.loss for event in told if isinstance(event, Step)]
    assert (now.state, now.path, now.loss) == ("done", store.folders.lora("a"), losses[-1])
    assert [point.loss for point in watched.worker.run_status.curve()] == losses
    assert now.number == len(told)
    assert watched.worker.entry.name == "a"


def test_how_far_a_job_is_can_be_read_by_others(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_NOTE_EVERY", 0.0)
    store.add(settings("a"))
    other, seen = Store(store.folders), []
    watched.at_step(3, lambda: seen.append(other.get(1).step))
    watched.worker.start()
    watched.worker.join(WAIT)
    assert seen == [2]
    other.close()


# ---- a store that fails ---------------------------------------------------------------------------------------------


def test_a_store_that_is_out_of_reach_for_a_while_loses_no_result(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_LOOK_EVERY", 0.01)
    finish, calls = store.finish, []

    def sometimes(*given: object, **named: object) -> None:
        calls.append(given)
        if len(calls) < 3:
            raise BusyError(literal("is in use by another program."), where="queue.db")
        finish(*given, **named)

    monkeypatch.setattr(store, "finish", sometimes)
    store.add(settings("a"))
    watched.worker.start()
    watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE}
    assert watched.worker.problem is None


def test_a_store_that_fails_for_good_ends_the_queue_with_a_sentence(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_LOOK_EVERY", 0.01)

    def full(*_given: object, **_named: object) -> None:
        raise OutputError(literal("could not be written (disk full)."), where="queue.db")

    store.add(settings("a"))
    store.add(settings("b"))
    with monkeypatch.context() as patch:
        patch.setattr(store, "finish", full)
        watched.worker.start()
        assert watched.worker.join(WAIT)
    assert str(watched.worker.problem) == "queue.db: could not be written (disk full)."
    assert store.folders.lora("a").exists()
    assert statuses(store) == {"a": DONE, "b": WAITING}, "its LoRA is there"
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE, "b": DONE}
    assert watched.worker.problem is None


def test_steps_that_cannot_be_noted_do_not_end_the_run(
    store: Store, settings, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OutputError(literal("could not be written (disk full)."), where="queue.db")

    monkeypatch.setattr(queue_module, "_NOTE_EVERY", 0.0)
    monkeypatch.setattr(store, "note_step", full)
    store.add(settings("a"))
    watched.worker.start()
    watched.worker.join(WAIT)
    assert statuses(store) == {"a": DONE}
    warnings = watched.worker.run_status.snapshot().warnings
    assert sum("no longer shows how far this job is" in str(warning) for warning in warnings) == 1


# ---- the end --------------------------------------------------------------------------------------------------------


def test_closing_interrupts_the_job_after_its_step(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a", train_iterations=LONG))
    store.add(settings("b"))
    watched.worker.start()
    watched.wait_for(Step)
    watched.worker.close()
    assert statuses(store) == {"a": INTERRUPTED, "b": WAITING}
    assert "The program was closed at step" in str(store.get(1).message)
    assert store.get(1).path == store.folders.lora("a")
    assert store.folders.lora("a").exists(), "ending is saving"
    assert not list(store.folders.queue.glob("*.lock"))
    with pytest.raises(UserError, match="The queue is closed"):
        watched.worker.start()


def test_closing_while_paused(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a", train_iterations=LONG))
    watched.at_step(2, watched.worker.pause)
    watched.worker.start()
    watched.wait_for(Paused)
    watched.worker.close()
    assert statuses(store) == {"a": INTERRUPTED}


PROGRAM = """
import sys, time
import torch
from pathlib import Path
from trainer.paths import Folders
from trainer.hosts.standalone import Standalone
from trainer.jobs.worker import Worker
from trainer.jobs.store import Store
folders = Folders(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[2]))
worker = Worker(Store(folders), lambda: Standalone(torch.device("cpu"), folders))
worker.start()
while worker.run_status is None or worker.run_status.snapshot().step < 3:
    assert not worker.problem
    time.sleep(0.02)
print("step", flush=True)
if sys.argv[3] == "stay":
    time.sleep(600)
"""


def program(store: Store, end: str) -> subprocess.Popen[str]:
    folders = store.folders
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folders.data), str(folders.loras), end],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.more
def test_a_program_that_ends_ends_its_job_well(store: Store, settings) -> None:
    store.add(settings("a", train_iterations=LONG, save_per_steps=2))
    process = program(store, "leave")
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    entry = store.get(1)
    assert entry.status == INTERRUPTED
    assert "The program was closed at step" in str(entry.message)
    assert entry.step >= 3
    assert not [path for path in store.folders.loras.iterdir() if path.suffix not in (".safetensors", ".json")]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_program_that_is_killed_leaves_the_queue_usable(store: Store, settings, watched: Watched) -> None:
    store.add(settings("a", train_iterations=LONG))
    store.add(settings("b"))
    process = program(store, "stay")
    assert process.stdout.readline() == "step\n"
    assert statuses(store) == {"a": RUNNING, "b": WAITING}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store.close()
    again = Store(store.folders)
    assert statuses(again) == {"a": INTERRUPTED, "b": WAITING}
    found = Watched(again)
    found.worker.start()
    assert found.worker.join(WAIT)
    assert statuses(again) == {"a": INTERRUPTED, "b": DONE}
    found.worker.close()
    again.close()


def test_one_worker_is_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "_HELD", {})
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker(store, lambda: Standalone(torch.device("cpu"), store.folders)))
        return made[-1]

    assert held_worker(make) is held_worker(make) is made[0]
    assert len(made) == 1
    made[0].close()


def test_what_dead_processes_left_is_tidied_before_the_first_run(store: Store, settings, watched: Watched) -> None:
    part = store.folders.loras / ".a.safetensors.123.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert not part.exists()
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    watched.worker.start()
    assert watched.worker.join(WAIT)
    assert part.exists(), "once is enough"
