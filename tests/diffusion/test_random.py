"""Draws that depend on seed and step alone."""

from __future__ import annotations

import itertools

import pytest
import torch

from trainer.diffusion.random import StepRandom
from trainer.diffusion.seeds import mixed_seed
from trainer.diffusion.timesteps import Uniform

CPU = torch.device("cpu")


def test_a_step_draws_the_same_whatever_came_before() -> None:
    first = StepRandom.of_step(7, 3, CPU)
    StepRandom.of_step(7, 2, CPU).noise((100,), torch.float32)
    torch.randn(10)
    again = StepRandom.of_step(7, 3, CPU)
    assert torch.equal(first.noise((2, 4), torch.float32), again.noise((2, 4), torch.float32))
    assert torch.equal(Uniform().draw(first, 5, (0, 1000), 1000), Uniform().draw(again, 5, (0, 1000), 1000))


def test_steps_and_seeds_draw_apart() -> None:
    seeds = {mixed_seed(seed, step) for seed in range(50) for step in range(200)}
    assert len(seeds) == 50 * 200
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_of_one_seed_draw_apart() -> None:
    """Every number of a stream counts, and which one comes first."""
    seeds = {mixed_seed(7, *numbers) for numbers in itertools.product(range(20), range(20), range(3))}
    seeds |= {mixed_seed(7, *numbers) for numbers in itertools.product(range(20), range(20))}
    assert len(seeds) == 20 * 20 * 4


def test_noise_of_all_steps_is_standard_normal() -> None:
    drawn = torch.stack([StepRandom.of_step(1, step, CPU).noise((64,), torch.float32) for step in range(500)])
    assert drawn.mean().abs() < 0.02
    assert (drawn.std() - 1).abs() < 0.02
    neighbours = torch.corrcoef(torch.stack([drawn[:-1].flatten(), drawn[1:].flatten()]))[0, 1]
    assert neighbours.abs() < 0.02


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_every_precision_sees_the_same_noise(dtype: torch.dtype) -> None:
    in_float32, other = (StepRandom.of_step(7, 3, CPU).noise((2, 4, 16, 16), kind) for kind in (torch.float32, dtype))
    assert other.dtype == dtype
    assert torch.equal(other, in_float32.to(dtype))
