"""Schedules against their formulas, and settings that a schedule or optimizer does not take."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from trainer.errors import NotBuiltError, UserError
from trainer.optim import optimizers, schedules
from trainer.settings import OPTIMIZERS, SCHEDULERS, Settings

STEPS, RATE = 50, 2e-3


def rates(**changes: object) -> list[float]:
    settings = replace(Settings(), train_iterations=STEPS, train_learning_rate=RATE, **changes)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = schedules.make_schedule(optimizer, settings)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("changes", "formula"),
    [
        ({"train_lr_scheduler": "constant"}, lambda t: RATE),
        ({"train_lr_scheduler": "linear"}, lambda t: RATE * (1 - t / STEPS)),
        ({"train_lr_scheduler": "cosine"}, lambda t: RATE * 0.5 * (1 + math.cos(math.pi * t / STEPS))),
        (
            {"train_lr_scheduler": "cosine", "train_lr_warmup_steps": 10},
            lambda t: RATE * (t / 10 if t < 10 else 0.5 * (1 + math.cos(math.pi * (t - 10) / (STEPS - 10)))),
        ),
        (
            {"train_lr_scheduler": "linear", "train_lr_warmup_steps": 10},
            lambda t: RATE * (t / 10 if t < 10 else 1 - (t - 10) / (STEPS - 10)),
        ),
        (
            {"train_lr_scheduler": "cosine_annealing", "train_lr_scheduler_settings": "eta_min=0.001"},
            lambda t: 1e-3 + (RATE - 1e-3) * 0.5 * (1 + math.cos(math.pi * t / STEPS)),
        ),
    ],
)
def test_formula(changes: dict, formula) -> None:
    assert rates(**changes) == pytest.approx([formula(t) for t in range(STEPS)], rel=1e-6, abs=1e-12)


def test_registries_hold_only_names_of_the_table() -> None:
    assert set(optimizers.OPTIMIZERS) <= set(OPTIMIZERS)
    assert set(schedules.SCHEDULERS) <= set(SCHEDULERS)


def test_names_without_a_row_are_refused_by_name() -> None:
    for name in set(OPTIMIZERS) - set(optimizers.OPTIMIZERS):
        with pytest.raises(NotBuiltError, match=f"{name} is not built yet"):
            optimizers.arguments(replace(Settings(), train_optimizer=name))
    for name in set(SCHEDULERS) - set(schedules.SCHEDULERS):
        with pytest.raises(NotBuiltError, match=f"{name} is not built yet"):
            schedules.arguments(replace(Settings(), train_lr_scheduler=name))


def test_a_setting_the_optimizer_does_not_take() -> None:
    with pytest.raises(UserError, match=r"AdamW does not take weight_dekay\. It takes: betas"):
        optimizers.arguments(replace(Settings(), train_optimizer_settings="weight_dekay=0.1"))
    with pytest.raises(UserError, match="learning rate has a field of its own"):
        optimizers.arguments(replace(Settings(), train_optimizer_settings="lr=0.1"))
    with pytest.raises(UserError, match="cosine_annealing does not take cycles"):
        schedules.arguments(
            replace(Settings(), train_lr_scheduler="cosine_annealing", train_lr_scheduler_settings="cycles=2")
        )


def test_a_value_the_optimizer_refuses() -> None:
    settings = replace(Settings(), train_optimizer_settings="betas=0.9,1.5")
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}]
    with pytest.raises(UserError, match="train optimizer settings: AdamW refuses them"):
        optimizers.make_optimizer(settings, groups)


def test_settings_reach_the_optimizer() -> None:
    settings = replace(Settings(), train_optimizer_settings="betas=0.8,0.95; weight_decay=0.25")
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}]
    made = optimizers.make_optimizer(settings, groups)
    assert made.param_groups[0]["betas"] == (0.8, 0.95)
    assert made.param_groups[0]["weight_decay"] == 0.25
