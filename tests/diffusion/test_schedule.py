"""The forward process against numpy in double precision, and draws that depend on seed and step alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from trainer.diffusion.schedule import Draw, NoiseSchedule, mixed_seed, scaled_linear_betas

CPU = torch.device("cpu")


@pytest.fixture
def alphas() -> np.ndarray:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return np.cumprod(1 - betas)


def schedule(prediction_type: str = "epsilon") -> NoiseSchedule:
    return NoiseSchedule.from_betas(scaled_linear_betas(), prediction_type)


def test_tables_are_stable_diffusions(alphas: np.ndarray) -> None:
    table = schedule()
    np.testing.assert_allclose(table.signal.numpy(), np.sqrt(alphas), rtol=1e-6)
    np.testing.assert_allclose(table.noise.numpy(), np.sqrt(1 - alphas), rtol=1e-6)
    assert alphas[999] == pytest.approx(0.00466, abs=1e-5)  # SD's last step keeps some signal


def test_noisy_latents_and_velocity(alphas: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    z, n = rng.standard_normal((2, 3, 4, 8, 8))
    t = np.array([0, 400, 999])
    a, s = (np.sqrt(x[t])[:, None, None, None] for x in (alphas, 1 - alphas))
    table = schedule("v_prediction")
    arguments = (torch.from_numpy(z), torch.from_numpy(n), torch.from_numpy(t))
    np.testing.assert_allclose(table.add_noise(*arguments).numpy(), a * z + s * n, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table.target(*arguments).numpy(), a * n - s * z, rtol=1e-5, atol=1e-6)
    assert torch.equal(schedule().target(*arguments), torch.from_numpy(n))


def test_snr(alphas: np.ndarray) -> None:
    t = torch.arange(1000)
    np.testing.assert_allclose(schedule().snr(t).numpy(), alphas / (1 - alphas), rtol=1e-4)


def test_a_step_draws_the_same_whatever_came_before() -> None:
    first = Draw.of_step(7, 3, torch.device("cpu"))
    Draw.of_step(7, 2, torch.device("cpu")).noise((100,), torch.float32)
    torch.randn(10)
    again = Draw.of_step(7, 3, torch.device("cpu"))
    assert torch.equal(first.noise((2, 4), torch.float32), again.noise((2, 4), torch.float32))
    assert torch.equal(first.timesteps(5, 0, 1000), again.timesteps(5, 0, 1000))


def test_steps_and_seeds_draw_apart() -> None:
    seeds = {mixed_seed(seed, step) for seed in range(50) for step in range(200)}
    assert len(seeds) == 50 * 200
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_of_one_seed_draw_apart() -> None:
    """Every number of a stream counts, and which one comes first."""
    seeds = {mixed_seed(7, *numbers) for numbers in itertools.product(range(20), range(20), range(3))}
    seeds |= {mixed_seed(7, *numbers) for numbers in itertools.product(range(20), range(20))}
    assert len(seeds) == 20 * 20 * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_every_precision_sees_the_same_noise(dtype: torch.dtype) -> None:
    in_float32, other = (Draw.of_step(7, 3, CPU).noise((2, 4, 16, 16), kind) for kind in (torch.float32, dtype))
    assert other.dtype == dtype
    assert torch.equal(other, in_float32.to(dtype))


def test_noise_of_all_steps_is_standard_normal() -> None:
    drawn = torch.stack([Draw.of_step(1, step, torch.device("cpu")).noise((64,), torch.float32) for step in range(500)])
    assert drawn.mean().abs() < 0.02
    assert (drawn.std() - 1).abs() < 0.02
    neighbours = torch.corrcoef(torch.stack([drawn[:-1].flatten(), drawn[1:].flatten()]))[0, 1]
    assert neighbours.abs() < 0.02


def test_timesteps_fill_their_window_and_no_more() -> None:
    draws = [Draw.of_step(0, step, torch.device("cpu")).timesteps(4, 10, 14) for step in range(100)]
    assert set(torch.cat(draws).tolist()) == {10, 11, 12, 13}
    same = Draw.of_step(0, 1, torch.device("cpu")).timesteps(4, 0, 1000, same=True)
    assert same.shape == (4,)
    assert len(set(same.tolist())) == 1


def test_swept_timesteps_take_the_tenths_in_turn() -> None:
    def swept(step: int, count: int, low: int = 500, high: int = 1000, **options: bool) -> list[int]:
        draw = Draw.of_step(3, step, torch.device("cpu"))
        found = draw.swept_timesteps(count, low, high, **options).tolist()
        again = Draw.of_step(3, step, torch.device("cpu"))
        assert found == again.swept_timesteps(count, low, high, **options).tolist()
        return found

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
