"""Noisy latents, targets, what a prediction is split into, and Min-SNR, against the formulas in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from trainer.diffusion.parameterisation import EPSILON, FLOW, VELOCITY, Parameterisation
from trainer.diffusion.process import Diffusion
from trainer.diffusion.schedule import NoiseSchedule, scaled_linear_betas
from trainer.diffusion.timesteps import Uniform

RNG = np.random.default_rng(0)
Z, N = RNG.standard_normal((2, 3, 4, 8, 8))
Target = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Formula(NamedTuple):
    """One parameterisation, its schedule, and what the papers say its model predicts."""

    parameterisation: Parameterisation
    schedule: NoiseSchedule
    target: Target


def beta_tables() -> NoiseSchedule:
    """Stable Diffusion's, in double precision throughout."""
    betas = scaled_linear_betas()
    kept = torch.cumprod(1 - betas, 0)
    return NoiseSchedule(kept.sqrt(), (1 - kept).sqrt(), betas)


def flow_tables() -> NoiseSchedule:
    sigma = torch.arange(1, 1001, dtype=torch.float64) / 1000
    return NoiseSchedule(1 - sigma, sigma)


FORMULAS = (
    Formula(EPSILON, beta_tables(), lambda z, n, a, s: n),
    Formula(VELOCITY, beta_tables(), lambda z, n, a, s: a * n - s * z),
    Formula(FLOW, flow_tables(), lambda z, n, a, s: n - z),
)
TIMES = np.array([0, 400, 990])


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda each: each.parameterisation.name)
def test_noised_target_and_split_are_the_formulas(formula: Formula) -> None:
    diffusion = Diffusion(formula.schedule, formula.parameterisation, Uniform())
    a, s = (table.numpy()[TIMES][:, None, None, None] for table in (formula.schedule.signal, formula.schedule.noise))
    z, n, t = torch.from_numpy(Z), torch.from_numpy(N), torch.from_numpy(TIMES)
    noisy, target = diffusion.noised(z, n, t), diffusion.target(z, n, t)
    np.testing.assert_allclose(noisy.numpy(), a * Z + s * N, rtol=1e-14)
    np.testing.assert_allclose(target.numpy(), formula.target(Z, N, a, s), rtol=1e-14)
    clean, noise = diffusion.split(noisy, target, t)
    np.testing.assert_allclose(clean.numpy(), Z, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(noise.numpy(), N, rtol=1e-10, atol=1e-12)


def test_flow_is_the_plain_formula() -> None:
    sigma = (TIMES + 1)[:, None, None, None] / 1000
    diffusion = Diffusion(flow_tables(), FLOW, Uniform())
    arguments = torch.from_numpy(Z), torch.from_numpy(N), torch.from_numpy(TIMES)
    np.testing.assert_allclose(diffusion.noised(*arguments).numpy(), (1 - sigma) * Z + sigma * N, rtol=1e-14)
    np.testing.assert_allclose(diffusion.target(*arguments).numpy(), N - Z, rtol=0)


def test_without_signal_flow_still_tells_the_latents() -> None:
    diffusion = Diffusion(flow_tables(), FLOW, Uniform())
    z, n, last = torch.from_numpy(Z), torch.from_numpy(N), torch.full((3,), 999)
    assert torch.equal(diffusion.noised(z, n, last), n)
    clean, noise = diffusion.split(n, n - z, last)
    torch.testing.assert_close(clean, z, rtol=1e-14, atol=1e-14)
    assert torch.equal(noise, n)
    assert [each.needs_signal for each in (EPSILON, VELOCITY, FLOW)] == [True, False, False]


@pytest.mark.parametrize(
    ("parameterisation", "formula"),
    [(EPSILON, lambda snr: min(5 / snr, 1)), (VELOCITY, lambda snr: min(5, snr) / (snr + 1)), (FLOW, lambda snr: 1)],
)
def test_min_snr(parameterisation: Parameterisation, formula: Callable[[float], float]) -> None:
    diffusion = Diffusion(beta_tables(), parameterisation, Uniform())
    t = torch.tensor([0, 100, 500, 999])
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    snrs = ((diffusion.schedule.signal / diffusion.schedule.noise) ** 2)[t].tolist()
    expected = [loss * formula(snr) for loss, snr in zip(losses.tolist(), snrs, strict=True)]
    np.testing.assert_allclose(diffusion.weighted(losses, t, 5.0).numpy(), expected, rtol=1e-12)
    assert torch.equal(diffusion.weighted(losses, t, 0.0), losses)


@pytest.mark.parametrize(
    ("kind", "debiased", "noise_like"),
    [
        (EPSILON, lambda snr: min(snr, 1000) ** -0.5, lambda snr: 1.0),
        (VELOCITY, lambda snr: 1 / (min(snr, 1000) + 1), lambda snr: min(snr, 1000) / (min(snr, 1000) + 1)),
        (FLOW, lambda snr: 1.0, lambda snr: 1.0),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_other_weights_are_the_formulas_and_multiply(
    kind: Parameterisation, debiased: Callable[[float], float], noise_like: Callable[[float], float]
) -> None:
    """At the first timestep of Stable Diffusion the SNR is 1175, more than what is reckoned with."""
    schedule = beta_tables()
    kept = [1.0]
    for beta in (np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).tolist():
        kept.append(kept[-1] * (1 - beta))
    snr = [kept[time + 1] / (1 - kept[time + 1]) for time in TIMES]
    assert snr[0] > 1000 > snr[1]
    diffusion, times = Diffusion(schedule, kind, Uniform()), torch.from_numpy(TIMES)
    losses = torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64)
    plain = diffusion.weighted(losses, times, 5.0)
    for options in ({"debiased": True}, {"noise_like": True}, {"debiased": True, "noise_like": True}):
        chosen = [formula for name, formula in (("debiased", debiased), ("noise_like", noise_like)) if name in options]
        wanted = plain.numpy() * [math.prod(formula(each) for formula in chosen) for each in snr]
        np.testing.assert_allclose(diffusion.weighted(losses, times, 5.0, **options).numpy(), wanted, rtol=1e-9)
