"""Losses against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.diffusion.losses import sample_losses

RNG = np.random.default_rng(0)
PREDICTION, TARGET = RNG.standard_normal((2, 3, 4, 8, 8)) * 2
DIFFERENCE = PREDICTION - TARGET
ELEMENTWISE = {
    "MSE": DIFFERENCE**2,
    "L1": np.abs(DIFFERENCE),
    "Smooth-L1": np.where(np.abs(DIFFERENCE) < 1, 0.5 * DIFFERENCE**2, np.abs(DIFFERENCE) - 0.5),
}


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_mean_over_all_elements(kind: str) -> None:
    losses = sample_losses(torch.from_numpy(PREDICTION), torch.from_numpy(TARGET), kind)
    np.testing.assert_allclose(losses.numpy(), ELEMENTWISE[kind].mean(axis=(1, 2, 3)), rtol=1e-12)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_mask_counts_only_what_it_covers(kind: str) -> None:
    mask = RNG.random((3, 1, 8, 8)).round(1)
    losses = sample_losses(torch.from_numpy(PREDICTION), torch.from_numpy(TARGET), kind, torch.from_numpy(mask))
    plain = [
        sum(
            ELEMENTWISE[kind][b, :, y, x].mean() * mask[b, 0, y, x] for y in range(8) for x in range(8)
        ) / mask[b].sum()
        for b in range(3)
    ]  # fmt: skip
    np.testing.assert_allclose(losses.numpy(), plain, rtol=1e-10)


def test_half_precision_is_compared_in_float32() -> None:
    prediction = torch.full((1, 4, 8, 8), 300.0, dtype=torch.float16)
    target = torch.full((1, 4, 8, 8), -300.0, dtype=torch.float16)
    losses = sample_losses(prediction, target, "MSE")
    assert losses.dtype == torch.float32
    assert losses.item() == 360_000  # beyond fp16's 65504


def test_a_sample_whose_mask_covers_nothing_counts_for_nothing() -> None:
    prediction, target = torch.from_numpy(PREDICTION).requires_grad_(), torch.from_numpy(TARGET)
    mask = torch.ones(3, 1, 8, 8)
    mask[1] = 0
    losses = sample_losses(prediction, target, "MSE", mask)
    assert losses[1].item() == 0
    losses.sum().backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[1].abs().sum() == 0
