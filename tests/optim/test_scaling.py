"""Loss scaling: small gradients survive fp16, an overflow costs one step and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from trainer.optim.scaling import LossScaler


def scaler_over(values: list[float], **options: float) -> tuple[nn.Parameter, LossScaler]:
    parameter = nn.Parameter(torch.tensor(values))
    return parameter, LossScaler([parameter], **options)  # type: ignore[arg-type]


def test_gradients_come_out_as_without_scaling() -> None:
    parameter, scaler = scaler_over([1.0, -2.0, 3.0])
    scaler.scaled((parameter**2).sum()).backward()
    scaler.unscale()
    assert torch.equal(parameter.grad, 2 * parameter.detach())


def test_a_gradient_too_small_for_fp16_survives() -> None:
    weight = nn.Parameter(torch.ones(4))
    scaler = LossScaler([weight])
    tiny = 2.0**-26  # fp16's smallest number is 2**-24

    def loss() -> torch.Tensor:
        return (weight.half() * torch.ones(4, dtype=torch.float16)).float().mul(tiny).sum()

    loss().backward()
    assert torch.equal(weight.grad, torch.zeros(4))
    weight.grad = None
    scaler.scaled(loss()).backward()
    scaler.unscale()
    assert torch.equal(weight.grad, torch.full((4,), tiny))


def test_an_overflow_zeroes_the_step_and_halves_the_scale() -> None:
    parameter, scaler = scaler_over([1.0, 1.0], start=1024.0)
    parameter.grad = torch.tensor([float("inf"), 1.0])
    scaler.unscale()
    assert torch.equal(parameter.grad, torch.zeros(2))
    assert scaler.scale.item() == 512
    assert scaler.overflows.item() == 1


def test_clean_steps_double_the_scale() -> None:
    parameter, scaler = scaler_over([1.0], start=1024.0, patience=3)
    for _ in range(3):
        parameter.grad = torch.tensor([1.0])
        scaler.unscale()
    assert scaler.scale.item() == 2048
    parameter.grad = torch.tensor([1.0])
    scaler.unscale()
    assert scaler.scale.item() == 2048
