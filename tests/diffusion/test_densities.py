"""The densities of timesteps against their formulas, by numbers of our own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from trainer.config.settings import Settings
from trainer.diffusion.random import StepRandom
from trainer.diffusion.timesteps import Density, LogitNormal, Shifted, ShiftedBySize, Swept, Uniform
from trainer.engine.passes import density_of

CPU = torch.device("cpu")
U = (np.arange(200_000) + 0.5) / 200_000


@dataclass
class Formula:
    """A density and what the papers say its probability density is, on ``U``."""

    density: Density
    pdf: np.ndarray


def logit_normal(u: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Esser et al. 2024, equation 19."""
    exponent = -((np.log(u / (1 - u)) - mean) ** 2) / (2 * std**2)
    return np.exp(exponent) / (std * math.sqrt(2 * math.pi) * u * (1 - u))


def shifted(pdf_of, k: float) -> np.ndarray:
    """That of ``u' = k u / (1 + (k - 1) u)``: the density at what becomes ``u'``, times the slope of the inverse."""
    before = U / (k - (k - 1) * U)
    return pdf_of(before) * k / (k - (k - 1) * U) ** 2


FORMULAS = {
    "uniform": Formula(Uniform(), np.ones_like(U)),
    "logit-normal": Formula(LogitNormal(), logit_normal(U, 0.0, 1.0)),
    "of SDXL": Formula(LogitNormal(-0.2, 1.0), logit_normal(U, -0.2, 1.0)),
    "narrow": Formula(LogitNormal(1.0, 0.5), logit_normal(U, 1.0, 0.5)),
    "shifted": Formula(Shifted(Uniform(), 3.0), shifted(np.ones_like, 3.0)),
    "both": Formula(Shifted(LogitNormal(-0.2), 2.0), shifted(lambda u: logit_normal(u, -0.2, 1.0), 2.0)),
    # a shift of a logit-normal is another mean
    "as a mean": Formula(Shifted(LogitNormal(0.5), math.e), logit_normal(U, 1.5, 1.0)),
}


def draws(density: Density, low: int, high: int, count: int = 40_000, *, swept: bool = False) -> np.ndarray:
    draw = density.sweep if swept else density.draw
    found = draw(StepRandom.of_step(3, 1, CPU), count, (low, high), 1000)
    assert (found.dtype, found.shape) == (torch.int64, (count,))
    assert low <= int(found.min())
    assert int(found.max()) < high
    numbers: np.ndarray = found.numpy()
    return numbers


@pytest.mark.parametrize("swept", [False, True], ids=["drawn", "swept"])
@pytest.mark.parametrize(("low", "high"), [(0, 1000), (500, 1000), (100, 140)])
@pytest.mark.parametrize("name", FORMULAS)
def test_timesteps_are_as_frequent_as_the_formula_says(name: str, low: int, high: int, swept: bool) -> None:
    """In twenty bins, within the window as without it; four standard deviations of chance are allowed."""
    formula = FORMULAS[name]
    inside = (low / 1000 < U) & (high / 1000 > U)
    edges = np.linspace(low, high, 21).round() / 1000
    expected, _ = np.histogram(U[inside], edges, weights=formula.pdf[inside])
    expected = expected / expected.sum()
    found, _ = np.histogram((draws(formula.density, low, high, swept=swept) + 0.5) / 1000, edges)
    chance = 4 * np.sqrt(expected * (1 - expected) / 40_000) + 2e-4
    assert (np.abs(found / 40_000 - expected) <= chance).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_shares_and_places_are_inverse_to_each_other(name: str) -> None:
    formula = FORMULAS[name]
    whole = np.cumsum(formula.pdf) / len(U)
    for place in (0.01, 0.2, 0.5, 0.8, 0.99):
        share = formula.density.below(place)
        assert share == pytest.approx(whole[int(place * len(U)) - 1], abs=1e-4)
        assert float(formula.density.at(torch.tensor(share, dtype=torch.float64))) == pytest.approx(place, abs=1e-4)
    assert (formula.density.below(0.0), formula.density.below(1.0)) == (0.0, 1.0)


def test_a_window_that_holds_next_to_nothing_is_kept_to() -> None:
    for density in (LogitNormal(5.0, 0.1), LogitNormal(-5.0, 0.1), Shifted(Uniform(), 100.0)):
        for low, high in ((0, 3), (997, 1000), (500, 501)):
            draws(density, low, high, 50)


@pytest.mark.parametrize(("side", "mu"), [(32, 0.5), (64, 0.63), (128, 1.15)])
def test_the_shift_by_size_is_that_of_flux(side: int, mu: float) -> None:
    """With diffusers' own function for the shift, and its bounds for 256 and 4096 patches."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    density = ShiftedBySize(Uniform()).for_size(side, side)
    shares = torch.linspace(0.01, 0.99, 7)
    torch.testing.assert_close(density.at(shares), scheduler.time_shift(mu, 1.0, shares), rtol=1e-5, atol=1e-6)
    assert isinstance(Swept(ShiftedBySize(Uniform())).for_size(side, side), Swept)
    assert draws(density, 0, 1000).mean() > draws(Uniform(), 0, 1000).mean() + 50


def test_the_uniform_density_draws_what_it_always_drew() -> None:
    """A file with the settings of an earlier version is trained on the same numbers."""
    rng = StepRandom.of_step(3, 1, CPU)
    wanted = torch.randint(200, 900, (6,), generator=StepRandom.of_step(3, 1, CPU).generator)
    assert torch.equal(Uniform().draw(rng, 6, (200, 900), 1000), wanted)


def test_the_settings_choose_the_density() -> None:
    own = LogitNormal(-0.2)
    for settings, expected in (
        (Settings(), own),
        (Settings(train_timestep_mean=3.0), own),
        (Settings(train_timestep_density="uniform"), None),
        (
            Settings(train_timestep_density="logit-normal", train_timestep_mean=0.3, train_timestep_std=0.7),
            LogitNormal(0.3, 0.7),
        ),
        (Settings(train_timestep_shift=3.0), Shifted(own, 3.0)),
        (Settings(train_timestep_shift=0.0), ShiftedBySize(own)),
    ):
        found = density_of(settings, own)
        assert isinstance(found, Uniform) if expected is None else found == expected
