"""Files that are one process's alone: locks, the files of runs at one moment, free names, and what dead ones left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from trainer import claims, paths
from trainer.claims import files_of, free_name, lock_of, locked, run_files, tidy
from trainer.config.settings import Settings
from trainer.job import Job
from trainer.paths import Folders, RunFiles, write_whole

ROOT = Path(__file__).resolve().parents[1]
CREATED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)


def job(micros: int = 0) -> Job:
    return Job(replace(Settings(), save_lora_name="x"), CREATED.replace(microsecond=micros))


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A program that says so when it has got as far as ``ready``."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
    finally:
        started.kill()
        started.communicate()


HOLD = """
import sys, time
from pathlib import Path
from trainer.claims import locked
with locked(Path(sys.argv[1])) as free:
    assert free
    print("ready", flush=True)
    time.sleep(60)
"""
WRITE = """
import sys, time
from pathlib import Path
from trainer.paths import write_whole
def pieces():
    yield b"half"
    print("ready", flush=True)
    time.sleep(60)
write_whole(Path(sys.argv[1]), pieces())
"""


# ---- locks ----------------------------------------------------------------------------------------------------------


def test_a_lock_is_one_holders_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with locked(path) as first, locked(path) as second, locked(tmp_path / "y.csv") as other:
        assert (first, second, other) == (True, False, True)
    with locked(path) as again:
        assert again
    assert not list(tmp_path.iterdir())


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    with process(HOLD, tmp_path / "x") as holder:
        with locked(tmp_path / "x") as is_free:
            assert not is_free
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock_of(tmp_path / "x").exists()
        with locked(tmp_path / "x") as is_free:
            assert is_free
    assert not list(tmp_path.iterdir())


def test_many_who_lock_at_once_are_one_at_a_time(tmp_path: Path) -> None:
    inside, most, got = 0, 0, 0

    def take() -> None:
        nonlocal inside, most, got
        for _ in range(200):
            with locked(tmp_path / "x") as is_free:
                if is_free:
                    inside += 1
                    most, got = max(most, inside), got + 1
                    time.sleep(0)
                    inside -= 1

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert got > 4


def test_a_lock_whose_file_went_between_opening_and_locking_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, path, calls = claims._lock, tmp_path / "x", []

    def late(handle: int) -> bool:
        calls.append(handle)
        if len(calls) == 1:
            lock_of(path).unlink()  # by who held it until then
        return lock(handle)

    monkeypatch.setattr(claims, "_lock", late)
    with locked(path) as is_free:
        assert is_free
        assert lock_of(path).exists()
    assert len(calls) == 2


# ---- files of a run -------------------------------------------------------------------------------------------------


def test_runs_of_one_name_in_one_second_have_their_own_files(folders: Folders) -> None:
    one, two = job(1), job(2)
    with run_files(one, folders) as first, run_files(two, folders) as second, run_files(two, folders) as third:
        ways = [(each.run_log(), each.log("_copy"), each.settings, each.samples) for each in (first, second, third)]
        assert len({path for way in ways for path in way}) == 12
        assert first.run_log() == folders.run_log("x", CREATED)
        assert second.run_log().name == f"x-20260102_030405_{two.id}.csv"
        for each in (first, second):
            each.run_log().write_text("")
    assert files_of(two.id, "x", two.created, folders) == second
    assert files_of(one.id, "x", one.created, folders) == first
    with run_files(job(3), folders) as later:  # the log of one that has ended is not written over
        assert later.run_log() not in (first.run_log(), second.run_log())
    with run_files(two, folders) as again:
        assert again == second


def test_a_job_that_is_run_again_writes_over_its_own_log(folders: Folders) -> None:
    with run_files(job(1), folders) as first:
        first.run_log().parent.mkdir(parents=True, exist_ok=True)
        first.run_log().write_text("")
        with run_files(job(2), folders, again=True) as other:
            assert other != first, "it is being written"
            other.run_log().write_text("")
    for number, own in ((1, first), (2, other)):
        with run_files(job(number), folders, again=True) as files:
            assert files == own


def test_a_run_that_is_continued_takes_up_its_files(folders: Folders) -> None:
    one, two = job(1), job(2)
    for each in (one, two):
        with run_files(each, folders) as files:
            for path in (files.run_log(), files.state):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(each.id)

    def owned_by(owner: Job) -> RunFiles:
        with run_files(owner, folders, is_own=lambda state: state.read_text() == owner.id) as files:
            return files

    assert [owned_by(each).run_log().read_text() for each in (one, two)] == [one.id, two.id]
    assert not owned_by(job(3)).run_log().exists()
    with locked(owned_by(two).run_log()):
        assert not owned_by(two).run_log().exists(), "it is being run"


def test_a_log_of_any_pass_takes_the_place(folders: Folders) -> None:
    path = folders.run_log("x", CREATED, "_copy")
    path.parent.mkdir(parents=True)
    path.write_text("")
    with run_files(job(), folders, ["_copy", ""]) as files:
        assert files.ending
    with run_files(job(), folders) as files:
        assert not files.ending


# ---- free names -----------------------------------------------------------------------------------------------------


def test_a_free_name_is_one_writers(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with free_name(path, lambda _path: False) as one, free_name(path, lambda _path: False) as two:
        assert (one.name, two.name) == ("x.safetensors", "x_2.safetensors")
    path.write_bytes(b"")
    with free_name(path, lambda _path: False) as other, free_name(path, lambda each: each == path) as own:
        assert (other.name, own.name) == ("x_2.safetensors", "x.safetensors")
    assert [each.name for each in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_file_made_while_another_is_written_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def pieces() -> Iterator[bytes]:
        yield b"one"
        path.write_bytes(b"other")

    assert write_whole(path, pieces()) == tmp_path / "x_2"
    assert (path.read_bytes(), (tmp_path / "x_2").read_bytes()) == (b"other", b"one")


def test_the_folder_is_on_the_disk_before_a_file_is_called_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, list[str]]] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append((os.path.isdir(f"/proc/self/fd/{handle}"), sorted(os.listdir(tmp_path))))
        sync(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the system does not tell what a handle is of")
    monkeypatch.setattr("trainer.paths.os.fsync", noted)
    for overwrite in (False, True):
        synced.clear()
        write_whole(tmp_path / "x", [b"x"], overwrite=overwrite)
        assert [is_folder for is_folder, _ in synced] == [False, True]
        assert "x" in synced[1][1], "it was renamed before"


# ---- tidying up -----------------------------------------------------------------------------------------------------


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(folders: Folders) -> None:
    dead, living = folders.loras / "sub" / "dead.safetensors", folders.data / "living.png"
    with process(WRITE, dead) as killed, process(WRITE, living), process(HOLD, folders.data / "a") as holder:
        killed.kill()
        killed.wait()
        assert len(list(folders.loras.rglob(".*.part"))) == 1
        assert tidy(folders) == 1
        assert not list(folders.loras.rglob(".*.part"))
        assert len(list(folders.data.rglob(".*.part"))) == 1
        holder.kill()
        holder.wait()
        assert tidy(folders) == 1
        assert not lock_of(folders.data / "a").exists()


def test_whose_a_part_is(folders: Folders) -> None:
    folders.loras.mkdir(parents=True)
    long_ago = time.time() - 2 * 24 * 3600
    mine = f"{paths.MACHINE}-{os.getpid()}-{paths.PROCESS}"
    for name, age, is_gone in (
        (f".own.{mine}.00000000.part", long_ago, False),
        (f".earlier.{paths.MACHINE}-{os.getpid()}-ffffffff.00000000.part", time.time(), True),
        (".elsewhere.ffffffff-1-ffffffff.00000000.part", time.time(), False),
        (".elsewhere_old.ffffffff-1-ffffffff.00000000.part", long_ago, True),
        (".version_before.safetensors.123.part", long_ago, True),
        (".somebodys.part", long_ago, False),
        ("x.part", long_ago, False),
    ):
        path = folders.loras / name
        path.write_text("half")
        os.utime(path, (age, age))
        tidy(folders)
        assert path.exists() is not is_gone, name
