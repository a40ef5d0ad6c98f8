"""What is read of a damaged queue: every job that stands whole somewhere in the file, and the names of the others."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.config.settings import Settings
from trainer.errors import UserError
from trainer.jobs.recovery import read_pages
from trainer.jobs.store import DONE, RUNNING, WAITING, Entry, Store
from trainer.paths import Folders
from trainer.text.messages import literal

COUNT = 60
PAGE = 4096


def settings(number: int) -> Settings:
    """Every third one too long for a page."""
    prompt = "red " * (2000 if number % 3 == 0 else 1)
    given = replace(Settings(), mode="iLECO", model="m.safetensors", original_prompt=prompt, target_prompt="赤い猫")
    return replace(given, save_lora_name=f"x{number}", train_seed=number)


@pytest.fixture
def path(folders: Folders) -> Path:
    """The file of a queue with jobs that wait, some that have ended and one that runs."""
    store = Store(folders)
    for number in range(1, COUNT + 1):
        store.add(settings(number))
    lease = store.lease()
    for number in (1, 2, 3):
        store.claim(lease, number)
    store.finish(1, lease, DONE, path=Path("/l/x1.safetensors"), step=7)
    store.finish(2, lease, "failed", message=literal("It failed."), step=3)
    store.delete(30)
    lease.end()
    assert len(store.entries()) == COUNT - 1
    store.close()
    return folders.queue / "queue.db"


def jobs(path: Path) -> dict[int, tuple[Entry, Settings | None]]:
    folder = path.parent.parent
    store = Store(Folders(folder, folder.parent / "loras", folder.parent / "models"))
    try:
        return {entry.id: (replace(entry, position=0), settings_in(store, entry.id)) for entry in store.entries()}
    finally:
        store.close()


def settings_in(store: Store, number: int) -> Settings | None:
    try:
        return store.job(number).settings
    except UserError:  # a text with a few bytes of nonsense in it is a whole text for SQLite
        return None


def notice(path: Path) -> str:
    folder = path.parent.parent
    store = Store(Folders(folder, folder.parent / "loras", folder.parent / "models"))
    store.close()
    return str(store.notice or "")


def spoil(path: Path, *pages: int, with_: Callable[[int], bytes] = os.urandom) -> None:
    content = bytearray(path.read_bytes())
    for page in pages:
        content[(page - 1) * PAGE : page * PAGE] = with_(PAGE)
    path.write_bytes(content)


def root_of(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0])


def test_a_whole_file_is_read_as_sqlite_reads_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        wanted = {row[0]: row[1:] for row in connection.execute("SELECT * FROM job")}
    found = read_pages(path)
    assert {row.id: row.values[1:] for row in found.rows if len(row.values) > 10} == wanted
    assert not found.broken
    assert {entry[-1] for entry in found.entries if len(entry) == 3} == wanted.keys()


@pytest.mark.parametrize("name", ["job", "job_by_place"])
def test_without_the_root_of_the_table_or_the_index_no_job_is_lost(path: Path, name: str) -> None:
    before = jobs(path)
    spoil(path, root_of(path, name))
    told = notice(path)
    assert f"{len(before)} jobs could be read from it, and the queue has all of them again" in told
    assert jobs(path) == before
    assert (before[1][0].status, before[1][0].step, before[2][0].status) == (DONE, 7, "failed")


def test_without_the_first_page_no_job_is_lost(path: Path) -> None:
    before = jobs(path)
    spoil(path, 1)
    assert f"{len(before)} jobs could be read" in notice(path)
    assert jobs(path) == before


def test_a_job_on_a_broken_page_is_named_and_the_others_are_kept(path: Path) -> None:
    before = jobs(path)
    content = path.read_bytes()
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    middle = next(number for number, page in enumerate(pages, 1) if page.count(b"red red") > 400)  # of long settings
    spoil(path, middle, with_=bytes)
    told = notice(path)
    after = jobs(path)
    lost = before.keys() - after.keys()
    assert 0 < len(lost) < 6
    assert all(after[number] == before[number] for number in after)
    assert all(before[number][0].name in told or f"#{number}" in told for number in lost)
    assert "Lost are" in told


def test_what_the_write_ahead_log_holds_is_not_lost(path: Path) -> None:
    folder = path.parent.parent
    store = Store(Folders(folder, folder.parent / "loras", folder.parent / "models"))
    late = store.add(settings(99))
    log = Path(f"{path}-wal").read_bytes()
    root = root_of(path, "job_by_place")
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if not log:
        pytest.skip("this drive has no write-ahead log")
    spoil(path, root)
    Path(f"{path}-wal").write_bytes(b"")
    after = jobs(path)
    assert late.id in after


def test_nothing_deleted_comes_back(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")  # some systems' SQLite wipes what it deletes
        connection.execute("DELETE FROM job WHERE id BETWEEN 4 AND 50")
        connection.commit()
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 3
    before = jobs(path)
    spoil(path, root_of(path, "job_by_place"))
    assert jobs(path).keys() == before.keys()


def test_an_index_that_does_not_fit_its_table_is_noticed(path: Path) -> None:
    before = jobs(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'place)', 'name)') WHERE name = 'job_by_place'")
        connection.commit()
    assert "could be read from it" in notice(path)
    assert jobs(path) == before


@pytest.mark.parametrize(("column", "value"), [("status", "'dancing'"), ("created", "'yesterday'"), ("created", "7")])
def test_values_that_cannot_be_right_cost_their_job_alone(path: Path, column: str, value: str) -> None:
    before = jobs(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE job SET {column} = {value} WHERE id = 7")
        connection.commit()
    told = notice(path)
    assert jobs(path).keys() == before.keys() - {7}
    assert "Lost are x7." in told


@pytest.mark.parametrize("seed", range(12))
def test_any_damage_leaves_a_queue_that_works(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    before = jobs(path)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 3, 20))):
        at, length = rng.randrange(len(content)), rng.choice((1, 16, 500, 9000))
        content[at : at + length] = rng.randbytes(min(length, len(content) - at))
    if seed % 4 == 0:
        del content[rng.randrange(len(content)) :]
    path.write_bytes(content)
    after = jobs(path)
    assert set(after) <= set(before)
    folder = path.parent.parent
    store = Store(Folders(folder, folder.parent / "loras", folder.parent / "models"))
    assert store.add(settings(99)).status == WAITING
    assert not any(entry.status == RUNNING for entry in store.entries())
    store.close()
