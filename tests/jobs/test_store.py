"""The queue's jobs on disk: what is kept, in which order, for how many processes, and what breaks it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.errors import OutputError, SettingsError, UserError
from trainer.job import Job
from trainer.jobs import database as database_module
from trainer.jobs import store as store_module
from trainer.jobs.database import BusyError, DamagedError, Lease, is_leased
from trainer.jobs.store import DONE, ENDED, FAILED, INTERRUPTED, RUNNING, STOPPED, WAITING, Store
from trainer.paths import Folders
from trainer.text.messages import literal

ROOT = Path(__file__).resolve().parents[2]
CREATED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)


@pytest.fixture
def store(folders: Folders) -> Iterator[Store]:
    opened = Store(folders, timeout=0.2)
    yield opened
    opened.close()


def settings(name: str = "x", **changes: object) -> Settings:
    given = replace(Settings(), mode="iLECO", model="m.safetensors", original_prompt="red", target_prompt="blue")
    return replace(given, save_lora_name=name, train_seed=3, **changes)


def filled(store: Store, names: str = "abcd") -> list[int]:
    return [store.add(settings(name)).id for name in names]


def order(store: Store) -> str:
    return "".join(entry.name for entry in store.entries() if entry.status == WAITING)


def statuses(store: Store) -> dict[str, str]:
    return {entry.name: entry.status for entry in store.entries()}


def ended(store: Store, name: str, status: str) -> int:
    """A job that has ended so."""
    number = store.add(settings(name)).id
    lease = store.lease()
    store.claim(lease, number)
    store.finish(number, lease, status, message=literal("why"), path=store.folders.lora(name), step=7)
    lease.end()
    return number


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_a_job_comes_back_as_it_was(store: Store, folders: Folders) -> None:
    second = parse({"network_rank": 9}).settings
    given = settings(
        "sub/ü 'n'; DROP TABLE job; --", sample_strengths=(0.5, -1.0), second_pass=second, unknown=(("z", [1, None]),),
        original_prompt="<script>alert(1)</script>\n\x1b[31m 赤 ' OR 1=1 --", target_prompt="a\nb",
        model="ordner/&lt;b&gt;\u202e.ckpt",
    )  # fmt: skip
    entry = store.add_job(Job(given, CREATED))
    store.close()
    again = Store(folders)
    assert again.job(entry.id) == Job(given, CREATED)
    (found,) = again.entries()
    assert (found.name, found.mode, found.status, found.position) == (given.save_lora_name, "iLECO", WAITING, 1)
    assert (found.created, found.steps, found.step, found.message, found.path) == (CREATED, 1000, 0, None, None)
    again.close()


def test_a_seed_of_minus_one_is_drawn_when_a_job_is_added(store: Store) -> None:
    entry = store.add(replace(settings(), train_seed=-1))
    seed = store.job(entry.id).settings.train_seed
    assert seed >= 0
    assert store.job(entry.id).settings.train_seed == seed
    other = store.edit(entry.id, replace(settings(), train_seed=-1))
    assert store.job(other.id).settings.train_seed not in (-1, seed)


def test_what_was_given_of_a_drawn_seed_is_minus_one(store: Store, folders: Folders) -> None:
    drawn, chosen = replace(settings("drawn"), train_seed=-1), settings("chosen")
    numbers = [store.add(each).id for each in (drawn, chosen)]
    assert [store.given(number) for number in numbers] == [drawn, chosen]
    copy = store.duplicate(numbers[0]).id
    assert store.given(copy).train_seed == -1
    assert store.job(copy).settings.train_seed != store.job(numbers[0]).settings.train_seed
    store.edit(numbers[0], replace(chosen, save_lora_name="drawn"))
    store.edit(numbers[1], replace(drawn, save_lora_name="chosen"))
    store.close()
    again = Store(folders)
    assert [again.given(number).train_seed for number in numbers] == [chosen.train_seed, -1]
    again.close()


def test_how_a_job_ends_is_kept_byte_for_byte(store: Store) -> None:
    number = store.add(settings()).id
    lease = store.lease()
    assert store.claim(lease).status == RUNNING
    path = Path(os.fsdecode(b"/loras/\xff.safetensors"))
    store.finish(number, lease, STOPPED, message=literal("bad \ud800"), path=path, step=310)
    entry = store.get(number)
    assert (entry.status, str(entry.message), entry.path, entry.step) == (STOPPED, "bad ?", path, 310)
    assert entry.started <= entry.ended
    lease.end()


@pytest.mark.parametrize("number", [0, -1, 7, 2**63, 10**30])
def test_a_job_that_is_not_there(store: Store, number: int) -> None:
    for act in (store.get, store.job, store.delete, store.again, store.duplicate, lambda n: store.move(n, 1)):
        with pytest.raises(UserError, match="There is no such job"):
            act(number)


def test_numbers_are_never_given_twice(store: Store) -> None:
    first = store.add(settings()).id
    store.delete(first)
    assert store.add(settings()).id > first


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [("x", "x"), ("x", "X"), ("e\u0301", "\u00e9"), ("", "untitled")])
def test_a_name_that_waits_or_runs_is_refused(store: Store, one: str, other: str) -> None:
    store.add(settings(one))
    with pytest.raises(
        UserError, match=r"is the name of a job that is waiting\. Choose another name, or leave it empty"
    ):
        store.add(settings(other, save_overwrite=True))
    lease = store.lease()
    store.claim(lease)
    with pytest.raises(UserError, match="is the name of a job that is running"):
        store.add(settings(other))
    store.finish(1, lease, FAILED)
    lease.end()
    assert store.add(settings(other)).position == 1


def test_a_name_whose_file_is_there_is_refused(store: Store, folders: Folders) -> None:
    folders.lora("sub/x").parent.mkdir(parents=True)
    folders.lora("sub/x").write_text("precious")
    with pytest.raises(UserError, match=r"x\.safetensors already exists"):
        store.add(settings("sub/x"))
    assert store.add(settings("sub/x", save_overwrite=True)).id == 1


def test_settings_that_would_not_train_are_refused(store: Store) -> None:
    with pytest.raises(SettingsError, match="original prompt"):
        store.add(replace(settings(), original_prompt=""))
    with pytest.raises(SettingsError, match="model: It has a broken character"):
        store.add(settings(model="ordner/\udcff.ckpt"))
    assert not store.entries()


def test_copies_get_free_names(store: Store, folders: Folders) -> None:
    store.add(settings("sub/x"))
    folders.lora("sub/x_3").parent.mkdir(parents=True)
    folders.lora("sub/x_3").write_text("")
    copies = [store.duplicate(1), store.duplicate(1)]
    assert [copy.name for copy in copies] == ["sub/x_2", "sub/x_4"]
    assert store.duplicate(copies[0].id).name == "sub/x_5"
    assert store.job(2).settings == replace(store.job(1).settings, save_lora_name="sub/x_2")
    assert store.duplicate(store.add(settings("")).id).name == "untitled_2"


def test_a_copy_of_the_longest_name_can_still_be_saved(store: Store) -> None:
    longest = "語" * 66
    copy = store.duplicate(store.add(settings(longest)).id)
    assert copy.name.endswith("_2")
    assert parse({"save_lora_name": copy.name}).settings.save_lora_name == copy.name


# ---- order ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "position", "wanted"),
    [(1, 1, "abcd"), (1, 2, "bacd"), (1, 4, "bcda"), (4, 1, "dabc"), (3, 99, "abdc"), (3, -5, "cabd"), (2, 0, "bacd")],
)
def test_move(store: Store, number: int, position: int, wanted: str) -> None:
    filled(store)
    moved = store.move(number, position)
    assert order(store) == wanted
    assert moved.position == wanted.index(moved.name) + 1


def test_shift(store: Store) -> None:
    filled(store)
    for number, by, wanted in [(1, 1, "bacd"), (1, 2, "bcda"), (1, -1, "bcad"), (2, -1, "bcad"), (4, 5, "bcad")]:
        store.shift(number, by)
        assert order(store) == wanted


def test_moving_passes_over_jobs_that_do_not_wait(store: Store) -> None:
    filled(store, "ab")
    ended(store, "x", DONE)
    filled(store, "cd")
    lease = store.lease()
    assert store.claim(lease).name == "a"
    assert store.move(5, 1).position == 1
    assert order(store) == "dbc"
    with pytest.raises(UserError, match=r"is running\. Only waiting jobs can be moved"):
        store.move(1, 2)
    lease.end()


# ---- editing and deleting -------------------------------------------------------------------------------------------


def test_edit(store: Store) -> None:
    filled(store, "ab")
    entry = store.edit(1, settings("z", train_iterations=7, model="other"))
    assert (entry.name, entry.steps, entry.model, entry.position) == ("z", 7, "other", 1)
    assert store.job(1).settings == settings("z", train_iterations=7, model="other")
    store.edit(1, settings("z", network_rank=2))  # its own name is not taken
    with pytest.raises(UserError, match="b is the name of a job"):
        store.edit(1, settings("b"))
    with pytest.raises(SettingsError):
        store.edit(1, replace(settings("z"), original_prompt=""))


def test_a_deleted_job_can_be_brought_back_to_its_place(store: Store) -> None:
    filled(store, "abc")
    before = store.entries()
    store.delete(2, restorable=True)
    assert [entry.name for entry in store.entries()] == ["a", "c"]
    store.restore(2)
    assert store.entries() == before
    with pytest.raises(UserError):
        store.restore(2)
    store.delete(3, restorable=True)
    store.add(settings("c"))
    with pytest.raises(UserError, match="c"):
        store.restore(3)  # its name is taken
    store.delete(1)
    with pytest.raises(UserError):
        store.restore(1)


def test_what_runs_can_be_neither_edited_nor_deleted(store: Store) -> None:
    filled(store, "a")
    lease = store.lease()
    store.claim(lease)
    with pytest.raises(UserError, match=r"a: It is running\. Duplicate it"):
        store.edit(1, settings("z"))
    with pytest.raises(UserError, match=r"a: It is running\. Stop it first"):
        store.delete(1)
    with pytest.raises(UserError, match="a: It is running"):
        store.again(1)
    assert store.clear(ENDED) == 0
    lease.end()


@pytest.mark.parametrize("status", [FAILED, STOPPED, INTERRUPTED])
def test_what_ended_without_success_can_wait_again(store: Store, status: str) -> None:
    number = ended(store, "x", status)
    filled(store, "ab")
    entry = store.again(number)
    assert (entry.status, entry.position, entry.message, entry.path, entry.step) == (WAITING, 3, None, None, 0)
    assert (entry.started, entry.ended) == (None, None)
    assert store.again(number) == entry


def test_what_is_done_does_not_run_again(store: Store) -> None:
    number = ended(store, "x", DONE)
    for act in (lambda: store.again(number), lambda: store.edit(number, settings("y"))):
        with pytest.raises(UserError, match="x: It is done"):
            act()


def test_again_under_a_name_that_was_taken_meanwhile(store: Store) -> None:
    number = ended(store, "x", FAILED)
    filled(store, "x")
    with pytest.raises(UserError, match="x is the name of a job"):
        store.again(number)


def test_clear(store: Store) -> None:
    for name, status in zip("abcd", ENDED, strict=True):
        ended(store, name, status)
    filled(store, "w")
    assert store.clear() == 1
    assert statuses(store) == {"b": FAILED, "c": STOPPED, "d": INTERRUPTED, "w": WAITING}
    assert store.clear((*ENDED, WAITING)) == 3
    assert statuses(store) == {"w": WAITING}


# ---- several processes ----------------------------------------------------------------------------------------------

CLAIM = """
import sys, time
from pathlib import Path
from trainer.paths import Folders
from trainer.jobs.store import Store
data = Path(sys.argv[1])
store = Store(Folders(data, data, data))
lease = store.lease()
print("ready", flush=True)
sys.stdin.readline()
while entry := store.claim(lease):
    print(entry.id, flush=True)
    if len(sys.argv) > 2:
        sys.stdin.readline()
    store.finish(entry.id, lease, "done")
    time.sleep(0.01)
"""


def claimer(folders: Folders, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(folders.data), *arguments],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_processes_that_claim_at_once_get_different_jobs(store: Store, folders: Folders) -> None:
    numbers = {store.add(settings(f"x{number}")).id for number in range(60)}
    processes = [claimer(folders) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [[int(line) for line in process.communicate(timeout=60)[0].split()] for process in processes]
    assert sorted(number for output in outputs for number in output) == sorted(numbers)
    assert {entry.status for entry in store.entries()} == {DONE}
    assert sum(bool(output) for output in outputs) > 1, "one process did it all: nothing was shown"


def test_threads_that_claim_at_once_get_different_jobs(store: Store) -> None:
    filled(store, "abcdefghijkl")
    taken: list[int] = []

    def claim() -> None:
        lease = store.lease()
        while entry := store.claim(lease):
            taken.append(entry.id)
            store.finish(entry.id, lease, DONE)
        lease.end()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 13))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_a_killed_process_was_running_is_found_as_interrupted(store: Store, folders: Folders) -> None:
    filled(store, "ab")
    process = claimer(folders, "wait")
    process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "1\n"
    assert statuses(store) == {"a": RUNNING, "b": WAITING}
    other = Store(folders)
    assert statuses(other) == {"a": RUNNING, "b": WAITING}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert statuses(store) == {"a": INTERRUPTED, "b": WAITING}
    assert "will not restart automatically" in str(store.get(1).message)
    lease = store.lease()
    assert store.claim(lease).id == 2
    assert list(folders.queue.glob("*.lock")) == [folders.queue / f"{lease.token}.lock"]
    lease.end()
    other.close()


@pytest.mark.parametrize(("told", "wanted"), [(None, DONE), (literal("Stopped."), STOPPED)])
def test_a_job_whose_lora_was_on_the_disk_is_done_though_its_process_died(
    store: Store, tmp_path: Path, told, wanted: str
) -> None:
    number = store.add(settings()).id
    lease = store.lease()
    store.claim(lease)
    store.note_result(number, lease, tmp_path / "x.safetensors", message=told)
    assert store.get(number).status == RUNNING
    lease.end()
    entry = store.get(number)
    assert (entry.status, entry.path, entry.message) == (wanted, tmp_path / "x.safetensors", told)


@pytest.mark.parametrize("steps", ["5", "3"])
def test_a_job_whose_process_died_before_it_could_say_that_its_lora_was_on_the_disk(store: Store, steps: str) -> None:
    number = store.add(settings()).id
    lease = store.lease()
    store.claim(lease)
    path = store.folders.lora("x")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody else's")
    told = {"ss_session_id": store.job(number).id, "ss_steps": steps, "ss_max_train_steps": "5"}
    safetensors.numpy.save_file({"a": np.zeros(1)}, path.with_name("x_2.safetensors"), told)
    lease.end()
    entry = store.get(number)
    wanted = (DONE, path.with_name("x_2.safetensors")) if steps == "5" else (INTERRUPTED, None)
    assert (entry.status, entry.path) == wanted


def test_a_job_is_not_kept_from_running_again_by_its_own_file(store: Store) -> None:
    number = ended(store, "x", STOPPED)
    path = store.folders.lora("x")
    path.parent.mkdir(parents=True)
    for owner, is_refused in (("1", True), (store.job(number).id, False)):
        safetensors.numpy.save_file({"a": np.zeros(1)}, path, {"ss_session_id": owner})
        if is_refused:
            with pytest.raises(UserError, match=r"x\.safetensors already exists"):
                store.again(number)
            with pytest.raises(UserError, match=r"x\.safetensors already exists"):
                store.require_free_name(settings(), number)
        else:
            store.require_free_name(settings(), number)
            assert store.again(number).status == WAITING


def test_a_dead_process_that_lives_after_all_changes_nothing(store: Store) -> None:
    filled(store, "a")
    lease = store.lease()
    store.claim(lease)
    lease.end()  # as if it had died
    assert statuses(store) == {"a": INTERRUPTED}
    store.note_step(1, lease, 5)
    store.finish(1, lease, DONE, step=9)
    assert (store.get(1).status, store.get(1).step) == (INTERRUPTED, 0)


def test_leases(tmp_path: Path) -> None:
    one, other = Lease(tmp_path), Lease(tmp_path)
    assert is_leased(tmp_path, one.token)
    assert is_leased(tmp_path, one.token)
    one.end()
    assert not is_leased(tmp_path, one.token)
    assert is_leased(tmp_path, other.token)
    other.end()
    assert not list(tmp_path.iterdir())
    assert not is_leased(tmp_path, "nobody")
    assert not list(tmp_path.iterdir())


def test_steps_are_noted(store: Store) -> None:
    filled(store, "a")
    lease = store.lease()
    store.claim(lease)
    store.note_step(1, lease, 12)
    assert store.get(1).step == 12
    lease.end()


def test_the_model_a_host_chose_is_noted_until_the_job_runs_again(store: Store) -> None:
    left, named = store.add(settings("left", model="")), store.add(settings("named", model="mine.safetensors"))
    lease = store.lease()
    for entry in (left, named):
        store.claim(lease, entry.id)
        store.note_model(entry.id, lease, "loaded.safetensors")
        store.finish(entry.id, lease, FAILED)
    lease.end()
    assert [entry.model for entry in store.entries()] == ["loaded.safetensors", "mine.safetensors"]
    assert store.again(left.id).model == ""
    assert store.again(named.id).model == "mine.safetensors"


def test_a_store_is_begun_by_several_at_once(folders: Folders) -> None:
    found, barrier = [], threading.Barrier(4)

    def open_one() -> None:
        barrier.wait()
        try:
            store = Store(folders)
            store.add(settings(threading.current_thread().name))
            store.close()
        except UserError as error:
            found.append(error)

    threads = [threading.Thread(target=open_one, name=f"t{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not found
    store = Store(folders)
    assert len(store.entries()) == 4
    assert store.notice is None
    store.close()


# ---- a file that is broken, locked, full, from the future ----------------------------------------------------------


def file_of(folders: Folders) -> Path:
    return folders.queue / "queue.db"


@pytest.mark.parametrize("damage", ["text", "middle", "short"])
def test_a_damaged_file_is_kept_aside(folders: Folders, damage: str) -> None:
    store = Store(folders)
    for number in range(40):
        store.add(settings(f"x{number}"))
    store.close()
    path = file_of(folders)
    content = bytearray(path.read_bytes())
    if damage == "text":
        content[:] = b"This is no database. " * 500
    elif damage == "middle":
        content[4096:16384] = os.urandom(12288)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    store = Store(folders)
    kept = path.with_name("queue-damaged.db")
    assert str(store.notice).startswith(f"{path} was damaged")
    assert str(store.notice).endswith(f"What is left of the old {'one' if damage == 'text' else 'file'} is in {kept}.")
    assert kept.read_bytes() == content
    found = store.entries()
    assert len(found) in {"text": [0], "middle": range(30, 41), "short": range(15, 25)}[damage]
    assert [store.job(entry.id).settings.save_lora_name for entry in found] == [entry.name for entry in found]
    store.add(settings())
    store.close()
    assert Store(folders).notice is None
    path.write_bytes(b"once more" * 1000)
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    assert "queue-damaged_2.db" in str(Store(folders).notice)
    assert kept.read_bytes() == content


def test_the_log_of_a_damaged_file_does_not_get_into_the_new_one(folders: Folders) -> None:
    store = Store(folders)
    for number in range(40):
        store.add(settings(f"x{number}"))
    store.close()
    store = Store(folders)
    store.move(40, 1)
    content = Path(f"{file_of(folders)}-wal").read_bytes()
    assert content, "nothing to be played in: nothing was shown"
    store.close()
    file_of(folders).write_bytes(b"no database at all" * 300)
    Path(f"{file_of(folders)}-wal").write_bytes(content)
    store = Store(folders)
    assert "was damaged" in str(store.notice)
    names = [entry.name for entry in store.entries()]  # those whose pages the log held
    assert len(set(names)) == len(names)
    assert store._database.read("PRAGMA integrity_check")[0][0] == "ok"
    assert (folders.queue / "queue-damaged.db").exists()
    store.close()


def test_damage_that_shows_later_is_a_sentence(folders: Folders, store: Store) -> None:
    for number in range(40):
        store.add(settings(f"x{number}"))
    with sqlite3.connect(file_of(folders)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 100000 WHERE name = 'job'")
        connection.execute("PRAGMA schema_version = 99")
    connection.close()
    with pytest.raises(DamagedError, match=r"queue\.db: It is damaged"):
        store.entries()


def test_a_newer_file_is_left_alone(folders: Folders) -> None:
    store = Store(folders)
    filled(store)
    store.close()
    connection = sqlite3.connect(file_of(folders))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    content = file_of(folders).read_bytes()
    with pytest.raises(UserError, match=r"was written by a newer Trainyard\. Update Trainyard; nothing was changed"):
        Store(folders)
    assert file_of(folders).read_bytes() == content
    assert [path.name for path in folders.queue.iterdir()] == ["queue.db"]


def test_an_older_file_is_brought_up_to_date(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(folders)
    filled(store)
    store.close()
    newer = (*store_module.MIGRATIONS, ("ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",))
    monkeypatch.setattr(store_module, "MIGRATIONS", newer)
    store = Store(folders)
    assert order(store) == "abcd"
    store.close()
    connection = sqlite3.connect(file_of(folders))
    assert connection.execute("SELECT DISTINCT colour FROM job").fetchall() == [("red",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
    connection.close()


def test_a_migration_that_breaks_off_changes_nothing(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(folders)
    filled(store)
    store.close()
    broken = (*store_module.MIGRATIONS, ("DELETE FROM job", "INSERT INTO nowhere VALUES (1)"))
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "MIGRATIONS", broken)
        with pytest.raises(UserError, match="no such table: nowhere"):
            Store(folders)
    store = Store(folders)
    assert order(store) == "abcd"
    store.close()


def test_a_locked_file_is_a_sentence(folders: Folders, store: Store) -> None:
    filled(store)
    connection = sqlite3.connect(file_of(folders), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError, match=r"queue\.db: It is in use by another program\. Try again"):
        store.add(settings("z"))
    assert order(store) == "abcd", "reading goes on"
    lease = store.lease()
    store.note_step(1, lease, 5)  # returns at once
    connection.execute("ROLLBACK")
    connection.close()
    store.add(settings("z"))
    lease.end()


def test_a_full_disk_is_a_sentence_and_the_store_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(store)
    connection = store._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "the disk is full"
    with pytest.raises(OutputError, match=r"database or disk is full\)\. Make room on the disk"):
        filled(store, "efghijklmnopqrstuvwxyz0123456789")
    connection.execute("PRAGMA max_page_count = 1000000")
    store.add(settings("full"))
    assert order(store).endswith("full")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_a_sentence() -> None:
    folder = Path("/proc/trainyard")
    with pytest.raises(OutputError, match=r"/proc/trainyard/queue: It could not be created"):
        Store(Folders(folder, folder, folder))


def test_a_data_folder_that_is_a_file_is_a_sentence(folders: Folders) -> None:
    folders.data.write_text("")
    with pytest.raises(OutputError, match=r"queue: It could not be created"):
        Store(folders)


def test_a_file_that_cannot_be_opened_is_a_sentence(folders: Folders) -> None:
    file_of(folders).mkdir(parents=True)
    with pytest.raises(
        OutputError, match=r"queue\.db: It could not be read or written \(unable to open database file\)"
    ):
        Store(folders)


def test_settings_of_another_version_spoil_their_own_job_only(folders: Folders, store: Store) -> None:
    filled(store, "ab")
    for text in ('{"train_optimizer": "NoSuchThing"}', "not json"):
        connection = sqlite3.connect(file_of(folders))
        connection.execute("UPDATE job SET settings = ? WHERE id = 1", (text,))
        connection.commit()
        connection.close()
        assert [entry.name for entry in store.entries()] == ["a", "b"]
        with pytest.raises(UserError, match=r"a: Its settings can no longer be used\. Delete the job"):
            store.job(1)
    assert store.job(2).settings.save_lora_name == "b"


def test_mistakes_of_ours_stay_mistakes(store: Store) -> None:
    with pytest.raises(sqlite3.ProgrammingError):
        store._database.read("SELECT ?", ())
    assert database_module.BusyError is BusyError


def test_a_thousand_entries(store: Store) -> None:
    store.add(settings())
    connection = store._database._connection
    columns = "status, mode, model, settings, created, steps"
    connection.execute(
        "WITH RECURSIVE more(n) AS (VALUES(2) UNION ALL SELECT n + 1 FROM more WHERE n < 1000) "
        f"INSERT INTO job (place, name, {columns}) SELECT n, 'x' || n, {columns} FROM job, more"
    )
    assert len(store.entries()) == 1000
    assert store.move(1000, 1).position == 1
    assert [entry.position for entry in store.entries()] == list(range(1, 1001))
    assert json.loads(connection.execute("SELECT settings FROM job WHERE id = 500").fetchone()[0])["mode"] == "iLECO"
