"""Linears and convolutions whose frozen weight is kept as small codes, and decoded in every pass that multiplies by it.

A layer decodes its weight in the type of its input, in the forward pass and again in the backward pass: what autograd
keeps is the codes, which are there anyway. How codes are made is in :mod:`.int8` and :mod:`.nf4`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input


class Compressed(nn.Module):
    """A module that keeps codes and scales in place of a weight."""

    codes: Tensor
    scale: Tensor

    def decoded(self, codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        """The weight that codes and scales stand for, in ``dtype``."""
        raise NotImplementedError

    @property
    def weight(self) -> Tensor:
        """The weight as float32, computed at every call."""
        return self.decoded(self.codes, self.scale, torch.float32)

    def keep(self, codes: Tensor, scale: Tensor) -> None:
        """Keep these in place of the weight, which is let go, not written to."""
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)


class CompressedLinear(Compressed, nn.Linear):  # type: ignore[override]
    def forward(self, x: Tensor, *_scale: Any) -> Tensor:
        return cast(Tensor, _Linear.apply(x, self.codes, self.scale, self.bias, self.decoded))


class CompressedConv2d(Compressed, nn.Conv2d):  # type: ignore[override]
    def forward(self, x: Tensor, *_scale: Any) -> Tensor:
        way = (self.stride, self.padding, self.dilation, self.groups)
        return cast(Tensor, _Convolution.apply(x, self.codes, self.scale, self.bias, self.decoded, way))


class _Linear(torch.autograd.Function):
    """``x wᵀ + b``; differentiable by ``x`` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None, decoded: Any) -> Tensor:
        ctx.save_for_backward(codes, scale)
        ctx.decoded = decoded
        return F.linear(x, decoded(codes, scale, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        return gradient @ ctx.decoded(*ctx.saved_tensors, gradient.dtype), None, None, None, None


class _Convolution(torch.autograd.Function):
    """A two-dimensional convolution; differentiable by its input alone."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None, decoded: Any, way: Any
    ) -> Tensor:
        ctx.save_for_backward(codes, scale)
        ctx.decoded, ctx.way, ctx.shape = decoded, way, x.shape
        return F.conv2d(x, decoded(codes, scale, x.dtype), bias, *way)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weight = ctx.decoded(*ctx.saved_tensors, gradient.dtype)
        return conv2d_input(ctx.shape, weight, gradient, *ctx.way), None, None, None, None, None
