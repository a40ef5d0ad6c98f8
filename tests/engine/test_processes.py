"""Several processes: the LoRA is the one that a single process trains with as many batches a step."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.test_resume import pairs  # noqa: F401 - a fixture
from tests.engine.two_processes import CASES, COUNT, EXACT, ended, outcome, run_modes, started
from trainer.cli import main
from trainer.config.choices import MODES
from trainer.config.settings import Settings
from trainer.engine.processes import Processes, are_several, own_device

TOY = Path(__file__).parents[1] / "toy" / "toy-sd1.safetensors"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what came of all cases in each of two processes, the second of which is killed in the last."""
    out = tmp_path_factory.mktemp("processes")
    (first, said), (killed, its) = ended(started(["-m", "tests.engine.two_processes", "cases", str(out)]))
    assert (first, killed) == (0, 9), said + its
    return out


@pytest.fixture(scope="module")
def found(both: Path) -> list[dict[str, Any]]:
    return [json.loads((both / f"{number}.json").read_text()) for number in range(COUNT)]


@pytest.mark.more
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(found: list[dict[str, Any]], case: str) -> None:
    alone, (one, other) = outcome(case, None), (each[case] for each in found)
    assert one == other, "both have the same network, and have heard the same losses"
    assert len(one["losses"]) == len(alone["losses"]) > 0 or one["error"]
    if case in EXACT:
        assert one == alone
    else:
        assert one["losses"] == pytest.approx(alone["losses"], rel=1e-4)
        assert one["error"] == alone["error"]
        for mine, theirs in zip(one["numbers"], alone["numbers"], strict=True):
            torch.testing.assert_close(torch.tensor(mine), torch.tensor(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.more
def test_a_loss_that_is_nan_is_named_wherever_it_was(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert "step 2 of 60" in each["diverging"]["error"]
        assert "image 4.0" in each["diverging by name"]["error"]


@pytest.mark.more
def test_all_stop_where_one_is_asked_to(found: list[dict[str, Any]]) -> None:
    one, other = (each["stopped"] for each in found)
    assert len(one["losses"]) == len(other["losses"]) == 5
    assert one["asked"] == other["asked"] == [True, True]
    assert one["numbers"] == other["numbers"]


@pytest.mark.more
def test_batches_are_shared_out(found: list[dict[str, Any]]) -> None:
    shares = list(zip(*(each["shares"] for each in found), strict=True))
    assert shares == [([], []), ([], [0]), ([0], [1]), ([0], [1, 2]), ([0, 1], [2, 3]), ([0, 1], [2, 3, 4])]


@pytest.mark.more
def test_where_one_is_killed_the_other_says_so_and_saves(both: Path) -> None:
    left = json.loads((both / "left.json").read_text())
    assert left["error"] == (
        "Another process of this run has ended, so process 1 of 2 ends as well. If the run has a state, start all of "
        "them again with --resume."
    )
    assert left["failed"] == [5]
    assert left["losses"] == outcome("even", None)["losses"][:5]


def test_settings_of_the_whole_run() -> None:
    second = Settings(train_gradient_accumulation=5)
    whole = Processes(1, 3, torch.device("cpu")).with_all(Settings(train_gradient_accumulation=2, second_pass=second))
    assert (whole.train_gradient_accumulation, whole.second_pass) == (6, Settings(train_gradient_accumulation=15))


def test_what_a_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, several in (("", False), ("1", False), ("2", True), ("x", False)):
        monkeypatch.setenv("WORLD_SIZE", count)
        assert are_several() == several
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [own_device(wanted) for wanted in ("", "auto", "cuda", "cpu", "cuda:0")] == [
        "cuda:1", "cuda:1", "cuda:1", "cpu", "cuda:0"
    ]  # fmt: skip


# ---- runs -----------------------------------------------------------------------------------------------------------


def arguments(folder: Path, *more: str) -> list[str]:
    return ["train", "--data-dir", str(folder), "--save-lora-name", "x", *more]


# With a batch of 4 nobody asks the base for steps ahead, which one process does by itself and two do not.
TRAINED = [
    "--mode", "iLECO", "--model", str(TOY), "--original-prompt", "red", "--target-prompt", "blue",
    "--image-size", "64", "--network-rank", "2", "--train-batch-size", "4", "--train-iterations", "8", "--train-seed",
    "3", "--effect-strip", "false", "--save-precision", "fp32", "--state-every-minutes", "0.0001",
]  # fmt: skip


def same_file(one: Path, other: Path) -> bool:
    mine, theirs = load_file(one), load_file(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.more
def test_a_killed_run_is_continued_to_what_one_process_trains(tmp_path: Path) -> None:
    processes = started(["-m", "trainer", *arguments(tmp_path / "two", *TRAINED)])
    until = time.monotonic() + 240
    while not any((tmp_path / "two").rglob("*.state")):
        assert time.monotonic() < until
        assert processes[1].poll() is None
        time.sleep(0.05)
    processes[1].kill()
    (first, said), _ = ended(processes)
    assert first == 2, said
    assert "2 processes train together: 2 batches a step in all" in said
    assert "trainyard: Another process of this run has ended, so process 1 of 2 ends as well." in said
    (first, said), (second, nothing) = ended(
        started(["-m", "trainer", "train", "--data-dir", str(tmp_path / "two"), "--resume", "x"])
    )
    assert (first, second) == (0, 0), said + nothing
    assert nothing == "", "only one of them talks"
    assert main(arguments(tmp_path / "one", *TRAINED, "--train-gradient-accumulation", "2")) == 0
    assert same_file(tmp_path / "two" / "loras" / "x.safetensors", tmp_path / "one" / "loras" / "x.safetensors")
    assert {path.name for path in (tmp_path / "two" / "loras").iterdir()} == {"x.safetensors", "x.json"}


@pytest.mark.slow
def test_every_mode_trains_with_two_processes_what_it_does_with_one(
    models: dict[str, Path],
    pairs: Path,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    given = ["modes", str(tmp_path), str(models["SD1"]), str(pairs)]
    for code, said in ended(started(["-m", "tests.engine.two_processes", *given])):
        assert code == 0, said
    written, others = (json.loads((tmp_path / f"{number}.json").read_text()) for number in range(COUNT))
    assert set(others.values()) == {None}
    alone = run_modes(None, models["SD1"], pairs, tmp_path / "alone")
    for mode in MODES:
        path = alone[mode]
        assert path is not None
        mine, theirs = load_file(written[mode]), load_file(path)
        assert mine.keys() == theirs.keys()
        for name in theirs:
            torch.testing.assert_close(mine[name], theirs[name], rtol=1e-5, atol=1e-6, msg=f"{mode}: {name}")
