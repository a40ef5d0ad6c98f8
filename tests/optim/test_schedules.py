"""Schedules against their formulas, and settings that a schedule or optimizer does not take."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from trainer.config import presets
from trainer.config.choices import OPTIMIZERS, SCHEDULERS
from trainer.config.settings import Settings
from trainer.errors import UserError
from trainer.optim import optimizers, schedules
from trainer.paths import SHIPPED_PRESETS

STEPS, RATE = 50, 2e-3


def rates(*, steps: int = STEPS, **changes: object) -> list[float]:
    settings = replace(Settings(), train_iterations=steps, train_learning_rate=RATE, **changes)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = schedules.make_schedule(optimizer, settings)
    found = []
    for _ in range(steps):
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
            {"train_lr_scheduler": "constant_with_warmup", "train_lr_warmup_ratio": 0.2},
            lambda t: RATE * min(1, t / 10),
        ),
        (
            {"train_lr_scheduler": "linear", "train_lr_warmup_steps": 10, "train_lr_warmup_ratio": 0.5},
            lambda t: RATE * (t / 10 if t < 10 else 1 - (t - 10) / (STEPS - 10)),
        ),
        (
            {"train_lr_scheduler": "linear", "train_lr_warmup_steps": 10},
            lambda t: RATE * (t / 10 if t < 10 else 1 - (t - 10) / (STEPS - 10)),
        ),
        (
            {"train_lr_scheduler": "cosine_annealing", "train_lr_scheduler_settings": "eta_min=0.001"},
            lambda t: 1e-3 + (RATE - 1e-3) * 0.5 * (1 + math.cos(math.pi * t / STEPS)),
        ),
        (
            {"train_lr_scheduler": "cosine_annealing_with_restarts", "train_lr_scheduler_num_cycles": 2},
            lambda t: RATE * 0.5 * (1 + math.cos(math.pi * (t % 25) / 25)),
        ),
        (
            {"train_lr_scheduler": "cosine_with_restarts", "train_lr_scheduler_num_cycles": 2},
            lambda t: RATE * 0.5 * (1 + math.cos(math.pi * (2 * t / STEPS % 1))),
        ),
        (
            {"train_lr_scheduler": "polynomial", "train_lr_scheduler_power": 2.0},
            lambda t: (RATE - 1e-7) * (1 - t / STEPS) ** 2 + 1e-7,
        ),
        (
            {"train_lr_scheduler": "constant_with_warmup", "train_lr_warmup_steps": 10},
            lambda t: RATE * min(1, t / 10),
        ),
        (
            {"train_lr_scheduler": "piecewise_constant", "train_lr_step_rules": "1:10,0.1:20,0.01"},
            lambda t: RATE * (1 if t < 10 else 0.1 if t < 20 else 0.01),
        ),
        ({"train_lr_scheduler": "exponential"}, lambda t: RATE * 10 ** (-2 * t / STEPS)),
        (
            {"train_lr_scheduler": "exponential", "train_lr_scheduler_settings": "gamma=0.9"},
            lambda t: RATE * 0.9**t,
        ),
        ({"train_lr_scheduler": "step"}, lambda t: RATE * 0.1 ** (t // 16)),
        ({"train_lr_scheduler": "multi_step"}, lambda t: RATE * 0.1 ** ((t >= 25) + (t >= 37))),
        (
            {"train_lr_scheduler": "multi_step", "train_lr_scheduler_settings": "milestones=[5, 7]; gamma=0.5"},
            lambda t: RATE * 0.5 ** ((t >= 5) + (t >= 7)),
        ),
        (
            {"train_lr_scheduler": "cyclic"},  # up for half the run, and down again
            lambda t: RATE * (0.1 + 0.9 * (1 - abs(t - 25) / 25)),
        ),
        (
            {"train_lr_scheduler": "one_cycle"},  # up from 1/25 over the first 30 %, then down to 1/250,000
            lambda t: (
                RATE / 25 + (RATE - RATE / 25) * 0.5 * (1 - math.cos(math.pi * t / 14))
                if t <= 14
                else RATE / 250000 + (RATE - RATE / 250000) * 0.5 * (1 + math.cos(math.pi * (t - 14) / 35))
            ),
        ),
        ({"train_lr_scheduler": "reduce_on_plateau"}, lambda t: RATE),
    ],
)
def test_formula(changes: dict, formula) -> None:
    assert rates(**changes) == pytest.approx([formula(t) for t in range(STEPS)], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 30])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_schedule_runs_short_runs_with_its_defaults(name: str, steps: int) -> None:
    rules = "1:10,0.1" if name == "piecewise_constant" else ""
    found = rates(train_lr_scheduler=name, train_lr_step_rules=rules, steps=steps)
    assert all(0 <= rate <= RATE * 1.0001 for rate in found)
    assert max(found) > 0 or steps == 1


def test_groups_keep_their_own_rates() -> None:
    for name in SCHEDULERS:
        settings = replace(Settings(), train_iterations=STEPS, train_lr_scheduler=name, train_lr_step_rules="1:10,0.1")
        parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
        groups = [{"params": [each], "lr": rate} for each, rate in zip(parameters, (RATE, RATE / 4), strict=True)]
        optimizer = torch.optim.SGD(groups, lr=RATE)
        schedule = schedules.make_schedule(optimizer, settings)
        for _ in range(STEPS - 1):
            one, other = (group["lr"] for group in optimizer.param_groups)
            assert other == pytest.approx(one / 4, rel=1e-3, abs=1e-9), name
            optimizer.step()
            schedule.step()


def test_a_plateau_lowers_the_rates_and_a_falling_loss_does_not() -> None:
    for losses, expected in ((range(20, 0, -1), RATE), ([1.0] * 6, RATE / 2), ([1.0] * 11, RATE / 4)):
        settings = replace(Settings(), train_lr_scheduler="reduce_on_plateau")
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
        schedule = schedules.make_schedule(optimizer, settings)
        assert isinstance(schedule, schedules.Plateau)
        for loss in losses:
            schedule.step()
            schedule.hear(float(loss))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_adafactor_may_find_its_own_rate() -> None:
    settings = replace(
        Settings(), train_optimizer="AdaFactor", train_optimizer_settings="relative_step=True; scale_parameter=True"
    )
    parameter = torch.nn.Parameter(torch.ones(4, 4))
    optimizer = optimizers.make_optimizer(settings, [{"params": [parameter], "lr": 1e-3}])
    schedule = schedules.make_schedule(optimizer, settings)
    for _ in range(3):
        optimizer.zero_grad()
        (parameter**2).sum().backward()
        optimizer.step()
        schedule.step()
    assert parameter.max() < 1
    # Shazeer & Stern 2018: the smaller of 1e-2 and one over the root of the step, times the parameters' scale
    assert optimizers.effective_rates(optimizer)[0] == pytest.approx(
        1e-2 * float(parameter.detach().square().mean().sqrt()), rel=0.05
    )


def test_a_rate_outside_of_what_the_optimizer_is_used_with_is_told() -> None:
    def advice(name: str, rate: float, text_rate: float | None = None) -> str:
        rates = {"train_learning_rate": rate, "train_textencoder_learning_rate": text_rate}
        return " ".join(map(str, optimizers.advice(replace(Settings(), train_optimizer=name, **rates))))

    for name, info in OPTIMIZERS.items():
        least, most = info.usual
        assert advice(name, least) == advice(name, most) == ""
        assert "far above what" in advice(name, 1.1 * most)
        assert advice(name, 0.9 * least) != ""
    assert advice("AdamW", 1e-4) == advice("AdamW", 1e-4, 0.0) == ""
    assert advice("Prodigy", 1.0) == ""
    assert "Set the learning rate to about 1" in advice("DAdaptAdam", 1e-4)
    assert advice("AdamW", 1.0) == (
        "train learning rate is 1, far above what AdamW usually trains with (1e-07 to 0.01): it may destroy what the "
        "model knows. Lower it."
    )
    assert advice("Lion", 1e-4, 0.5).startswith("train textencoder learning rate is 0.5, far above what Lion")
    assert "next to nothing will be learned" in advice("SGDNesterov", 1e-7)


def test_the_shipped_presets_have_usual_rates() -> None:
    for path in SHIPPED_PRESETS.glob("*.json"):
        assert list(optimizers.advice(presets.load_file(path).settings)) == []


def test_a_setting_the_optimizer_does_not_take() -> None:
    with pytest.raises(UserError, match=r"AdamW does not take weight_dekay\. It takes: betas"):
        optimizers.arguments(replace(Settings(), train_optimizer_settings="weight_dekay=0.1"))
    with pytest.raises(UserError, match="learning rate has a field of its own"):
        optimizers.arguments(replace(Settings(), train_optimizer_settings="lr=0.1"))
    with pytest.raises(UserError, match="cosine_annealing does not take cycles"):
        schedules.arguments(
            replace(Settings(), train_lr_scheduler="cosine_annealing", train_lr_scheduler_settings="cycles=2")
        )


@pytest.mark.parametrize("written", ["betas=0.9,1.5", "foreach=True; fused=True"])
def test_a_value_the_optimizer_refuses(written: str) -> None:
    settings = replace(Settings(), train_optimizer_settings=written)
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}]
    with pytest.raises(UserError, match="train optimizer settings: AdamW refuses them"):
        optimizers.make_optimizer(settings, groups)


def test_settings_reach_the_optimizer() -> None:
    settings = replace(Settings(), train_optimizer_settings="betas=0.8,0.95; weight_decay=0.25")
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}]
    made = optimizers.make_optimizer(settings, groups)
    assert made.param_groups[0]["betas"] == (0.8, 0.95)
    assert made.param_groups[0]["weight_decay"] == 0.25


def test_an_optimizer_built_without_the_device_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class WithoutDevice(torch.optim.SGD):
        """bitsandbytes before 0.46 on a machine without a card: made and given its arguments, it fails in a step."""

        def step(self, closure: object = None) -> None:
            raise NameError("name 'str2optimizer32bit' is not defined")

    monkeypatch.setattr(optimizers, "optimizer_class", lambda _: WithoutDevice)
    settings = replace(Settings(), train_optimizer="SGDNesterov8bit")
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}]
    with pytest.raises(UserError, match=r"SGDNesterov8bit cannot train on cpu with the bitsandbytes that is installed"):
        optimizers.make_optimizer(settings, groups)
