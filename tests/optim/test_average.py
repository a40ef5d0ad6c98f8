"""The average of what is trained: the sum written out, in place and back again, taken up."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.optim.average import WeightAverage

VALUES = (2.0, -1.0, 3.5, 4.0, 0.25)


def averaged(dtype: torch.dtype = torch.float64, decay: float = 0.3) -> tuple[nn.Parameter, WeightAverage]:
    parameter = nn.Parameter(torch.tensor([1.0], dtype=dtype))
    average = WeightAverage([parameter], decay)
    for step, value in enumerate(VALUES, 1):
        parameter.data.fill_(value)
        average.add(step)
    return parameter, average


def by_hand(decay: float) -> float:
    mean = 1.0
    for step, value in enumerate(VALUES, 1):
        share = min(decay, (1 + step) / (10 + step))
        mean = share * mean + (1 - share) * value
    return mean


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_it_is_the_sum_written_out(decay: float) -> None:
    _, average = averaged(decay=decay)
    assert average.means[0].item() == pytest.approx(by_hand(decay), rel=1e-12)


def test_parameters_are_their_average_while_the_block_lasts() -> None:
    parameter, average = averaged()
    with average.in_place():
        assert parameter.item() == pytest.approx(by_hand(0.3))
    assert parameter.item() == VALUES[-1]
    average.put()
    assert parameter.item() == pytest.approx(by_hand(0.3))


def test_half_precision_is_averaged_in_single() -> None:
    """Its small changes would be lost in its own."""
    _, average = averaged(torch.bfloat16, 0.999)
    assert average.means[0].dtype == torch.float32
    assert average.means[0].item() == pytest.approx(by_hand(0.999), rel=1e-6)


def test_another_one_continues() -> None:
    _, average = averaged()
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    other = WeightAverage([parameter], 0.3)
    other.continue_from([each.clone() for each in average.means])
    parameter.data.fill_(7.0)
    other.add(6)
    assert other.means[0].item() == pytest.approx(0.3 * by_hand(0.3) + 0.7 * 7.0)
