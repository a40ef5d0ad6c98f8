"""The gradients of one step: of one batch or of several, unscaled and clipped, without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from .scaling import LossScaler

AddUp = Callable[[Sequence[nn.Parameter], int, int], tuple[int, int]]
"""Adds the gradients of several processes up; see :meth:`.engine.processes.Processes.added_up`."""


def take_gradients(
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Tensor],
    *,
    scaler: LossScaler | None,
    max_norm: float,
    add_up: AddUp | None = None,
) -> None:
    """The gradients of the mean loss of all samples of a step, as if its batches were one.

    Args:
        batches: the losses of each, ``(B,)``; one is differentiated and let go of before the next is asked for.
        scaler: scales the loss where gradients are too small for their type.
        max_norm: what the norm of all gradients together is brought down to; 0: they stay as they are.
        add_up: where other processes have batches of the step, too.
    """
    optimizer.zero_grad(set_to_none=True)
    first = count = 0
    for losses in batches:
        first = first or len(losses)
        count += len(losses)
        loss = losses.mean() if len(losses) == first else losses.sum() / first
        if loss.requires_grad:  # unless a dropout has left the whole network out
            (loss if scaler is None else scaler.scaled(loss)).backward()
    every = [each for group in optimizer.param_groups for each in group["params"]]
    if add_up is not None:
        first, count = add_up(every, first, count)
    parameters = [each for each in every if each.grad is not None]
    if not parameters:
        return
    if scaler is not None:
        scaler.unscale()
    if count != first:
        for each in parameters:
            each.grad.mul_(first / count)
    if max_norm:
        torch.nn.utils.clip_grad_norm_(parameters, max_norm)
