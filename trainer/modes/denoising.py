"""The loss of training on images: to find the noise in a noisy one (Ho et al. 2020)."""

from __future__ import annotations

from torch import Tensor

from ..diffusion.losses import sample_losses
from ..diffusion.random import StepRandom
from ..models.base import Conditioning
from .base import PassContext, StepLoss
from .descriptions import StepDescriptions
from .keep import Keep, Kept
from .teacher import predicted as predicted_by_base


def denoising_loss(
    context: PassContext,
    keep: Keep,
    rng: StepRandom,
    latents: Tensor,
    conditioning: Conditioning,
    mask: Tensor | None,
    names: tuple[str, ...],
    weights: Tensor | None = None,
    kept: Kept | None = None,
    described: StepDescriptions | None = None,
    own: Conditioning | None = None,
) -> StepLoss:
    """``loss(e(x_t(z), t, c; 1), n)``, or against what else the model predicts, and what ``keep`` adds.

    Args:
        latents: ``z``, ``(B, C, h, w)``.
        conditioning: ``c``, of ``B`` prompts or of one.
        mask: ``(B, 1, h, w)``, where the error counts; None: everywhere.
        names: what the user calls each sample.
        weights: ``(B,)``, how much each sample counts; None: all alike.
        kept: what the network is held to beside the prompts of ``keep``.
        described: the samples whose ``c`` is a description; what they are to find moves along (:mod:`.descriptions`).
        own: their own captions, like ``conditioning``.
    """
    diffusion = context.diffusion
    noise = context.noise(rng, latents)
    timesteps = context.timesteps(rng, latents)
    noisy = diffusion.noised(latents, noise, timesteps)
    target = diffusion.target(latents, noise, timesteps)
    if described and own is not None:  # before the network's prediction, which keeps what its gradients need
        told = [each.expand(len(noisy)) for each in (conditioning, own)]
        target = described.moved(target, *predicted_by_base(context, described.asked(noisy, timesteps, *told)))
    context.network.strength = 1.0
    if kept is not None:
        kept = kept.noised(diffusion, noise, timesteps)
    predicted, of_kept = keep.predict(noisy, timesteps, conditioning, rng, kept)
    losses = sample_losses(predicted, target, context.settings.train_loss_function, mask)
    if weights is not None:
        losses = losses * weights
    losses = losses + of_kept
    return StepLoss(context.weighted(losses, timesteps), timesteps, names)
