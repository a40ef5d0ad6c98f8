"""The gradients of a step: several batches are one large one, the norm is held down, also where the loss is scaled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from trainer.optim.gradients import take_gradients
from trainer.optim.scaling import LossScaler

ROWS = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0], [-2.0, 1.0], [1.5, 0.0]], dtype=torch.float64)


def problem() -> tuple[nn.Parameter, torch.optim.Optimizer]:
    weight = nn.Parameter(torch.tensor([0.5, -1.5], dtype=torch.float64))
    return weight, torch.optim.SGD([weight], lr=0.1)


def batches(weight: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
    """The losses ``(x · w)²`` of the rows, a few at a time."""
    for rows in ROWS.split(list(sizes)):
        yield (rows @ weight) ** 2


def by_hand() -> list[float]:
    """``2 (x · w) x``, averaged over the rows."""
    w = (0.5, -1.5)
    sums = [0.0, 0.0]
    for x in ROWS.tolist():
        product = x[0] * w[0] + x[1] * w[1]
        sums = [total + 2 * product * each for total, each in zip(sums, x, strict=True)]
    return [total / len(ROWS) for total in sums]


@pytest.mark.parametrize("sizes", [(5,), (2, 3), (3, 2), (1, 1, 1, 1, 1), (4, 1)])
@pytest.mark.parametrize("scales", [False, True])
def test_batches_are_one_large_batch(sizes: tuple[int, ...], scales: bool) -> None:
    weight, optimizer = problem()
    scaler = LossScaler([weight]) if scales else None
    weight.grad = torch.ones(2, dtype=torch.float64)  # of the step before
    take_gradients(optimizer, batches(weight, sizes), scaler=scaler, max_norm=0.0)
    assert weight.grad.tolist() == pytest.approx(by_hand(), rel=1e-12)


def test_one_batch_has_the_bits_of_its_mean() -> None:
    weight, optimizer = problem()
    take_gradients(optimizer, batches(weight, (5,)), scaler=None, max_norm=0.0)
    plain, _ = problem()
    ((ROWS @ plain) ** 2).mean().backward()
    assert torch.equal(weight.grad, plain.grad)


def test_only_one_batch_has_a_graph_at_a_time() -> None:
    weight, optimizer = problem()
    seen = []

    def watched() -> Iterator[Tensor]:
        for losses in batches(weight, (2, 3)):
            seen.append(weight.grad is not None)
            yield losses

    take_gradients(optimizer, watched(), scaler=None, max_norm=0.0)
    assert seen == [False, True], "the first has been differentiated before the second is made"


@pytest.mark.parametrize("scales", [False, True])
def test_the_norm_of_all_gradients_together_is_held_down(scales: bool) -> None:
    weight, other = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([4.0]))
    optimizer = torch.optim.SGD([{"params": [weight]}, {"params": [other], "lr": 0.1}], lr=0.1)
    scaler = LossScaler([weight, other]) if scales else None
    losses = (weight**2 + other**2) / 2  # gradients 3 and 4, their norm 5
    take_gradients(optimizer, [losses], scaler=scaler, max_norm=1.0)
    assert (weight.grad.item(), other.grad.item()) == pytest.approx((0.6, 0.8), rel=1e-5)
    take_gradients(optimizer, [(weight**2 + other**2) / 2], scaler=scaler, max_norm=10.0)
    assert (weight.grad.item(), other.grad.item()) == pytest.approx((3.0, 4.0))


def test_an_overflow_in_one_of_several_batches_costs_the_step() -> None:
    weight, optimizer = problem()
    scaler = LossScaler([weight], start=1024.0)
    infinite = (weight * torch.tensor([float("inf"), 1.0], dtype=torch.float64)).sum().view(1)
    take_gradients(optimizer, [(ROWS[:1] @ weight) ** 2, infinite], scaler=scaler, max_norm=1.0)
    assert torch.equal(weight.grad, torch.zeros(2, dtype=torch.float64))
    assert (scaler.scale.item(), scaler.overflows.item()) == (512.0, 1)


def test_a_batch_without_a_graph_is_passed_over() -> None:
    """A dropout may have left out the whole network."""
    weight, optimizer = problem()
    scaler = LossScaler([weight])
    take_gradients(optimizer, [torch.ones(2)], scaler=scaler, max_norm=1.0)
    assert weight.grad is None
    assert scaler.overflows.item() == 0
