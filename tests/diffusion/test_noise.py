"""Noise with an offset and noise with coarser noise in it, against the formulas in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trainer.diffusion import noise as noises
from trainer.diffusion.noise import offset_noise, pyramid_noise
from trainer.diffusion.random import StepRandom

CPU = torch.device("cpu")
SHAPE = (2, 4, 8, 12)
WHITE = torch.from_numpy(np.random.default_rng(0).standard_normal(SHAPE))
LATENTS = torch.from_numpy(np.random.default_rng(1).standard_normal(SHAPE))


def rng(step: int = 5) -> StepRandom:
    return StepRandom.of_step(7, step, CPU)


def drawn(shape: tuple[int, ...], after: int = 0) -> np.ndarray:
    """What the step's generator gives, after so many single numbers."""
    generator = rng().generator
    for _ in range(after):
        torch.rand((), generator=generator)
    return torch.randn(shape, generator=generator).double().numpy()


def test_an_offset_moves_every_channel_of_every_sample_by_its_own_number() -> None:
    found = offset_noise(WHITE, LATENTS, rng(), 0.1).numpy()
    np.testing.assert_allclose(found, WHITE.numpy() + 0.1 * drawn((2, 4, 1, 1)), rtol=1e-12)


def test_an_adaptive_offset_grows_with_the_mean_of_the_latents_and_is_never_negative() -> None:
    means = np.abs(LATENTS.numpy().mean(axis=(2, 3), keepdims=True))
    for scale in (0.5, -3.0):
        strength = np.maximum(0.1 + scale * means, 0.0)
        assert scale > 0 or (strength == 0).any()
        found = offset_noise(WHITE, LATENTS, rng(), 0.1, adaptive=scale).numpy()
        np.testing.assert_allclose(found, WHITE.numpy() + strength * drawn((2, 4, 1, 1)), rtol=1e-12)


def test_a_random_offset_is_a_share_of_it_drawn_once_a_batch() -> None:
    share = float(torch.rand((), generator=rng().generator))
    found = offset_noise(WHITE, LATENTS, rng(), 0.2, is_random=True).numpy()
    np.testing.assert_allclose(found, WHITE.numpy() + 0.2 * share * drawn((2, 4, 1, 1), after=1), rtol=1e-7)


def bilinear(coarse: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarged with the centres of the corner pixels where they are; written out by hand."""

    def along(values: np.ndarray, size: int) -> np.ndarray:
        count = values.shape[-1]
        places = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, None)
        low = np.minimum(places.astype(int), count - 1)
        high = np.minimum(low + 1, count - 1)
        return values[..., low] * (1 - (places - low)) + values[..., high] * (places - low)

    return along(along(coarse, width).swapaxes(-1, -2), height).swapaxes(-1, -2)


@pytest.mark.parametrize("iterations", [1, 3, 8])
def test_a_pyramid_is_the_sum_of_coarser_noises_brought_back_to_one(
    iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratios = [2.5, 3.0, 2.25, 4.0, 2.0, 2.0, 2.0, 2.0]

    class Known:
        def __init__(self, _seed: int) -> None:
            self._left = list(ratios)

        def random(self) -> float:
            return (self._left.pop(0) - 2.0) / 2.0

    monkeypatch.setattr(noises.random, "Random", Known)
    generator = rng().generator
    wanted = WHITE.numpy().copy()
    for number in range(iterations):
        height, width = (max(1, math.floor(side / ratios[number] ** number)) for side in SHAPE[2:])
        coarse = torch.randn((2, 4, height, width), generator=generator).double().numpy()
        wanted += 0.8**number * bilinear(coarse, *SHAPE[2:])
        if (height, width) == (1, 1):
            break
    wanted /= wanted.std(ddof=1)
    np.testing.assert_allclose(pyramid_noise(WHITE, rng(), iterations, 0.8).numpy(), wanted, rtol=1e-10, atol=1e-12)


def test_a_pyramid_depends_on_its_step_alone() -> None:
    one, again, other = (pyramid_noise(WHITE, rng(step), 6, 0.3) for step in (5, 5, 6))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.std().item() == pytest.approx(1.0)
