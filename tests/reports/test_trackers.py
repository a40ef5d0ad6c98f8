"""What TensorBoard and Weights & Biases are given of a run, and that neither can break it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from trainer.config.settings import Settings
from trainer.engine.reporting import StepLogs
from trainer.errors import UserError
from trainer.job import Step
from trainer.reports.trackers import TensorBoard, WeightsAndBiases, require


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand-ins for both packages, and what they are told."""
    found: list[Any] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            found.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            found.append((name, value, step))

        def close(self) -> None:
            found.append("closed")

    def init(**options: Any) -> Any:
        found.append(options)
        log = lambda values, step: found.append((values, step))  # noqa: E731
        return SimpleNamespace(log=log, finish=lambda: found.append("finished"))

    for name, content in (("torch.utils.tensorboard", {"SummaryWriter": SummaryWriter}), ("wandb", {"init": init})):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return found


def test_tensorboard_is_given_losses_and_rates(told: list[Any], tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "run", 4)
    board.add(Step(4, 9, 0.5, (1e-4, 5e-5)))
    board.add(Step(5, 9, 0.25, (1e-4, 5e-5), 0.75))
    board.close()
    assert told == [
        (str(tmp_path / "run"), 4),
        ("loss", 0.5, 4), ("learning rate/1", 1e-4, 4), ("learning rate/2", 5e-5, 4),
        ("loss", 0.25, 5), ("learning rate/1", 1e-4, 5), ("learning rate/2", 5e-5, 5), ("validation loss", 0.75, 5),
        "closed",
    ]  # fmt: skip


@pytest.mark.parametrize(("variable", "mode"), [(None, "offline"), ("online", "online")])
def test_wandb_sends_nothing_unless_it_is_told_to(
    variable: str | None, mode: str, told: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if variable:
        monkeypatch.setenv("WANDB_MODE", variable)
    home = str(Path.home())
    given = Settings(lora_data_directory=f"{home}/images", save_lora_name="x")
    run = WeightsAndBiases(tmp_path / "wandb", "x-1", "77", given)
    run.add(Step(1, 9, 0.5, (1e-4,)))
    run.close()
    options, *rest = told
    assert (options["mode"], options["name"], options["id"], options["dir"]) == (
        mode, "x-1", "77", str(tmp_path / "wandb"),
    )  # fmt: skip
    assert options["config"]["lora_data_directory"] == "~/images"
    assert rest == [({"loss": 0.5, "learning rate/1": 1e-4}, 1), "finished"]


def test_one_that_fails_is_told_once_and_the_run_goes_on(told: list[Any], tmp_path: Path) -> None:
    warned: list[tuple[str, str]] = []
    logs = StepLogs(lambda key, **values: warned.append((key, values["tracker"])))
    board, other = TensorBoard(tmp_path / "a", 1), TensorBoard(tmp_path / "b", 1)
    logs.track(board)
    logs.track(other)
    board.add = lambda step: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    for number in (1, 2):
        logs(Step(number, 2, 0.5, ()))
    logs.close()
    assert warned == [("engine.tracker_ends", "TensorBoard")]
    assert [each for each in told if each[0] == "loss"] == [("loss", 0.5, 1), ("loss", 0.5, 2)]
    assert told[-1] == "closed"


@pytest.mark.parametrize(("setting", "package"), [("logging_tensorboard", "tensorboard"), ("logging_wandb", "wandb")])
def test_what_is_missing_is_named(setting: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    require(Settings())
    with pytest.raises(UserError, match=f"The package {package} cannot be used here"):
        require(Settings(**{setting: True}))
