"""The loop taken up where it was: with every optimizer and schedule it ends with the bits of one that went through.

What it keeps goes through the file of a state each time, so that nothing but what is written there can help.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.test_loop import CPU, RUNNABLE, Regression, rate_for, settings, unused
from trainer.config.choices import SCHEDULERS
from trainer.config.settings import Settings
from trainer.engine import loop, state
from trainer.engine.loop import LoopHooks, train
from trainer.engine.state import Summary
from trainer.engine.trained import tensors_of
from trainer.job import Control, Step
from trainer.optim import optimizers
from trainer.optim.optimizers import make_optimizer
from trainer.optim.scaling import LossScaler
from trainer.optim.schedules import Plateau
from trainer.optim.values import Packed, unpacked
from trainer.paths import replace_whole

STEPS = 60
SUMMARY = Summary("1", "x", datetime(2026, 1, 2, tzinfo=timezone.utc), 1, 2, 1, 1)


class Kept:
    """Keeps what the loop gives after one step, and what it gives at its end."""

    def __init__(self, step: int, control: Control) -> None:
        self.position: Mapping[str, Any] | None = None
        self._packed: tuple[Any, Packed] | None = None
        self._step, self._control, self._at = step, control, 0

    @property
    def is_due(self) -> bool:
        self._at += 1
        return self._at == self._step

    def keep(self, position: Mapping[str, Any]) -> None:
        packed = Packed(CPU)
        self._packed = packed.pack(dict(position)), packed
        self._control.stop()

    def hold(self, position: Mapping[str, Any]) -> None:
        raise AssertionError("a run that is stopped needs nothing")

    def through_file(self, path: Path) -> Mapping[str, Any]:
        assert self._packed is not None
        content, packed = self._packed
        assert packed.left_out == []
        replace_whole(path, state.pieces(SUMMARY, "", {"loop": content}, packed.tensors))
        read = state.read(path)
        return unpacked(read.content["loop"], read.tensors, CPU)


def trained(
    given: Settings, *, stop_at: int = 0, start: Mapping[str, Any] | None = None, scale_loss: bool = False
) -> tuple[list[torch.Tensor], list[Step], Kept]:
    """The numbers a loop ends with, its steps, and what was kept after ``stop_at``, where it was stopped."""
    problem, control, steps = Regression(), Control(), []
    kept = Kept(stop_at, control)
    hooks = LoopHooks(unused, unused, unused, unused)
    with problem.network.attached():
        train(
            problem, problem.network, given, device=CPU, scale_loss=scale_loss, control=control, emit=steps.append,
            hooks=hooks, keeping=kept if stop_at else None, start=start,
        )  # fmt: skip
    return [tensor.detach().clone() for tensor in tensors_of(problem.network).values()], steps, kept


def assert_continues(given: Settings, path: Path, *, stop_at: int, scale_loss: bool = False) -> None:
    whole, steps, _ = trained(given, scale_loss=scale_loss)
    _, before, kept = trained(given, stop_at=stop_at, scale_loss=scale_loss)
    again, after, _ = trained(given, start=kept.through_file(path), scale_loss=scale_loss)
    assert [step.number for step in before] == list(range(1, stop_at + 1))
    assert [*before, *after] == steps
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))


@pytest.mark.parametrize("optimizer", RUNNABLE)
def test_every_optimizer_continues(optimizer: str, tmp_path: Path) -> None:
    small = "min_8bit_size=1" if "8bit" in optimizer else ""  # or the few numbers here were kept in 32 bits
    given = settings(train_optimizer=optimizer, train_optimizer_settings=small, train_lr_scheduler="cosine")
    given = replace(given, train_iterations=20, train_learning_rate=rate_for(optimizer))
    assert_continues(given, tmp_path / "x.state", stop_at=9)


@pytest.mark.parametrize("options", ["relative_step=True", "scale_parameter=True; beta1=0.9"])
def test_adafactor_with_its_own_rates_continues(options: str, tmp_path: Path) -> None:
    given = settings(train_optimizer="AdaFactor", train_optimizer_settings=options)
    if "relative" in options:
        given = replace(given, train_optimizer_settings=f"{options}; warmup_init=True; scale_parameter=True")
    assert_continues(replace(given, train_iterations=20), tmp_path / "x.state", stop_at=9)


@pytest.mark.parametrize("schedule", SCHEDULERS)
def test_every_schedule_continues(schedule: str, tmp_path: Path) -> None:
    options = {"reduce_on_plateau": "patience=0", "cosine_annealing_with_restarts": "T_0=7; T_mult=2"}.get(schedule, "")
    given = settings(
        train_lr_scheduler=schedule, train_lr_scheduler_settings=options, train_lr_step_rules="1:10,0.1:40,0.01",
        train_lr_warmup_steps=5,
    )  # fmt: skip
    assert_continues(replace(given, train_iterations=STEPS), tmp_path / "x.state", stop_at=37)


def test_plateau_hears_the_losses_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window of 25 steps that it takes a mean of is broken in its middle."""
    heard: list[float] = []
    hear = Plateau.hear
    monkeypatch.setattr(Plateau, "hear", lambda self, loss: (heard.append(loss), hear(self, loss)))
    options = "patience=0; threshold=0.9"
    given = settings(train_lr_scheduler="reduce_on_plateau", train_lr_scheduler_settings=options)
    given = replace(given, train_iterations=110)
    _, steps, _ = trained(given)
    assert len({step.rates for step in steps}) > 2, "or there is nothing to see"
    assert len(heard) == 4
    assert_continues(given, tmp_path / "x.state", stop_at=60)
    assert heard == heard[:4] * 3


def test_loss_scaling_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scalers: list[LossScaler] = []

    def made(parameters: list[torch.nn.Parameter]) -> LossScaler:
        scalers.append(LossScaler(parameters, patience=4))
        return scalers[-1]

    monkeypatch.setattr(loop, "LossScaler", made)
    given = replace(settings(), train_iterations=20)
    assert_continues(given, tmp_path / "x.state", stop_at=9, scale_loss=True)
    whole, _, again = (each.kept() for each in scalers)
    assert float(whole["scale"]) == 2.0**19
    assert whole == again


def test_what_optimizers_keep_beside_their_state_dict_continues() -> None:
    groups = [{"params": [parameter], "lr": 0.1} for parameter in Regression().network.parameters()]
    optimizer: Any = make_optimizer(Settings(train_optimizer="AdamW"), groups)
    optimizer.steps_seen = 41
    packed = Packed(CPU)
    content = packed.pack(optimizers.kept(optimizer))
    other: Any = make_optimizer(Settings(train_optimizer="AdamW"), groups)
    optimizers.continue_from(other, unpacked(content, packed.tensors, CPU))
    assert other.steps_seen == 41


def test_what_cannot_be_kept_is_named() -> None:
    packed = Packed(CPU)
    assert packed.pack({"a": 1, "b": [object()], "c": {"d": object(), "e": float("inf")}}, "x") == {
        "a": 1,
        "c": {"e": {"trainyard": "float", "value": "inf"}},
    }
    assert packed.left_out == ["x/b", "x/c/d"]


def test_what_was_on_the_device_goes_to_the_new_one() -> None:
    """Of a run on a card, with a counter on the CPU; ``meta`` stands in for the card it continues on."""
    packed = Packed(torch.device("cuda"))
    counter = packed.pack({"step": torch.tensor(3.0)})
    assert unpacked(counter, packed.tensors, torch.device("meta"))["step"].device == CPU
    packed = Packed(CPU)
    moment = packed.pack({"exp_avg": torch.ones(2)})
    assert unpacked(moment, packed.tensors, torch.device("meta"))["exp_avg"].device.type == "meta"
