"""``queue`` as its users type it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.cli import main
from trainer.jobs.store import DONE, FAILED, STOPPED, WAITING, Store
from trainer.paths import Folders

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--image-size", "64", "--network-rank", "2", "--train-iterations", "3", "--train-batch-size", "1"]
SMALL += ["--effect-strip", "false", "--network-blocks", "M00"]
WORDS = ["--original-prompt", "red", "--target-prompt", "blue"]


@pytest.fixture
def model(model: Path) -> str:
    return str(model)


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    return ["--data-dir", str(tmp_path / "data dir")]


def queue(*arguments: str) -> int:
    return main(["queue", *arguments])


def add(model: str, name: str, data: list[str], *more: str) -> int:
    return queue("add", "iLECO", "--model", model, *WORDS, *SMALL, "--save-lora-name", name, *more, *data)


def statuses(data: list[str]) -> dict[str, str]:
    folder = Path(data[1])
    store = Store(Folders(folder, folder / "loras", folder / "models"))
    found = {entry.name: entry.status for entry in store.entries()}
    store.close()
    return found


def test_a_queue_from_beginning_to_end(model: str, data: list[str], capsys) -> None:
    """The whole way, in one sitting."""
    for name in ("first", "second"):
        assert add(model, name, data) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Job 1, first, waits at position 1.",
        "Job 2, second, waits at position 2.",
    ]
    assert queue("duplicate", "2", *data) == 0
    assert capsys.readouterr().out == "Job 3, second_2, waits at position 3.\n"
    assert queue("move", "3", "1", *data) == 0
    assert capsys.readouterr().out == "Job 3, second_2, waits at position 1.\n"
    assert queue("delete", "2", *data) == 0
    assert capsys.readouterr().out == "Job 2 is deleted.\n"

    assert queue("run", *data) == 0
    out = capsys.readouterr().out.splitlines()
    loras = Path(data[1]) / "loras"
    assert out == [
        "Job 3: iLECO, second_2",
        f"Job 3: saved {loras / 'second_2.safetensors'}",
        "Job 1: iLECO, first",
        f"Job 1: saved {loras / 'first.safetensors'}",
        "2 jobs run.",
    ]
    assert queue("list", *data) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "STATUS", "MODE", "NAME", "MODEL", "ADDED"]
    assert [row.split()[:4] for row in rows] == [["3", DONE, "iLECO", "second_2"], ["1", DONE, "iLECO", "first"]]
    assert queue("list", "--json", *data) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["status"], row["step"]) for row in listed] == [(3, DONE, 3), (1, DONE, 3)]
    assert listed[1]["path"] == str(loras / "first.safetensors")

    assert queue("clear", *data) == 0
    assert queue("list", *data) == 0
    assert queue("run", *data) == 0
    assert capsys.readouterr().out.splitlines() == ["2 jobs deleted.", "The queue is empty.", "No job is waiting."]


def test_show(model: str, data: list[str], capsys) -> None:
    assert add(model, "x", data, "--network-alpha", "5") == 0
    capsys.readouterr()
    assert queue("show", "1", *data) == 0
    out = capsys.readouterr().out
    assert "Status:  waiting 1\n" in out
    assert json.loads(out[out.index("{") :])["network_alpha"] == 5
    assert queue("show", "1", "--json", *data) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["status"], shown["settings"]["network_alpha"]) == ("x", WAITING, 5)
    assert shown["settings"]["train_seed"] >= 0, "the seed is drawn when the job is added"


def test_a_failed_job_is_told_and_can_be_run_again(model: str, data: list[str], tmp_path: Path, capsys) -> None:
    here = tmp_path / "here.safetensors"
    here.write_bytes(Path(model).read_bytes())
    assert add(str(here), "a", data) == 0
    assert add(model, "b", data) == 0
    here.rename(tmp_path / "there.safetensors")
    assert queue("run", *data) == 2
    out = capsys.readouterr().out
    assert "Job 1: failed. model: There is no file" in out
    assert out.splitlines()[-1] == "2 jobs run, 1 failed."
    assert statuses(data) == {"a": FAILED, "b": DONE}
    (tmp_path / "there.safetensors").rename(here)
    assert queue("again", "1", *data) == 0
    assert queue("run", *data) == 0
    assert statuses(data) == {"a": DONE, "b": DONE}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "7"], "There is no such job"),
        (["delete", "99999999999999999999"], "There is no such job"),
        (["move", "7", "1"], "There is no such job"),
        (["again", "7"], "There is no such job"),
        (["duplicate", "7"], "There is no such job"),
        (["add", "no such preset"], "no such preset"),
        (["add", "iLECO", "--model", "nowhere.ckpt", *WORDS], "There is no file nowhere.ckpt"),
        (["add", "iLECO", "--model", "MODEL"], "original prompt: It is empty"),
        (["add", "iLECO", "--model", "MODEL", *WORDS, "--save-lora-name", "x"], "x is the name of a job"),
        (["run", "--device", "cuda:7"], "cuda:7"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    arguments: list[str], words: str, model: str, data: list[str], capsys
) -> None:
    assert add(model, "x", data) == 0
    capsys.readouterr()
    assert queue(*(model if argument == "MODEL" else argument for argument in arguments), *data) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("trainyard: ")
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert statuses(data) == {"x": WAITING}


def test_hostile_text_is_shown_as_text(model: str, data: list[str], tmp_path: Path, capsys) -> None:
    trick = tmp_path / "\u202ecod.safetensors"  # would turn the rest of the line around
    trick.write_bytes(Path(model).read_bytes())
    assert add(str(trick), "x'; DROP TABLE job", data, "--keep-prompts", "\x1b[2J\nJob 9: <b>saved</b>") == 0
    capsys.readouterr()
    for command in (["list"], ["show", "1"], ["list", "--json"], ["show", "1", "--json"]):
        assert queue(*command, *data) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert not any(line.startswith("Job 9") for line in out.splitlines())
    assert out.count("x'; DROP TABLE job") >= 4


def test_a_damaged_queue_is_told_once(data: list[str], capsys) -> None:
    folder = Path(data[1]) / "queue"
    folder.mkdir(parents=True)
    (folder / "queue.db").write_bytes(b"no database" * 500)
    assert queue("list", *data) == 0
    captured = capsys.readouterr()
    assert captured.out == "The queue is empty.\n"
    assert f"{folder / 'queue-damaged.db'}" in captured.err
    assert queue("list", *data) == 0
    assert capsys.readouterr().err == ""


def test_a_newer_queue_is_left_alone(data: list[str], capsys) -> None:
    assert queue("list", *data) == 0
    connection = sqlite3.connect(Path(data[1]) / "queue" / "queue.db")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    assert queue("list", *data) == 2
    assert "was written by a newer Trainyard" in capsys.readouterr().err


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", "queue", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_steps(data: list[str], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not any(path.read_text().count("\n") > 12 for path in (Path(data[1]) / "runs").rglob("*.csv")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)


@pytest.mark.more
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_saves_the_job_and_leaves_the_rest(model: str, data: list[str]) -> None:
    assert add(model, "a", data, "--train-iterations", "100000") == 0
    assert add(model, "b", data) == 0
    process = start("run", *data)
    wait_for_steps(data, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping and saving. The other jobs keep waiting. Press Ctrl-C again to stop without saving." in err
    assert "Traceback" not in err
    path = Path(data[1]) / "loras" / "a.safetensors"
    assert out.splitlines()[-2:] == [f"Job 1: stopped, saved {path}", "1 job run, 1 still waiting."]
    assert path.exists()
    assert statuses(data) == {"a": STOPPED, "b": WAITING}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_watching_waits_for_jobs_until_ctrl_c(model: str, data: list[str]) -> None:
    process = start("run", "--watch", *data)
    assert add(model, "late", data) == 0
    deadline = time.monotonic() + 120
    while statuses(data) != {"late": DONE}:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[-1] == "1 job run."
    assert "Traceback" not in err
