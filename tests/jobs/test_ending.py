"""Programs that are ended save their run first: real signals to real programs, and a console that closes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainer.commands.train import Interrupt
from trainer.jobs.ending import KILLERS, WITHIN, Chained, Windows, chain, heard, on_console_close
from trainer.jobs.store import INTERRUPTED, WAITING, Entry, Store
from trainer.networks.files.file import read
from trainer.paths import Folders

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="Windows sends no signals to other programs")


# ---- handlers -------------------------------------------------------------------------------------------------------


@pytest.fixture
def signals() -> Iterator[None]:
    """What the signals do is as before afterwards."""
    numbers = (signal.SIGINT, *KILLERS)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@posix
def test_a_signal_is_heard_in_the_block_alone_and_an_ignored_one_not_at_all(signals: None) -> None:
    heard_numbers: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = signal.getsignal(signal.SIGTERM)
    with heard(heard_numbers.append):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard_numbers == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


@posix
def test_the_hosts_own_handler_comes_after_ours_once(signals: None) -> None:
    order: list[str] = []
    signal.signal(signal.SIGINT, lambda *_given: order.append("host"))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for _ in range(2):  # once more at each "Reload UI"
        chain(lambda: order.append("ours"))
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGHUP)
    assert order == ["ours", "host"]
    assert isinstance(signal.getsignal(signal.SIGTERM), Chained)


def test_a_closed_console_is_waited_for() -> None:
    calls: list[object] = []
    windows = Windows(lambda function: function, lambda handler, add: calls.append((handler, add)))
    undo = on_console_close(lambda: calls.append("ended"), windows)
    handler, added = calls.pop()
    assert added
    assert [handler(event) for event in (0, 1, 2, 5, 6)] == [0, 0, 1, 1, 1]
    assert calls == ["ended"] * 3
    undo()
    assert calls[-1] == (handler, False)


@posix
def test_a_program_whose_step_takes_too_long_ends_without_it() -> None:
    code = """
import signal, sys, time
from trainer.commands import train
train.WITHIN = 0.2
class Run:
    def interrupt(self): print("asked", flush=True)
with train.Interrupt(Run()):
    print("ready", flush=True)
    time.sleep(30)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert process.stdout.read() == "asked\n"


@posix
def test_a_program_that_is_asked_to_end_says_so(signals: None, capsys: pytest.CaptureFixture[str]) -> None:
    class Run:
        asked = 0

        def interrupt(self) -> None:
            self.asked += 1

        stop = stop_and_save = interrupt

    run = Run()
    with Interrupt(run) as interrupt:
        os.kill(os.getpid(), signal.SIGTERM)
    assert (run.asked, interrupt.code) == (1, 143)
    assert "The program has been asked to close" in capsys.readouterr().err


# ---- programs -------------------------------------------------------------------------------------------------------

JOB = {
    "mode": "iLECO", "original_prompt": "red", "target_prompt": "blue", "image_size": "64", "network_rank": 2,
    "train_iterations": 100000, "train_batch_size": 1, "effect_strip": False, "network_blocks": "M00",
}  # fmt: skip
HOST = """
import os, signal, sys, time
from pathlib import Path
import torch
from trainer.hosts.standalone import Standalone
from trainer.jobs.ending import chain
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker, held_worker
from trainer.paths import Folders
from trainer.web.extension import _end_run

def ends(number, frame):  # as A1111 does it
    print(f"host ends on {number}", flush=True)
    os._exit(0)

signal.signal(signal.SIGINT, ends)
data = Path(sys.argv[1])
folders = Folders(data, data / "loras", data / "models")
worker = held_worker(lambda: Worker(Store(folders), lambda: Standalone(torch.device("cpu"), folders)))
chain(_end_run)
worker.start()
while True:
    time.sleep(0.1)
"""
PAGE = """
import sys
from pathlib import Path
import trainer.web.app
from trainer.cli import main

serve = trainer.web.app.serve

def started(context, port):
    context.worker.start()
    return serve(context, port)

trainer.web.app.serve = started
sys.exit(main(["ui", "--port", sys.argv[2], "--data-dir", sys.argv[1]]))
"""


class Program:
    """A program that trains job 1 of a folder, and how it ends."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # It is ignored where the tests are run by nohup.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
        )

    def wait_for_steps(self) -> None:
        deadline = time.monotonic() + 120
        while not any(path.read_text().count("\n") > 12 for path in (self.data / "runs").rglob("*.csv")):
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.1)

    def ended(self, began: float) -> tuple[int, str]:
        """Args:
        began: the moment of the signal, as files have it.
        """
        out, err = self.process.communicate(timeout=60)
        saved = (self.data / "loras" / "a.safetensors").stat().st_mtime
        assert 0 <= saved - began + 1 < WITHIN
        assert "Traceback" not in err
        return self.process.returncode, out + err


def folders(data: Path) -> Folders:
    return Folders(data, data / "loras", data / "models")


@contextmanager
def opened(data: Path) -> Iterator[Store]:
    store = Store(folders(data))
    yield store
    store.close()


def queued(data: Path, model: Path) -> str:
    from trainer.config.schema import parse

    with opened(data) as store:
        for name in ("a", "b"):
            store.add(parse({**JOB, "model": str(model), "save_lora_name": name}).settings)
    return str(data)


def entries(data: Path) -> list[Entry]:
    with opened(data) as store:
        return store.entries()


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@posix
@pytest.mark.more
def test_programs_that_are_ended_save_their_run_first(model: Path, tmp_path: Path) -> None:
    alone = ["--set=" + f"{name}={value}" for name, value in JOB.items() if name != "mode"]
    one, two, three, four = (tmp_path / name for name in ("train", "queue", "host", "page"))
    where = ["--model", str(model), "--save-lora-name", "a", "--data-dir", str(one)]
    programs = {
        "train": (Program(one, "-m", "trainer", "train", "iLECO", *alone, *where), signal.SIGHUP),
        "queue": (Program(two, "-m", "trainer", "queue", "run", "--data-dir", queued(two, model)), signal.SIGTERM),
        "host": (Program(three, "-c", HOST, queued(three, model)), signal.SIGINT),
        "page": (Program(four, "-c", PAGE, queued(four, model), free_port()), signal.SIGTERM),
    }
    try:
        for program, _ in programs.values():
            program.wait_for_steps()
        began = time.time()
        for program, number in programs.values():
            program.process.send_signal(number)
        ended = {name: program.ended(began) for name, (program, _) in programs.items()}
    finally:
        for program, _ in programs.values():
            program.process.kill()
    codes = {name: code for name, (code, _) in ended.items()}
    assert codes == {"train": 129, "queue": 143, "host": 0, "page": 143}
    for name, (_, told) in ended.items():
        said = "Trainyard is closing" if name in ("host", "page") else "The program has been asked to close"
        assert said in told, name
        assert read(programs[name][0].data / "loras" / "a.safetensors")[0]
    assert "host ends on 2" in ended["host"][1]
    for name in ("queue", "host", "page"):
        first, second = entries(programs[name][0].data)
        assert (first.status, second.status) == (INTERRUPTED, WAITING)
        assert first.path == programs[name][0].data / "loras" / "a.safetensors"
        assert "The program was closed at step" in str(first.message)
        assert "is saved" in str(first.message)
