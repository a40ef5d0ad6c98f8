"""Torch's layers with their own computation, whatever a host does to torch's classes.

A1111's built-in extension for LoRAs replaces ``forward`` of these classes for the whole process, and "Reload UI" takes
what it has put there away for seconds. A module of ours must neither compute with a host's LoRAs nor call what is gone.
The classes are taken from where torch defines them: Forge replaces those in ``torch.nn`` while it loads a model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Module
from torch.nn.grad import conv2d_input
from torch.nn.modules import conv, linear, normalization


class Linear(linear.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Conv2d(conv.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        if not (x.requires_grad and torch.is_grad_enabled()) or self.weight.requires_grad or self.is_special:
            return self._conv_forward(x, self.weight, self.bias)
        way = (self.stride, self.padding, self.dilation, self.groups)
        output: Tensor = _FrozenConvolution.apply(x, self.weight, self.bias, way)
        return output

    @property
    def is_special(self) -> bool:
        """Whether it pads with something else than so many zeros."""
        return self.padding_mode != "zeros" or isinstance(self.padding, str)


class GroupNorm(normalization.GroupNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class LayerNorm(normalization.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class _FrozenConvolution(torch.autograd.Function):
    """A two-dimensional convolution, differentiable by its input alone: which is not kept, as torch's own does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, way: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.way, ctx.shape = way, x.shape
        return F.conv2d(x, weight, bias, *way)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return conv2d_input(ctx.shape, weight, gradients[0], *ctx.way), None, None, None


_OWN = {own.__base__: own for own in (Linear, Conv2d, GroupNorm, LayerNorm)}


def make_own(module: Module) -> None:
    """Make every such layer of a module one of ours; they stay the same objects and compute the same."""
    for layer in module.modules():
        own = _OWN.get(type(layer))
        if own is not None:
            layer.__class__ = own
