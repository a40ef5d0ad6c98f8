"""What a denoiser predicts of ``x_t = a z + s n``, with ``z`` the latents and ``n`` the noise.

| name | predicted | Min-SNR weight |
| --- | --- | --- |
| ``epsilon`` | ``n`` (Ho et al. 2020) | ``min(gamma / SNR, 1)`` |
| ``v_prediction`` | ``a n - s z`` (Salimans & Ho 2022), where ``a^2 + s^2 = 1`` | ``min(gamma, SNR) / (SNR + 1)`` |
| ``flow`` | ``n - z`` (Liu et al. 2022), where ``a + s = 1`` | none: its target weighs all timesteps alike |

Beside it, sd-scripts' weights, with the SNR taken as :data:`_MOST_SNR` at most: debiased estimation (Yu et al. 2023),
``1 / sqrt(SNR)`` for the noise and ``1 / (SNR + 1)`` for the velocity; and the velocity's loss made like the noise's,
``SNR / (SNR + 1)``.

Pure functions of tensors; ``a`` and ``s`` come broadcast to the latents. Min-SNR: Hang et al. 2023. No torch is
imported here: a file's header is enough to say how its model predicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

_MOST_SNR: Final = 1000.0
"""The first timesteps of some models have hardly any noise, and weights that depend on it have no bounds."""


class Parameterisation(ABC):
    """One way of predicting.

    Attributes:
        name: as model files and diffusers call it.
        modelspec: what ModelSpec's ``prediction_type`` says. It has words for the noise and the velocity, and leaves
            other kinds of models their own.
        needs_signal: whether a prediction tells nothing about the latents where there is no signal left.
    """

    name: str
    modelspec: str
    needs_signal: bool = False

    @abstractmethod
    def target(self, latents: Tensor, noise: Tensor, a: Tensor, s: Tensor, /) -> Tensor:
        """What is to be predicted, ``(B, C, h, w)``."""

    @abstractmethod
    def split(self, noisy: Tensor, predicted: Tensor, a: Tensor, s: Tensor, /) -> tuple[Tensor, Tensor]:
        """What a prediction takes ``noisy`` for: the latents and the noise it is made of, each ``(B, C, h, w)``."""

    @abstractmethod
    def moved(self, predicted: Tensor, by: Tensor, s: Tensor, /) -> Tensor:
        """The prediction that finds the same noise, and latents that lie elsewhere ``by`` ``(B, C, h, w)``."""

    @abstractmethod
    def snr_weight(self, snr: Tensor, gamma: float, /) -> Tensor | None:
        """Min-SNR weight of each sample, ``(B,)``, for ``gamma`` above 0, or None."""

    def debiased_weight(self, _snr: Tensor, /) -> Tensor | None:
        """Weight of each sample, ``(B,)``, for debiased estimation, or None."""
        return None

    def noise_like_weight(self, _snr: Tensor, /) -> Tensor | None:
        """Weight of each sample, ``(B,)``, that makes the loss that of predicting the noise, or None."""
        return None


class Epsilon(Parameterisation):
    """The noise."""

    name = "epsilon"
    modelspec = "epsilon"
    needs_signal = True

    def target(self, _latents: Tensor, noise: Tensor, _a: Tensor, _s: Tensor, /) -> Tensor:
        return noise

    def split(self, noisy: Tensor, predicted: Tensor, a: Tensor, s: Tensor, /) -> tuple[Tensor, Tensor]:
        return (noisy - s * predicted) / a, predicted

    def moved(self, predicted: Tensor, _by: Tensor, _s: Tensor, /) -> Tensor:
        return predicted

    def snr_weight(self, snr: Tensor, gamma: float, /) -> Tensor:
        return (gamma / snr).clamp(max=1.0)

    def debiased_weight(self, snr: Tensor, /) -> Tensor:
        return _bounded(snr).rsqrt()


class Velocity(Parameterisation):
    """The velocity of a variance-preserving process."""

    name = "v_prediction"
    modelspec = "v"

    def target(self, latents: Tensor, noise: Tensor, a: Tensor, s: Tensor, /) -> Tensor:
        return a * noise - s * latents

    def split(self, noisy: Tensor, predicted: Tensor, a: Tensor, s: Tensor, /) -> tuple[Tensor, Tensor]:
        return a * noisy - s * predicted, s * noisy + a * predicted

    def moved(self, predicted: Tensor, by: Tensor, s: Tensor, /) -> Tensor:
        return predicted - s * by

    def snr_weight(self, snr: Tensor, gamma: float, /) -> Tensor:
        return snr.clamp(max=gamma) / (snr + 1.0)

    def debiased_weight(self, snr: Tensor, /) -> Tensor:
        return 1.0 / (_bounded(snr) + 1.0)

    def noise_like_weight(self, snr: Tensor, /) -> Tensor:
        bounded = _bounded(snr)
        return bounded / (bounded + 1.0)


class Flow(Parameterisation):
    """The direction of a straight way from the latents to the noise."""

    name = "flow"
    modelspec = "flow"

    def target(self, latents: Tensor, noise: Tensor, _a: Tensor, _s: Tensor, /) -> Tensor:
        return noise - latents

    def split(self, noisy: Tensor, predicted: Tensor, a: Tensor, s: Tensor, /) -> tuple[Tensor, Tensor]:
        return noisy - s * predicted, noisy + a * predicted

    def moved(self, predicted: Tensor, by: Tensor, _s: Tensor, /) -> Tensor:
        return predicted - by

    def snr_weight(self, _snr: Tensor, _gamma: float, /) -> None:
        return None


def _bounded(snr: Tensor) -> Tensor:
    return snr.clamp(max=_MOST_SNR)


EPSILON = Epsilon()
VELOCITY = Velocity()
FLOW = Flow()
CHOICES: Final[Mapping[str, Parameterisation]] = MappingProxyType(
    {"noise": EPSILON, "velocity": VELOCITY, "flow": FLOW}
)
"""By what the setting ``prediction`` calls them."""
