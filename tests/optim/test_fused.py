"""AdamW in one pass over all parameters, where torch has that for the device they are on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from trainer.config.settings import Settings
from trainer.optim.optimizers import make_optimizer

SETTINGS = replace(Settings(), train_optimizer="AdamW", train_optimizer_settings="weight_decay=0.1")
BETAS, EPS, RATES = (0.9, 0.999), 1e-8, (1e-2, 3e-3)


def groups() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {"params": [nn.Parameter(torch.randn(size, generator=generator)) for size in (5, 7)], "lr": rate}
        for rate in RATES
    ]


def test_a_step_is_the_formulas() -> None:
    """Loshchilov & Hutter 2019, in double precision, with a learning rate for each group."""
    made = groups()
    optimizer = make_optimizer(SETTINGS, made)
    assert all(group["fused"] for group in optimizer.param_groups)
    exact = [(each.detach().double(), group["lr"]) for group in made for each in group["params"]]
    parameters = [each for group in made for each in group["params"]]
    moments = [[torch.zeros_like(each), torch.zeros_like(each)] for each, _ in exact]
    generator = torch.Generator().manual_seed(2)
    for step in range(1, 6):
        for number, (parameter, (wide, rate)) in enumerate(zip(parameters, exact, strict=True)):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            gradient, both = parameter.grad.double(), moments[number]
            both[0] = BETAS[0] * both[0] + (1 - BETAS[0]) * gradient
            both[1] = BETAS[1] * both[1] + (1 - BETAS[1]) * gradient**2
            mean, square = (each / (1 - beta**step) for each, beta in zip(both, BETAS, strict=True))
            wide.mul_(1 - rate * 0.1).sub_(rate * mean / (square.sqrt() + EPS))
        optimizer.step()
    for parameter, (wide, _) in zip(parameters, exact, strict=True):
        torch.testing.assert_close(parameter.detach().double(), wide, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("version", "fused"), [("2.1.2+cpu", None), ("2.3.1", None), ("2.4.0", True), ("2.13.0", True)]
)
def test_older_torches_have_it_for_cards_alone(monkeypatch: pytest.MonkeyPatch, version: str, fused: object) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    assert make_optimizer(SETTINGS, groups()).param_groups[0]["fused"] is fused


def test_who_asks_for_another_way_gets_it() -> None:
    settings = replace(SETTINGS, train_optimizer_settings="foreach=True")
    assert not make_optimizer(settings, groups()).param_groups[0]["fused"]
