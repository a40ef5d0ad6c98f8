"""Frozen weights as numbers of four bits, a quarter of the memory of fp16: for linears, on any device.

A weight is kept in blocks of 64 numbers, each block as ``levels[code] · scale`` with ``scale = max|w|``. The sixteen
levels are quantiles of the normal distribution, which the weights of a block are close to (NormalFloat: Dettmers et al.
2023, "QLoRA", appendix E).
"""

from __future__ import annotations

from itertools import product
from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .compressed import CompressedLinear
from .int8 import can_be_int8

BLOCK = 64
_TAIL = 0.9677083
"""The probability that the outermost levels stand at, halfway between the quantiles of 15 and of 16 bins."""


def levels() -> tuple[float, ...]:
    """The sixteen, from -1 to 1: eight quantiles above zero, zero itself, and seven below."""

    def quantiles(count: int) -> list[float]:
        return [NormalDist().inv_cdf(_TAIL + (0.5 - _TAIL) * number / count) for number in range(count)]

    above, below = quantiles(8), quantiles(7)
    return tuple(each / above[0] for each in (*(-each for each in below), 0.0, *reversed(above)))


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight's codes and scales.

    Args:
        weight: of any shape and floating-point type; its numbers fill whole blocks.

    Returns:
        uint8 codes, two numbers each, the first in the upper half: ``(numbers / 2,)``; float32 scales ``(blocks,)``.
        The scale of a block with a NaN is one.
    """
    blocks = weight.detach().float().reshape(-1, BLOCK)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    places = torch.tensor(levels(), device=weight.device)
    between = (places[1:] + places[:-1]) / 2
    codes = torch.bucketize(blocks / torch.where(scale > 0, scale, 1.0), between, out_int32=True).to(torch.uint8)
    pairs = codes.view(-1, 2)
    return pairs[:, 0] * 16 + pairs[:, 1], scale.flatten()


def dequantise(codes: Tensor, scale: Tensor, table: Tensor, shape: torch.Size) -> Tensor:
    """The weight that codes and scales stand for.

    Args:
        table: the two levels of every code, ``(256, 2)``, in the type that the weight is to have.
    """
    blocks = F.embedding(codes.int(), table).view(-1, BLOCK)
    return blocks.mul_(scale[:, None]).view(shape)


class NF4Linear(CompressedLinear):
    """A linear whose weight is kept as nf4; :func:`store_as_nf4` makes them."""

    table: Tensor
    """Here and not computed anew, so that decoding sends nothing to the device."""

    def decoded(self, codes: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        shape = torch.Size((self.out_features, self.in_features))
        return dequantise(codes, scale, self.table.to(dtype), shape)


def can_be_nf4(module: nn.Module) -> bool:
    """Whether :func:`store_as_nf4` knows this kind of module, and it is of whole blocks."""
    return isinstance(module, nn.Linear) and can_be_int8(module) and module.weight.numel() % BLOCK == 0


def store_as_nf4(module: nn.Module, weight: Tensor) -> None:
    """Make a linear one that keeps ``weight`` as nf4; it stays the same object.

    Args:
        module: one that :func:`can_be_nf4`.
        weight: its weight, on the device where it is to be.
    """
    del module.weight
    module.__class__ = NF4Linear
    assert isinstance(module, NF4Linear)
    module.keep(*quantise(weight))
    module.register_buffer("table", torch.tensor([*product(levels(), repeat=2)], device=weight.device))
