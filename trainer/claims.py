"""Which process writes which files: locks that end with their process, the files of a run, and what dead ones left."""

from __future__ import annotations

import glob
import itertools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from .job import Job
from .paths import MACHINE, PROCESS, Folders, RunFiles, candidates

_PART = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d{1,10})-(?P<process>[0-9a-f]{8})\.[0-9a-f]{8}\.part")
_OLD_PART = re.compile(r"\..*\.\d{1,10}\.part")
_LOCK_ENDING = ".trainyard-lock"
_MOST_AT_ONCE = 5
"""Runs of one job in one second whose states are looked for."""
_DAY = 24 * 3600.0
STEP_ENDING = ".safetensors"
"""Of the LoRA of a step, beside the image that the run made after it."""
MOST_STEP_BYTES, _STEP_DAYS = 4_000_000_000, 7
"""How much of the disk these may take, of all runs together, and how long they are kept for their user to take one."""
"""Seconds after which a file is abandoned whose writer cannot be asked for: it was on another machine."""


# ---- locks ----------------------------------------------------------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of what is called ``path`` while the block lasts; the system ends it with the process.

    The lock is a hidden file beside ``path``, which is gone afterwards. Where files cannot be locked at all, as on some
    network drives, everyone gets it.

    Yields:
        Whether it was free. If not, the block has no lock.
    """
    beside = lock_of(path)
    try:
        handle = _locked_handle(beside)
    except OSError:  # who writes there next says what is wrong
        yield True
        return
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        _end(handle, beside)


def lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name[:60]}{_LOCK_ENDING}")


def _locked_handle(path: Path) -> int | None:
    """The lock's file, open and locked; None if another one holds it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_ours = _lock(handle)
            if is_ours and not _is_file_at(handle, path):  # its holder has removed it meanwhile
                os.close(handle)
                continue
        except OSError:
            os.close(handle)
            raise
        if is_ours:
            return handle
        os.close(handle)
        return None


def _is_file_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _lock(handle: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _end(handle: int, path: Path) -> None:
        os.close(handle)  # an open file cannot be removed
        _remove(path)

else:

    def _lock(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _end(handle: int, path: Path) -> None:
        _remove(path)  # while it is locked, so that it is nobody else's; who waits for it sees that it is gone
        os.close(handle)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows: another process is looking at it, and tidies up after itself
        return


# ---- files of a run -------------------------------------------------------------------------------------------------


@contextmanager
def run_files(
    job: Job,
    folders: Folders,
    suffixes: Sequence[str] = ("",),
    is_own: Callable[[Path], bool] | None = None,
    *,
    again: bool = False,
) -> Iterator[RunFiles]:
    """The files of a run, which are no other run's while the block lasts: of two of one name in one second, the
    second one's have the job's id in their names, and so have those of a job that is run again.

    Args:
        suffixes: of the logs, for several passes.
        is_own: whether a state is the job's; given for a run that is continued, whose files are taken up. If there is
            none, they are those of a new run.
        again: the job has been run before, and the files of that run are written over.
    """
    for files in broken_off(job, folders, is_own) if is_own is not None else ():
        with locked(files.run_log()) as is_free:
            if is_free and files.state.exists():
                yield files
                return
    before = files_of(job.id, job.name, job.created, folders) if again else None
    for files in _possible(job, folders):
        is_first = not files.ending and files != before
        if is_first and any(files.run_log(suffix).exists() for suffix in suffixes):
            continue
        with locked(files.run_log()) as is_free:
            if is_free and not (is_first and any(files.run_log(suffix).exists() for suffix in suffixes)):
                yield files
                return
    raise AssertionError("the names never end")


def files_of(job_id: str, name: str, created: datetime, folders: Folders) -> RunFiles:
    """The files of the latest run of a job; which of several at the same time, nobody can tell."""
    own = RunFiles(folders, name, created, f"_{job_id}")
    is_there = own.samples.is_dir() or any(own.run_log().parent.glob(f"{glob.escape(own.run_log().stem)}*.csv"))
    return own if is_there else RunFiles(folders, name, created)


def broken_off(job: Job, folders: Folders, is_own: Callable[[Path], bool]) -> Iterator[RunFiles]:
    """The files of a job's runs that left a state, the latest first.

    Args:
        is_own: whether a state that is there is the job's.
    """
    plain, *others = itertools.islice(_possible(job, folders), _MOST_AT_ONCE)
    found = [files for files in (*others, plain) if files.state.exists() and is_own(files.state)]
    yield from sorted(found, key=lambda files: -files.state.stat().st_mtime)


def _possible(job: Job, folders: Folders) -> Iterator[RunFiles]:
    yield RunFiles(folders, job.name, job.created)
    number = 1
    while True:
        again = "" if number == 1 else f"_{number}"
        yield RunFiles(folders, job.name, job.created, f"_{job.id}{again}")
        number += 1


@contextmanager
def free_name(path: Path, is_own: Callable[[Path], bool]) -> Iterator[Path]:
    """The first of ``path``, ``_2``, ``_3`` … that is free, or the caller's own; nobody else gets it in the block."""
    for candidate in candidates(path):
        with locked(candidate) as is_free:
            if is_free and (not os.path.lexists(candidate) or is_own(candidate)):
                yield candidate
                return
    yield path


# ---- tidying up -----------------------------------------------------------------------------------------------------


def tidy(folders: Folders) -> int:
    """Remove half written files and locks whose process is dead, below the folders where runs write, and LoRAs of
    steps that nobody has taken.

    Returns:
        How many there were.
    """
    left = sum(_is_removed(path) for root in (folders.data, folders.loras) for path in _hidden(root))
    return left + tidy_steps(folders.data / "samples")


def tidy_steps(samples: Path, own: Path | None = None) -> int:
    """Remove LoRAs of steps beside their images: old ones, and the oldest of the others until they take no more than
    they may. The images stay.

    Args:
        samples: the folder with the images of all runs.
        own: that of a run that is going on, whose files go last.

    Returns:
        How many were removed.
    """
    found = []
    for path in samples.glob(f"*/*/*{STEP_ENDING}"):
        try:
            stat = path.stat()
        except OSError:  # another process has removed it
            continue
        found.append((path.parent == own, stat.st_mtime, stat.st_size, path))
    removed, taken = 0, sum(size for _, _, size, _ in found)
    for is_own, written, size, path in sorted(found):
        is_old = not is_own and time.time() - written > _STEP_DAYS * _DAY
        if not is_old and taken <= MOST_STEP_BYTES:
            continue
        try:
            path.unlink()
        except OSError:  # Windows: somebody reads it
            continue
        taken, removed = taken - size, removed + 1
    return removed


def _hidden(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):  # of what cannot be read, nothing is said: it is no run's
        for name in names:
            if name.startswith(".") and name.endswith((".part", _LOCK_ENDING)):
                yield Path(folder, name)


def _is_removed(path: Path) -> bool:
    try:
        if path.name.endswith(_LOCK_ENDING):
            return _remove_free(path)
        if _is_abandoned(path):
            path.unlink()
            return True
    except OSError:  # it is gone, or not ours to remove
        return False
    return False


def _is_abandoned(path: Path) -> bool:
    named = _PART.fullmatch(path.name)
    if named is None:
        return bool(_OLD_PART.fullmatch(path.name)) and _is_old(path)
    if named["machine"] != MACHINE:
        return _is_old(path)
    if int(named["pid"]) == os.getpid():
        return named["process"] != PROCESS
    return not _is_alive(int(named["pid"]))


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _DAY


def _remove_free(lock: Path) -> bool:
    """Remove a lock that nobody holds, while nobody can take it."""
    handle = os.open(lock, os.O_RDWR)
    if not _lock(handle):
        os.close(handle)
        return False
    _end(handle, lock)
    return True


if sys.platform == "win32":

    def _is_alive(pid: int) -> bool:
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
        if not handle:
            return ctypes.get_last_error() == 5  # access denied: it is there
        try:
            return bool(kernel.WaitForSingleObject(handle, 0) == 0x102)  # WAIT_TIMEOUT: it has not ended
        finally:
            kernel.CloseHandle(handle)

else:

    def _is_alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            return True
        return True
