"""LoRA (Hu et al. 2021): ``W x + strength · alpha / rank · up(down(x))`` on linears and convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Adapter, Builder, Ranks, Strength, Target, does_not_fit, weight_of


class LoRA(Adapter):
    """A product of two thin matrices beside a Linear or a Conv2d.

    Both are kept in their own precision (float32 as a rule) and cast to that of the input where they are used: the
    optimizer sees full precision, the model's half precision is not left, and no autocast is needed.
    """

    def __init__(self, target: Target, strength: Strength, down: Tensor, up: Tensor, alpha: float) -> None:
        super().__init__(target, strength)
        self.down = nn.Parameter(down)  # (rank, in) or (rank, in, kh, kw)
        self.up = nn.Parameter(up)  # (out, rank) or (out, rank, 1, 1)
        self.alpha = alpha
        module = target.module
        self._conv = (module.stride, module.padding, module.dilation) if isinstance(module, nn.Conv2d) else None

    @property
    def scale(self) -> float:
        return self.alpha / self.down.shape[0]

    def update(self, x: Tensor) -> Tensor:
        down, up = self.down.to(x.dtype), self.up.to(x.dtype)
        if self._conv is None:
            return F.linear(F.linear(x, down), up)
        stride, padding, dilation = self._conv
        return F.conv2d(F.conv2d(x, down, None, stride, padding, dilation), up)

    def tensors(self) -> dict[str, Tensor]:
        alpha = torch.tensor(self.alpha, dtype=self.down.dtype)
        return {"lora_down.weight": self.down, "lora_up.weight": self.up, "alpha": alpha}

    def norm(self) -> float:
        return abs(self.scale) * product_norm(self.up, self.down)


def product_norm(up: Tensor, down: Tensor) -> float:
    """The Frobenius norm of ``up @ down``, without making the product.

    ``|UD|² = tr(UᵀU · DDᵀ)``: two matrices of rank by rank. In double precision, since the trace may cancel; on the
    CPU, since not every device has doubles.
    """
    u = up.detach().cpu().double().flatten(1)  # (out, rank)
    d = down.detach().cpu().double().flatten(1)  # (rank, in)
    return math.sqrt(max(0.0, float(((u.T @ u) * (d @ d.T)).sum())))


def lora_norm(parts: Mapping[str, Tensor]) -> float:
    """The norm of an update from its tensors in a file."""
    up, down = parts["lora_up.weight"], parts["lora_down.weight"]
    return abs(float(parts["alpha"])) / down.shape[0] * product_norm(up, down)


def lora_builder(
    rank: int, alpha: float, dtype: torch.dtype, device: torch.device, conv_rank: int = 0, conv_alpha: float = 0.0
) -> Builder:
    """New LoRA adapters: ``down`` uniform as torch's Linear starts (Kaiming, a = sqrt 5), ``up`` zero."""

    ranks = Ranks(rank, alpha, conv_rank, conv_alpha)

    def make(target: Target, strength: Strength, generator: torch.Generator) -> Adapter:
        rank, alpha = ranks.of(target.module)
        weight = weight_of(target.module)
        down = torch.empty(rank, *weight.shape[1:])
        bound = 1.0 / math.sqrt(down[0].numel())
        down.uniform_(-bound, bound, generator=generator)
        up = torch.zeros(weight.shape[0], rank, *[1] * (weight.ndim - 2))
        return LoRA(target, strength, down.to(device, dtype), up.to(device, dtype), alpha)

    return make


def lora_from_tensors(target: Target, strength: Strength, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Adapter:
    """An adapter from a file's ``lora_down.weight``, ``lora_up.weight`` and ``alpha``, on the CPU.

    Raises:
        NetworkError: the tensors do not fit the module.
    """
    down, up = tensors["lora_down.weight"], tensors["lora_up.weight"]
    weight = weight_of(target.module)
    if weight.ndim == 2:
        down, up = down.flatten(1), up.flatten(1)
    elif down.ndim == up.ndim == 2:
        down, up = down[:, :, None, None], up[:, :, None, None]
    if down.shape[1:] != weight.shape[1:] or up.shape != (weight.shape[0], down.shape[0], *[1] * (weight.ndim - 2)):
        raise does_not_fit(target, up, down)
    # Copied where nothing is cast: what is trained must not be a page of the file.
    down, up = (each.to(dtype, copy=True).contiguous() for each in (down, up))
    return LoRA(target, strength, down, up, float(tensors["alpha"]))
