"""Losses, one number a sample: element-wise error in float32, averaged where it counts."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def elementwise_error(prediction: Tensor, target: Tensor, kind: str) -> Tensor:
    """``MSE``, ``L1`` or ``Smooth-L1`` (beta 1) of every element, in float32 whatever came in (float64 stays)."""
    if prediction.dtype.itemsize < 4:
        prediction = prediction.float()
    target = target.to(prediction.dtype)
    if kind == "MSE":
        return F.mse_loss(prediction, target, reduction="none")
    if kind == "L1":
        return F.l1_loss(prediction, target, reduction="none")
    if kind == "Smooth-L1":
        return F.smooth_l1_loss(prediction, target, reduction="none")
    raise ValueError(f"unknown loss function {kind!r}")


def sample_losses(prediction: Tensor, target: Tensor, kind: str, mask: Tensor | None = None) -> Tensor:
    """The mean error of each sample, ``(B,)``.

    Args:
        prediction, target: ``(B, C, H, W)``.
        kind: see :func:`elementwise_error`.
        mask: ``(B, 1, H, W)`` in 0…1, or None. With a mask the mean runs over what counts: its sum over its area.
    """
    error = elementwise_error(prediction, target, kind)
    if mask is None:
        return error.mean(dim=(1, 2, 3))
    mask = mask.to(error.dtype)
    area = mask.sum(dim=(1, 2, 3)).clamp(min=1e-6)  # a crop may lie wholly in a hole: it counts for nothing
    return (error.mean(dim=1, keepdim=True) * mask).sum(dim=(1, 2, 3)) / area
