"""Frozen weights as whole numbers of eight bits, half the memory of fp16: for linears and convolutions, on any device.

A weight ``w`` is kept as ``codes · scale`` with one scale for each output channel: ``scale = max|w| / 127``,
``codes = round(w / scale)``, so that no number is off by more than half a scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .compressed import Compressed, CompressedConv2d, CompressedLinear

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


class Int8(Compressed):
    """A module whose weight is kept as int8; :func:`store_as_int8` makes them."""

    def decoded(self, codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        return dequantise(codes, scale, dtype)


class Int8Linear(Int8, CompressedLinear):  # type: ignore[override]
    pass


class Int8Conv2d(Int8, CompressedConv2d):  # type: ignore[override]
    pass


def can_be_int8(module: nn.Module) -> bool:
    """Whether :func:`store_as_int8` knows this kind of module and its weight is a plain one."""
    if isinstance(module, Compressed):
        return False
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.padding_mode == "zeros")


def store_as_int8(module: nn.Module, weight: Tensor) -> None:
    """Make a linear or convolution one that keeps ``weight`` as int8.

    The module stays the same object, so references to it and hooks on it stay valid.

    Args:
        module: one that :func:`can_be_int8`.
        weight: its weight, on the device where it is to be.
    """
    del module.weight
    module.__class__ = Int8Linear if isinstance(module, nn.Linear) else Int8Conv2d
    assert isinstance(module, Int8)
    module.keep(*quantise(weight))
