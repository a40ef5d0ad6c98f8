"""The tables of the forward process against numpy in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.diffusion.schedule import NoiseSchedule, scaled_linear_betas


@pytest.fixture
def alphas() -> np.ndarray:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return np.cumprod(1 - betas)


def stable_diffusions() -> NoiseSchedule:
    return NoiseSchedule.of_betas(scaled_linear_betas())


def test_tables_are_stable_diffusions(alphas: np.ndarray) -> None:
    table = stable_diffusions()
    assert len(table) == 1000
    np.testing.assert_allclose(table.signal.numpy(), np.sqrt(alphas), rtol=1e-6)
    np.testing.assert_allclose(table.noise.numpy(), np.sqrt(1 - alphas), rtol=1e-6)
    assert alphas[999] == pytest.approx(0.00466, abs=1e-5)  # SD's last step keeps some signal
    assert table.leaves_signal


def test_snr(alphas: np.ndarray) -> None:
    t = torch.arange(1000)
    np.testing.assert_allclose(stable_diffusions().snr(t).numpy(), alphas / (1 - alphas), rtol=1e-4)


def test_flow_goes_straight_from_signal_to_noise() -> None:
    table = NoiseSchedule.of_flow()
    sigma = (np.arange(1000) + 1) / 1000
    np.testing.assert_allclose(table.noise.numpy(), sigma, rtol=1e-6)
    np.testing.assert_allclose(table.signal.numpy(), 1 - sigma, rtol=1e-6)
    assert not table.leaves_signal
    assert float(table.noise[999]) == 1.0


def test_only_betas_can_be_stretched() -> None:
    stretched = stable_diffusions().with_zero_terminal_snr()
    assert not stretched.leaves_signal
    assert stretched.with_zero_terminal_snr() is stretched
    flow = NoiseSchedule.of_flow()
    assert flow.with_zero_terminal_snr() is flow
    with pytest.raises(ValueError, match="betas"):
        NoiseSchedule(torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])).with_zero_terminal_snr()
