"""Timesteps within the window of the settings."""

from __future__ import annotations

import torch

from trainer.diffusion.parameterisation import EPSILON
from trainer.diffusion.process import Diffusion
from trainer.diffusion.random import StepRandom
from trainer.diffusion.schedule import NoiseSchedule, scaled_linear_betas
from trainer.diffusion.timesteps import Uniform

DIFFUSION = Diffusion(NoiseSchedule.of_betas(scaled_linear_betas()), EPSILON, Uniform())


def drawn(seed: int, step: int, count: int, low: int, high: int, **options: bool) -> list[int]:
    rng = StepRandom.of_step(seed, step, torch.device("cpu"))
    timesteps = DIFFUSION.timesteps(rng, count, (low, high), (8, 8), **options)
    assert (timesteps.shape, timesteps.dtype) == ((count,), torch.int64)
    found: list[int] = timesteps.tolist()
    return found


def swept(step: int, count: int, low: int = 500, high: int = 1000, **options: bool) -> list[int]:
    found = drawn(3, step, count, low, high, swept=True, **options)
    assert found == drawn(3, step, count, low, high, swept=True, **options)
    return found


def test_timesteps_fill_their_window_and_no_more() -> None:
    assert {each for step in range(100) for each in drawn(0, step, 4, 10, 14)} == {10, 11, 12, 13}
    assert len(set(drawn(0, 1, 4, 0, 1000, same=True))) == 1


def test_swept_timesteps_take_the_tenths_in_turn() -> None:
    one = [swept(step, 1)[0] for step in range(1, 2001)]
    assert [(t - 500) // 50 for t in one] == [step % 10 for step in range(2000)]
    assert set(one) <= set(range(500, 1000))
    assert len(set(one)) > 450, "nearly every timestep is met"
    assert [(t - 500) // 50 for step in (1, 2, 3) for t in swept(step, 4)] == [*range(10), 0, 1], (
        "and on behind a batch"
    )
    assert [len(set(swept(step, 4, same=True))) for step in (1, 2)] == [1, 1]
    assert [(swept(step, 4, same=True)[0] - 500) // 50 for step in (1, 2, 11)] == [0, 1, 0]
    narrow = [swept(step, 1, 7, 10)[0] for step in range(1, 101)]
    assert set(narrow) == {7, 8, 9}
    assert {swept(step, 1, 999, 1000)[0] for step in range(1, 21)} == {999}
