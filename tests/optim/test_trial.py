"""Optimizer and schedule tried before a model is loaded: what would fail at some step is refused by label."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.engine.test_loop import RUNNABLE, rate_for
from trainer.config.check import check_for_run
from trainer.config.choices import SCHEDULERS
from trainer.config.settings import Settings
from trainer.errors import UserError
from trainer.optim import trial
from trainer.optim.trial import FIRST_STEPS, notes, try_out

CPU = torch.device("cpu")


def settings(**changes: Any) -> Settings:
    return replace(Settings(), **{"train_iterations": 60, "original_prompt": "red", "mode": "iLECO", **changes})


@pytest.mark.parametrize("optimizer", RUNNABLE)
def test_every_optimizer_passes_with_its_defaults(optimizer: str) -> None:
    given = settings(train_optimizer=optimizer, train_learning_rate=rate_for(optimizer), train_iterations=1200)
    assert given.train_iterations > FIRST_STEPS
    try_out(given, CPU, (2, 1))


@pytest.mark.parametrize("steps", [1, 2, 60])
@pytest.mark.parametrize("schedule", SCHEDULERS)
def test_every_schedule_passes_with_its_defaults(schedule: str, steps: int) -> None:
    try_out(settings(train_lr_scheduler=schedule, train_iterations=steps, train_lr_step_rules="1:10,0.1"), CPU, (2, 1))


def schedule(name: str, given: str = "", **changes: Any) -> dict[str, Any]:
    return {"train_lr_scheduler": name, "train_lr_scheduler_settings": given, **changes}


def optimizer(name: str, given: str, **changes: Any) -> dict[str, Any]:
    return {"train_optimizer": name, "train_optimizer_settings": given, **changes}


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        (schedule("polynomial", train_lr_warmup_steps=60), "train lr scheduler: ", "ZeroDivisionError"),
        (schedule("cosine_annealing", "T_max=0"), "train lr scheduler settings: ", "ZeroDivisionError"),
        (schedule("step", "step_size=0"), "train lr scheduler settings: ", "at step 1 of 60 (ZeroDivisionError"),
        (schedule("step", "step_size=7; gamma='a'"), "train lr scheduler settings: ", "at step 7 of 60 (TypeError"),
        (schedule("exponential", "gamma=-1"), "train lr scheduler settings: ", "negative at step 2 of 60: -0.0001"),
        (schedule("exponential", "gamma=2"), "train lr scheduler settings: ", "the learning rate to 1677.72 at step"),
        (schedule("exponential", "gamma=1e300"), "train lr scheduler settings: ", "at step 2 of 60"),
        (schedule("cosine_annealing", "eta_min=-1"), "train lr scheduler settings: ", "negative at step 2"),
        (schedule("cyclic", "step_size_up=0"), "train lr scheduler settings: ", "ZeroDivisionError"),
        (schedule("one_cycle", "pct_start='a'"), "train lr scheduler settings: ", "refuses"),
        (schedule("reduce_on_plateau", "min_lr='a'; patience=0"), "train lr scheduler settings: ", "fails at step 50"),
        (schedule("reduce_on_plateau", "patience='a'"), "train lr scheduler settings: ", "at step 25 of 60 (TypeError"),
        (optimizer("AdamW", "betas='ab'"), "train optimizer settings: ", "refuses"),
        (optimizer("AdamW", "weight_decay='a'"), "train optimizer settings: ", "refuses"),
        (optimizer("AdamW", "eps=0"), "train optimizer settings: ", "infinite or NaN at step 1"),
        (optimizer("AdamW", "amsgrad=[1]; weight_decay=1e4", train_learning_rate=0.1, train_lr_scheduler="constant"),
         "train optimizer settings: ", "infinite or NaN"),
        (optimizer("AdaFactor", "clip_threshold='a'"), "train optimizer settings: ", "fails at step 1"),
        (optimizer("SGDScheduleFree", "r=200.0", train_iterations=3000), "train optimizer settings: ", "OverflowError"),
        (optimizer("AdamWScheduleFree", "r=100.0", train_iterations=9000), "train optimizer settings: ", "step 9000"),
        (optimizer("AdamWScheduleFree", "weight_lr_power=-1",
                   train_lr_scheduler="constant_with_warmup", train_lr_warmup_steps=5),
         "train optimizer settings: ", "ZeroDivisionError"),
        (optimizer("DAdaptAdam", "d0='a'"), "train optimizer settings: ", "TypeError"),
        (optimizer("Lion8bit", "betas=5"), "train optimizer settings: ", ""),
    ],
)  # fmt: skip
def test_what_would_fail_is_refused(changes: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        try_out(settings(**changes), CPU)
    told = str(caught.value)
    assert told.startswith(where), told
    assert words in told
    assert "\n" not in told


@pytest.mark.parametrize("name", [name for name, info in SCHEDULERS.items() if "num_warmup_steps" in info.takes])
def test_a_warm_up_that_is_never_over_is_refused(name: str) -> None:
    def told(**changes: Any) -> list[str]:
        given = settings(train_lr_scheduler=name, train_iterations=12, target_prompt="blue", **changes)
        return [str(problem) for problem in check_for_run(given)]

    assert told(train_lr_warmup_steps=11) == []
    endless = "The warm-up takes 12 steps and the run only 12, so it never ends. Write a number below 12"
    assert told(train_lr_warmup_steps=12) == [f"train lr warmup steps: {endless}"]
    assert told(train_lr_scheduler_settings="num_warmup_steps=12") == [f"train lr scheduler settings: {endless}"]
    assert told(train_lr_scheduler_settings="num_warmup_steps=2", train_lr_warmup_steps=12) == []


def test_a_schedule_without_warm_up_does_not_mind() -> None:
    given = settings(train_lr_scheduler="constant", train_lr_warmup_steps=99, target_prompt="blue")
    assert check_for_run(given) == []


def test_how_high_a_rate_begins_is_not_judged_here() -> None:
    try_out(settings(train_learning_rate=1e30, train_lr_scheduler="constant"), CPU)


def test_settings_for_two_rates_pass_where_there_may_be_two() -> None:
    given = settings(**schedule("one_cycle", "max_lr=[0.1, 0.2]"))
    try_out(given, CPU, (2, 1))
    with pytest.raises(UserError, match="train lr scheduler settings"):
        try_out(given, CPU)


def test_what_holds_for_cards_alone_is_not_tried_here() -> None:
    given = settings(**optimizer("AdamW", "capturable=True; weight_decay=0.02"))
    try_out(given, torch.device("cuda"))
    with pytest.raises(UserError, match="capturable"):
        try_out(given, CPU)
    try_out(settings(**optimizer("PagedAdamW8bit", "")), torch.device("cuda"))


def test_first_steps_that_do_not_move_are_told() -> None:
    def told(**changes: Any) -> list[str]:
        return [str(note) for note in notes(settings(**changes), CPU)]

    late = r"RAdamScheduleFree changes nothing in its first [45] steps; it only gathers what it needs\."
    assert re.match(late, told(train_optimizer="RAdamScheduleFree")[0])
    never = "RAdamScheduleFree changes nothing in 3 steps, which is all there are."
    assert told(train_optimizer="RAdamScheduleFree", train_iterations=3)[0].startswith(never)
    assert told(train_lr_scheduler="linear", train_lr_warmup_steps=20) == []
    assert told() == []


def test_a_long_run_is_not_tried_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name in ("_take_step", "_move_schedule"):
        whole = getattr(trial._Trial, name)
        monkeypatch.setattr(
            trial._Trial, name, lambda *given, whole=whole, name=name: (taken.append(name), whole(*given))
        )
    monkeypatch.setattr(trial, "FIRST_STEPS", 5)
    monkeypatch.setattr(trial, "MOST_STEPS", 20)
    try_out(settings(train_iterations=1_000_000), CPU)
    assert taken.count("_take_step") == 6  # the last one of the run, too
    assert taken.count("_move_schedule") == 20
