"""Diffusers' U-Net without what it does for nothing: the same numbers, bit for bit, from fewer operations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_DIVISORS = ("output_scale_factor", "rescale_output_factor")
"""What residual blocks and attentions divide their sums by: 1 in every Stable Diffusion."""


class _One:
    """The number 1 as a divisor: a tensor divided by it is the tensor itself, and no copy."""

    def __rtruediv__(self, dividend: Tensor) -> Tensor:
        return dividend


def make_leaner(unet: nn.Module) -> None:
    """Have the modules of a U-Net of diffusers' compute the same with less; they stay the same objects."""
    from diffusers.models.activations import GEGLU as Theirs  # noqa: N811 - it stands for a class of the same name

    class GEGLU(Theirs):
        def forward(self, x: Tensor, *_args: Any, **_more: Any) -> Tensor:
            made: Tensor = _Gate.apply(self.proj(x))
            return made

    for module in unet.modules():
        for name in _DIVISORS:
            if getattr(module, name, None) == 1.0:
                setattr(module, name, _One())
        if type(module) is Theirs:
            module.__class__ = GEGLU


class _Gate(torch.autograd.Function):
    """``a · gelu(b)`` of the halves of its input (Shazeer 2020).

    The gradients of both halves are made where they belong; autograd would make them elsewhere and put them together.
    """

    @staticmethod
    def forward(ctx: Any, halves: Tensor) -> Tensor:
        hidden, gate = halves.chunk(2, dim=-1)
        opened = F.gelu(gate)
        ctx.save_for_backward(halves, opened)
        return hidden * opened

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        halves, opened = ctx.saved_tensors
        hidden, gate = halves.chunk(2, dim=-1)
        made = torch.empty_like(halves)
        of_hidden, of_gate = made.chunk(2, dim=-1)
        torch.mul(gradient, opened, out=of_hidden)
        torch.ops.aten.gelu_backward.grad_input(gradient * hidden, gate, grad_input=of_gate)
        return made
