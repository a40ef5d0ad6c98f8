"""``train --resume`` and ``queue resume`` as their users type them, after a signal that ended the program."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
import torch

from trainer.cli import main
from trainer.commands import queue as queue_command
from trainer.commands import train as train_command
from trainer.job import Event, Step
from trainer.jobs.store import DONE, INTERRUPTED, Entry, Store
from trainer.networks.files.file import read
from trainer.paths import Folders

SMALL = ["--image-size", "64", "--network-rank", "2", "--train-iterations", "6", "--train-batch-size", "1"]
SMALL += ["--effect-strip", "false", "--network-blocks", "M00", "--train-seed", "3"]
WORDS = ["--original-prompt", "red", "--target-prompt", "blue"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no signals to programs")


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    return ["--data-dir", str(tmp_path / "data")]


def given(model: Path, name: str) -> list[str]:
    return ["iLECO", "--model", str(model), *WORDS, *SMALL, "--save-lora-name", name]


def entry(data: list[str]) -> Entry:
    folder = Path(data[1])
    store = Store(Folders(folder, folder / "loras", folder / "models"))
    try:
        return store.entries()[0]
    finally:
        store.close()


class Killed(train_command.Progress):
    """Ends the program at a step, once."""

    is_over = False

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, Step) and event.number == 3 and not Killed.is_over:
            Killed.is_over = True
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def _killed(monkeypatch: pytest.MonkeyPatch) -> None:
    Killed.is_over = False
    for module in (train_command, queue_command):
        monkeypatch.setattr(module, "Progress", Killed)


def test_train_says_how_it_is_resumed_and_resumes(
    model: Path, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *given(model, "x"), *data]) == 143
    told = capsys.readouterr().err
    assert "What has been trained so far is saved first" in told
    assert f'Continue it with: python -m trainer train --resume x --data-dir "{data[1]}"' in told
    assert main(["train", "--resume", "x", *data]) == 0
    told = capsys.readouterr().err
    assert re.search(r"Continuing x after step \d+ of \d+\.", told)
    assert "--resume" not in told
    assert main(["train", *given(model, "alone"), *data]) == 0
    loras = Path(data[1]) / "loras"
    resumed, alone = (read(loras / f"{name}.safetensors")[0] for name in ("x", "alone"))
    assert resumed.keys() == alone.keys()
    assert all(torch.equal(resumed[name], alone[name]) for name in alone)
    assert not list(Path(data[1]).rglob("*.state"))


def test_the_same_command_once_more_says_that_it_begins_anew(
    model: Path, data: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *given(model, "x"), *data]) == 143
    capsys.readouterr()
    assert main(["train", *given(model, "x"), *data, "--save-overwrite", "true"]) == 0
    told = capsys.readouterr().err
    assert re.search(
        r"A run of this name was broken off after step \d of 6; this one starts from the beginning\.", told
    )
    assert f'--resume x --data-dir "{data[1]}"' in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume", "nobody"], "nobody: No run of that name was broken off"),
        (["iLECO", "--resume", "x"], "takes all settings from the run that was broken off"),
        (["--resume", "x", "--network-rank", "4"], "takes all settings from the run that was broken off"),
    ],
)
def test_what_cannot_be_resumed_is_told(
    data: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["train", *arguments, *data]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("how", ["1", "x", "--continue"])
def test_the_queue_resumes_its_job(model: Path, data: list[str], capsys: pytest.CaptureFixture[str], how: str) -> None:
    assert main(["queue", "add", *given(model, "x"), *data]) == 0
    assert main(["queue", "run", *data]) == 143
    found = entry(data)
    assert (found.status, found.can_continue) == (INTERRUPTED, True)
    capsys.readouterr()
    assert main(["queue", "list", *data]) == 0
    assert f"It can be continued after step {found.continue_at}." in capsys.readouterr().out
    assert main(["queue", "show", "1", *data]) == 0
    assert f"Resume: It can be continued after step {found.continue_at}." in " ".join(capsys.readouterr().out.split())
    assert main(["train", "--resume", "x", *data]) == 2
    assert "is job 1 of the queue. Continue it with: queue resume 1" in capsys.readouterr().err
    if how == "--continue":
        assert main(["queue", "run", how, *data]) == 0
    else:
        assert main(["queue", "resume", how, *data]) == 0
        assert "Job 1, x, waits at position 1." in capsys.readouterr().out
        assert main(["queue", "run", *data]) == 0
    assert entry(data).status == DONE
    assert main(["queue", "resume", "y", *data]) == 2
    assert "y: No job of the queue has that name" in capsys.readouterr().err
