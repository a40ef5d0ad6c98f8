"""The cache on the disk: whole or absent, bounded, for several processes, and never in the way of a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from trainer.data import cache as cache_module
from trainer.data.cache import DataCache, Mark, key_of, open_cache
from trainer.paths import Folders

MB = 1_000_000


def opened(folder: Path, most: int = 100 * MB) -> DataCache:
    cache = DataCache(folder / "cache.sqlite", most)
    assert cache.problem is None
    return cache


def long_ago(path: Path) -> Path:
    """A file as most are: not written just now."""
    os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    return path


def age(folder: Path, key: str, hours: float) -> None:
    with sqlite3.connect(folder / "cache.sqlite") as connection:
        connection.execute("UPDATE entries SET used = ? WHERE key = ?", (int(time.time() - hours * 3600), key))
    connection.close()


def test_what_is_put_is_found_by_the_next_one(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put("a", b"one")
    assert first.get("a") == b"one"
    assert first.get("b") is None
    first.close()
    second = opened(tmp_path)
    assert second.get("a") == b"one"
    assert (second.hits, second.misses) == (1, 0)
    second.close()


def test_a_key_tells_apart_what_looks_alike_once_joined() -> None:
    keys = {key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of(("ab", "c")), key_of("ab", b"c")}
    assert len(keys) == 5
    assert key_of("a", 1, (2, None)) == key_of("a", 1, (2, None))


def test_an_entry_that_is_damaged_is_not_there_and_is_written_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put("a", b"x" * 1000)
    first.put("b", b"y" * 1000)
    first.close()
    path = tmp_path / "cache.sqlite"
    path.write_bytes(path.read_bytes().replace(b"x" * 1000, b"x" * 999 + b"z"))
    second = opened(tmp_path)
    assert second.get("a") is None
    assert second.get("b") == b"y" * 1000
    second.put("a", b"x" * 1000)
    second.close()
    third = opened(tmp_path)
    assert third.get("a") == b"x" * 1000
    third.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 40_000])
def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cache.sqlite").write_bytes(content)
    cache = opened(tmp_path)
    assert cache.get("a") is None
    cache.put("a", b"one")
    cache.close()
    again = opened(tmp_path)
    assert again.get("a") == b"one"
    again.close()


def test_tables_of_another_version_are_begun_anew(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cache.sqlite") as connection:
        connection.execute("CREATE TABLE entries (something TEXT)")
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    cache = opened(tmp_path)
    cache.put("a", b"one")
    cache.flush()
    assert cache.get("a") == b"one"
    assert cache.problem is None
    cache.close()


def test_one_that_cannot_be_opened_keeps_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").mkdir()
    cache = DataCache(tmp_path / "cache.sqlite", MB)
    assert cache.problem
    cache.put("a", b"one")
    cache.flush()
    assert cache.get("a") is None
    assert cache.content(tmp_path / "cache.sqlite") is None
    assert cache.size() == (0, 0)
    cache.clear()
    cache.close()


def test_the_oldest_use_goes_first(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for key in "abcd":
        first.put(key, key.encode() * MB)
    first.close()
    for key, hours in (("a", 9), ("b", 30), ("c", 20), ("d", 10)):
        age(tmp_path, key, hours)
    used = opened(tmp_path)
    assert used.get("b") is not None  # the oldest, but now it is used again
    used.close()
    full = opened(tmp_path, 4 * MB)  # with what surrounds them, there is room for three
    full.put("e", b"e" * MB)
    full.close()
    last = opened(tmp_path)
    assert [key for key in "abcde" if last.get(key) is not None] == ["a", "b", "e"]
    last.close()


def test_what_this_run_has_used_stays_and_what_does_not_fit_is_not_kept(tmp_path: Path) -> None:
    cache = opened(tmp_path, 3 * MB)
    for key in "abcdef":
        cache.put(key, key.encode() * MB)
        cache.flush()
    assert [key for key in "abcdef" if cache.get(key) is not None] == ["a", "b"]
    cache.close()
    assert (tmp_path / "cache.sqlite").stat().st_size < 3 * MB


def test_a_lower_limit_makes_the_file_smaller(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for key in "abcdefgh":
        first.put(key, key.encode() * MB)
    first.close()
    assert (tmp_path / "cache.sqlite").stat().st_size > 8 * MB
    for key in "abcdefgh":
        age(tmp_path, key, 5)
    lower = opened(tmp_path, 2 * MB)
    lower.close()
    assert (tmp_path / "cache.sqlite").stat().st_size < 2 * MB


def test_no_more_than_half_of_the_disk_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 3 * MB})
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _path: usage)
    cache = opened(tmp_path)
    cache.put("a", b"a" * MB)
    cache.flush()
    cache.put("b", b"b" * MB)
    cache.flush()
    assert cache.get("a") is not None
    assert cache.get("b") is None
    cache.close()


def test_it_can_be_emptied(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("a", b"a" * MB)
    cache.flush()
    assert cache.size()[0] == 1
    cache.clear()
    assert cache.get("a") is None
    cache.close()
    assert (tmp_path / "cache.sqlite").stat().st_size < MB


def test_zero_gigabytes_are_no_cache(tmp_path: Path) -> None:
    folders = Folders(tmp_path, tmp_path, tmp_path)
    with open_cache(folders, 0.0) as none:
        assert none is None
    assert not list(tmp_path.iterdir())
    with open_cache(folders, 0.5) as cache:
        assert cache is not None
        assert cache.problem is None


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    real = cache_module.open_file
    monkeypatch.setattr(cache_module, "open_file", lambda path: reads.append(path) or real(path))
    file = tmp_path / "image.png"
    file.write_bytes(b"one")
    long_ago(file)
    first = opened(tmp_path)
    one = first.content(file)
    # sha256 of "one", from coreutils
    assert one == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert first.content(file) == one
    first.close()
    second = opened(tmp_path)
    assert second.content(file) == one
    assert len(reads) == 1
    file.write_bytes(b"two")  # of the same length and, next, of the same time: only the change itself is new
    long_ago(file)
    if os.name != "nt":
        assert second.known_content(file) is None
        two = second.content(file)
        assert two not in (None, one)
        assert len(reads) == 2
    second.close()


def test_a_file_that_has_just_been_written_is_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"one")
    cache = opened(tmp_path)
    assert cache.content(file) is None
    long_ago(file)
    assert cache.content(file) is not None
    cache.close()


def test_what_is_no_file_has_no_content(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    assert cache.content(tmp_path / "missing.png") is None
    assert cache.content(tmp_path) is None
    assert cache.problem is None
    cache.close()


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_a_name_that_is_no_text_is_kept_too(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    file.write_bytes(b"one")
    long_ago(file)
    first = opened(tmp_path)
    known = first.content(file)
    first.close()
    second = opened(tmp_path)
    assert second.known_content(file) == known is not None
    second.close()


def test_a_mark_is_none_where_there_is_nothing(tmp_path: Path) -> None:
    assert Mark.now(tmp_path / "missing") is None


# ---- several processes ----------------------------------------------------------------------------------------------

_WRITER = """
    import sys
    from pathlib import Path
    from trainer.data.cache import DataCache

    cache = DataCache(Path(sys.argv[1]), 10**9)
    first, count = int(sys.argv[2]), int(sys.argv[3])
    print("ready", flush=True)
    for number in range(first, first + count):
        cache.put(str(number), str(number).encode() * 1000)
        if number % 10 == 0:
            cache.flush()
    cache.close()
    print("problem:", cache.problem, flush=True)
"""


def writer(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(_WRITER), str(folder / "cache.sqlite"), str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    writers = [writer(tmp_path, first, 300) for first in (0, 200)]  # a third of it is the same
    assert [each.communicate(timeout=60)[0].split() for each in writers] == [["ready", "problem:", "None"]] * 2
    cache = opened(tmp_path)
    assert all(cache.get(str(number)) == str(number).encode() * 1000 for number in range(500))
    assert cache.size()[0] == 500
    cache.close()


def test_a_kill_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    rounds = 3
    for number in range(rounds):
        killed = writer(tmp_path, 0, 100_000)
        assert killed.stdout is not None
        killed.stdout.readline()
        time.sleep(0.02 + 0.05 * number)
        killed.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        killed.wait(timeout=30)
        killed.stdout.close()
    cache = opened(tmp_path)
    count, _ = cache.size()
    assert count > 0
    assert all(cache.get(str(number)) == str(number).encode() * 1000 for number in range(count))
    cache.put("more", b"more")
    cache.close()
    assert cache.problem is None
