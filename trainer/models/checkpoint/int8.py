"""Frozen weights as whole numbers of eight bits, half the memory of fp16: for linears and convolutions, on any device.

A weight ``w`` is kept as ``codes · scale`` with one scale for each output channel: ``scale = max|w| / 127``,
``codes = round(w / scale)``, so that no number is off by more than half a scale. The product is computed where it is
used, in the type of the input, in the backward pass as well: what is kept for it is the codes, which are there anyway.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

_HIGHEST = 127


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight's codes and scales.

    Args:
        weight: ``(out, …)``, of any floating-point type.

    Returns:
        int8 codes in the weight's shape, and ``(out, 1, …)`` float32 scales. The scale of a channel with a NaN is one.
    """
    numbers = weight.detach().float()
    scale = numbers.abs().amax(dim=tuple(range(1, numbers.ndim)), keepdim=True) / _HIGHEST
    codes = (numbers / torch.where(scale > 0, scale, 1.0)).round_()
    return codes.nan_to_num_().clamp_(-_HIGHEST, _HIGHEST).to(torch.int8), scale


def dequantise(codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight that codes and scales stand for, in ``dtype``; computed in float32, without a copy in it."""
    return torch.mul(codes, scale, out=torch.empty(codes.shape, dtype=dtype, device=codes.device))


class Int8(nn.Module):
    """A module whose weight is kept as int8; :func:`store_as_int8` makes them."""

    codes: Tensor
    scale: Tensor

    @property
    def weight(self) -> Tensor:
        """The weight as float32, computed at every call."""
        return dequantise(self.codes, self.scale, torch.float32)


class Int8Linear(Int8, nn.Linear):  # type: ignore[override]
    def forward(self, x: Tensor, *_scale: Any) -> Tensor:
        return cast(Tensor, _Linear.apply(x, self.codes, self.scale, self.bias))


class Int8Conv2d(Int8, nn.Conv2d):  # type: ignore[override]
    def forward(self, x: Tensor, *_scale: Any) -> Tensor:
        way = (self.stride, self.padding, self.dilation, self.groups)
        return cast(Tensor, _Convolution.apply(x, self.codes, self.scale, self.bias, way))


def can_be_int8(module: nn.Module) -> bool:
    """Whether :func:`store_as_int8` knows this kind of module and it is not int8 yet."""
    if isinstance(module, Int8):
        return False
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.padding_mode == "zeros")


def store_as_int8(module: nn.Module, weight: Tensor) -> None:
    """Make a linear or convolution one that keeps ``weight`` as int8.

    The module stays the same object, so references to it and hooks on it stay valid. Its old weight is let
    go, not written to.

    Args:
        module: one that :func:`can_be_int8`.
        weight: its weight, on the device where it is to be.
    """
    codes, scale = quantise(weight)
    del module.weight
    module.__class__ = Int8Linear if isinstance(module, nn.Linear) else Int8Conv2d
    module.register_buffer("codes", codes)
    module.register_buffer("scale", scale)


class _Linear(torch.autograd.Function):
    """``x wᵀ + b``; differentiable by ``x`` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(codes, scale)
        return F.linear(x, dequantise(codes, scale, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        codes, scale = ctx.saved_tensors
        (gradient,) = gradients
        return gradient @ dequantise(codes, scale, gradient.dtype), None, None, None


class _Convolution(torch.autograd.Function):
    """A two-dimensional convolution; differentiable by its input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None, way: Any) -> Tensor:
        ctx.save_for_backward(codes, scale)
        ctx.way, ctx.shape = way, x.shape
        return F.conv2d(x, dequantise(codes, scale, x.dtype), bias, *way)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        codes, scale = ctx.saved_tensors
        (gradient,) = gradients
        weight = dequantise(codes, scale, gradient.dtype)
        return conv2d_input(ctx.shape, weight, gradient, *ctx.way), None, None, None, None
