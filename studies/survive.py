"""Kills runs wherever they are, continues them, and looks for what was lost: ``python -m studies.survive``.

Jobs of every mode, with two passes, previews, files on the way and strips, are run from a queue by programs that are
killed (SIGKILL): after a random time, at a random event, or just before or after a random call that puts a file in its
place. Each is continued by a new program, which may be killed in its turn. In the end every job has to be done, its
LoRAs, logs and images have to be those of a run that nobody disturbed, byte for byte, and nothing else may be left.

    python -m studies.survive --kills 120 --seed 1

Programs are forks of one that has imported everything, so that a kill costs as long as its run. Exit code 0: nothing
was lost.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import io
import json
import mmap
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import trainer.engine.run  # noqa: F401 - so that forks need not
from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.data.cache import cache_path
from trainer.hosts.standalone import Standalone
from trainer.job import Event, Job, Phase
from trainer.jobs.store import DONE, INTERRUPTED, Entry, Store
from trainer.jobs.worker import Worker
from trainer.models.registry import load_libraries
from trainer.paths import CHECKOUT, Folders

MODEL = CHECKOUT / "tests" / "toy" / "toy-sd1.safetensors"
CREATED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)
STRIP, WORDS = "/effect.png", "/effect.txt"
CALLS = ("link", "replace", "fsync", "unlink")
"""Of ``os``: what puts files in their place and takes them away."""
_PATIENCE = 300.0
"""Seconds after which a program hangs, also on a machine that has much else to do."""
_COMMON = {
    "model": str(MODEL), "image_size": "64", "image_min_length": 64, "image_buckets_step": 64, "network_rank": 2,
    "network_blocks": ["M00"], "train_iterations": 8, "train_batch_size": 1, "train_learning_rate": 1e-3,
    "train_seed": 3, "save_per_steps": 3, "effect_strip": True, "logging_save_csv": True, "save_as_json": True,
    "sample_prompt": "a red circle --s 4", "sample_every_steps": 5, "sample_strengths": [1],
    "state_every_minutes": 0.0005,
}  # fmt: skip
"""The state is due after 30 milliseconds, which is about every step."""


def kinds(images: Path) -> dict[str, Settings]:
    """A job of each kind, on images that are made in a folder."""
    rng = np.random.default_rng(1)
    for name in ("pair/a.png", "pair/b.png", *(f"{folder}/{number}{end}.png" for folder, end in
                 (("folder", ""), ("pairs", ""), ("pairs", "_after")) for number in range(3))):  # fmt: skip
        path = images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    words = {"original_prompt": "red", "target_prompt": "blue"}
    pair = {"original_image": str(images / "pair" / "a.png"), "target_image": str(images / "pair" / "b.png")}
    second = {"network_rank": 2, "train_iterations": 4, "train_seed": 5, "train_optimizer": "Lion"}
    given: dict[str, dict[str, Any]] = {
        "ileco": {"mode": "iLECO", **words},
        "ileco, schedule-free": {"mode": "iLECO", **words, "train_optimizer": "AdamWScheduleFree",
                                 "train_lr_scheduler": "constant", "network_type": "loha"},
        "ileco, text encoder": {"mode": "iLECO", **words, "network_train_text_encoder": True,
                                "network_blocks": ["BASE", "M00"], "train_optimizer": "Prodigy"},
        "lora": {"mode": "LoRA", "lora_data_directory": str(images / "folder"), "train_batch_size": 2,
                 "image_mirroring": True, "network_type": "c3lier"},
        "difference": {"mode": "Difference", **pair, "diff_save_1st_pass": True, "use_2nd_pass_settings": True,
                       "second_pass": second},
        "difference, nothing kept": {"mode": "Difference", **pair},
        "addift": {"mode": "ADDifT", **pair, "train_lr_scheduler": "reduce_on_plateau"},
        "multi": {"mode": "Multi-ADDifT", "lora_data_directory": str(images / "pairs"), "diff_target_name": "_after"},
    }  # fmt: skip
    named = ((name, {**_COMMON, **changes}) for name, changes in given.items())
    return {name: _settings(name, whole) for name, whole in named}


def _settings(name: str, given: dict[str, Any]) -> Settings:
    if "second_pass" in given:
        given = {**given, "2nd pass": given["second_pass"]}
        del given["second_pass"]
    return replace(parse(given).settings, save_lora_name=name.replace(", ", "-").replace(" ", "-"))


# ---- programs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trap:
    """Where a program is killed.

    Attributes:
        kind: ``time``, ``event``, ``before`` or ``after`` a call; ``never``.
        at: seconds, or which event or call, counted from 1.
        call: of :data:`CALLS`.
    """

    kind: str = "never"
    at: float = 0.0
    call: str = ""


@dataclass
class Counts:
    """What a run that nobody disturbs does: the places where it can be killed."""

    seconds: float = 0.0
    events: int = 0
    calls: Counter[str] = field(default_factory=Counter)


class Board:
    """A few bytes that a program and its forks share: what it is doing."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 256)

    def write(self, text: str) -> None:
        self._memory[:] = text.encode()[:255].ljust(256, b"\0")

    def read(self) -> str:
        return self._memory[:].rstrip(b"\0").decode("utf-8", "replace")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(_PATIENCE)


def _set_calls(trap: Trap, counts: Counts) -> None:
    def trapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            counts.calls[name] += 1
            is_it = trap.call == name and counts.calls[name] == trap.at
            if is_it and trap.kind == "before":
                _die()
            result = call(*given, **named)
            if is_it and trap.kind == "after":
                _die()
            return result

        return called

    for name in CALLS:
        setattr(os, name, trapped(name, getattr(os, name)))


def _program(folders: Folders, trap: Trap, board: Board, counts_to: Path) -> None:
    """Continue what was broken off, run what waits, and end; in a process of its own."""
    counts, began = Counts(), time.monotonic()

    def listen(_entry: Entry, event: Event) -> None:
        counts.events += 1
        board.write(event.message.key if isinstance(event, Phase) else type(event).__name__)
        if trap.kind == "event" and counts.events == trap.at:
            _die()

    board.write("start")
    _set_calls(trap, counts)
    torch.set_num_threads(1)
    store = Store(folders)
    worker = Worker(store, lambda: Standalone(torch.device("cpu"), folders), listen)
    worker.continue_broken_off()
    for entry in store.entries():
        if entry.status == INTERRUPTED:  # before its first state
            worker.run_now(entry.id)
    worker.start()
    if not worker.join(_PATIENCE):
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError("the queue hangs")
    worker.close()
    store.close()
    counts.seconds = time.monotonic() - began
    counts_to.write_text(json.dumps(vars(counts)))


def run_program(folders: Folders, trap: Trap, board: Board, counts_to: Path) -> bool:
    """Run a program to its end or to where it is killed. Returns whether it was.

    Raises:
        RuntimeError: it failed, or hangs.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            _program(folders, trap, board, counts_to)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent's work is not this process's
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ends = time.monotonic() + (trap.at if trap.kind == "time" else 1.2 * _PATIENCE)
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.002)
    else:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if trap.kind != "time":
            raise RuntimeError(f"hangs in {board.read()}")
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        raise RuntimeError(f"ended with {status} in {board.read()}")
    return False


# ---- what is left ---------------------------------------------------------------------------------------------------


def folders_in(home: Path) -> Folders:
    return Folders(home / "data", home / "loras", CHECKOUT / "tests" / "toy")


def left_in(home: Path) -> dict[str, bytes]:
    """Every file of a home by its path, but for the queue's own database, and the cache, which no run is made from."""
    cache = cache_path(folders_in(home)).parent
    files = (path for path in home.rglob("*") if path.is_file() and path.parent != cache)
    found = {path.relative_to(home).as_posix(): path for path in files}
    database = {f"data/queue/queue.db{ending}" for ending in ("", "-wal", "-shm")}
    return {name: path.read_bytes() for name, path in sorted(found.items()) if name not in database}


@dataclass
class Reference:
    """A job, what it leaves if nobody disturbs it, and where it can be killed."""

    job: Job
    files: dict[str, bytes]
    counts: Counts


def reference(settings: Settings, home: Path, board: Board) -> Reference:
    job = Job(settings, CREATED)
    _queue(job, home)
    if run_program(folders_in(home), Trap(), board, home.parent / "counts.json"):
        raise RuntimeError("was killed by somebody else")
    told = json.loads((home.parent / "counts.json").read_text())
    if _entry(home).status != DONE:
        raise RuntimeError(f"{job.name} fails undisturbed: {_entry(home).message}")
    return Reference(job, left_in(home), Counts(told["seconds"], told["events"], Counter(told["calls"])))


def _queue(job: Job, home: Path) -> None:
    store = Store(folders_in(home))
    store.add_job(job)
    store.close()


def _entry(home: Path) -> Entry:
    store = Store(folders_in(home))
    try:
        return store.entries()[0]
    finally:
        store.close()


def set_trap(rng: random.Random, counts: Counts) -> Trap:
    kind = rng.choice(("time", "event", "before", "after"))
    if kind == "time":
        return Trap(kind, rng.uniform(0.0, counts.seconds))
    if kind == "event":
        return Trap(kind, rng.randint(1, counts.events))
    call = rng.choice([name for name in CALLS if counts.calls[name]])
    return Trap(kind, rng.randint(1, counts.calls[call]), call)


# ---- the study ------------------------------------------------------------------------------------------------------


@dataclass
class Findings:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    other_bytes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    undescribed: int = 0
    """Jobs that were killed when their LoRA was there already: they are done, without their strip, what is
    measured below it, or their card."""

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.other_bytes or self.left)

    def told(self) -> Iterator[str]:
        yield f"{sum(self.kills.values())} kills of {self.jobs} jobs: {dict(self.kills.most_common())}"
        yield f"done without strip or card, killed when their LoRA was there: {self.undescribed}"
        yield f"while: {dict(self.where.most_common())}"
        for name, found in (("jobs lost", self.lost), ("other bytes", self.other_bytes), ("left behind", self.left)):
            yield f"{name}: {len(found)}"
            yield from (f"  {each}" for each in found)


def survive(kills: int, seed: int, only: Sequence[str] = (), most: int = 3) -> Findings:
    """Kill runs that many times, at places drawn from ``seed``.

    Args:
        only: names of kinds; all if there are none.
        most: how often one job is killed at most.
    """
    load_libraries()
    gc.freeze()  # a fork that collects garbage need not walk the libraries
    findings, board, rng = Findings(), Board(), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="survive-") as folder:
        root = Path(folder)
        chosen = {name: each for name, each in kinds(root / "images").items() if not only or name in only}
        known: dict[str, Reference] = {}
        while sum(findings.kills.values()) < kills:
            name = rng.choice(sorted(chosen))
            if name not in known:
                known[name] = reference(chosen[name], root / "undisturbed" / name / "home", board)
            findings.jobs += 1
            home = root / "killed" / str(findings.jobs) / "home"
            _kill(known[name], home, rng, board, findings, rng.randint(1, most))
            _compare(f"{name}, job {findings.jobs}", known[name], home, findings)
            print(f"\r{sum(findings.kills.values())} kills", end="", file=sys.stderr, flush=True)
    return findings


def _kill(one: Reference, home: Path, rng: random.Random, board: Board, findings: Findings, times: int) -> None:
    _queue(one.job, home)
    for _ in range(times):
        trap = set_trap(rng, one.counts)
        if not run_program(folders_in(home), trap, board, home.parent / "counts.json"):
            return  # it was done before
        findings.kills[f"{trap.kind} {trap.call}".strip()] += 1
        findings.where[board.read()] += 1
    run_program(folders_in(home), Trap(), board, home.parent / "counts.json")


def _compare(name: str, one: Reference, home: Path, findings: Findings) -> None:
    entry, now = _entry(home), left_in(home)
    if entry.status != DONE or entry.path != folders_in(home).lora(one.job.name):
        findings.lost.append(f"{name}: {entry.status} {entry.path} {entry.message or ''}")
    gone = one.files.keys() - now.keys()
    may_be_gone = {path for path in gone if path.endswith((STRIP, WORDS)) or _is_card(path, gone)}
    begun = {path for path in one.files.keys() - gone if path.endswith(STRIP) and begins(one.files[path], now[path])}
    findings.undescribed += bool(may_be_gone or begun)
    findings.other_bytes += [
        f"{name}: {path}" for path in one.files.keys() - may_be_gone - begun if now.get(path) != one.files[path]
    ]
    findings.left += [f"{name}: {path}" for path in now.keys() - one.files.keys()]


def begins(whole: bytes, part: bytes) -> bool:
    """Whether an image is the upper part of another: a strip is written before what is measured is below it."""
    wanted, found = (Image.open(io.BytesIO(content)) for content in (whole, part))
    if found.width != wanted.width or found.height >= wanted.height:
        return False
    return bool(np.array_equal(np.asarray(wanted.crop((0, 0, *found.size))), np.asarray(found)))


def _is_card(path: str, gone: Collection[str]) -> bool:
    """Whether a file is the card of a LoRA that is there."""
    return path.startswith("loras/") and path.endswith(".json") and path.replace(".json", ".safetensors") not in gone


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=120, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the places (%(default)s)")
    parser.add_argument("--most", type=int, default=3, help="of one job (%(default)s)")
    parser.add_argument("--only", action="append", default=[], help="a kind of job; repeatable")
    options = parser.parse_args()
    began = time.monotonic()
    findings = survive(options.kills, options.seed, options.only, options.most)
    print(*findings.told(), f"{time.monotonic() - began:.0f} s", sep="\n")
    return 0 if findings.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
