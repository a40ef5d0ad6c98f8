"""LoRA (Hu et al. 2021): ``W x + strength · alpha / rank · up(down(x))`` on linears and convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..models.checkpoint.layers import Linear
from ..models.lora_target import Target
from .base import Adapter, Parts, Strength, does_not_fit, scaled_product, weight_of

_LARGEST_RANK = 4096


class LoRA(Adapter):
    """A product of two thin matrices beside a Linear or a Conv2d.

    Both are kept in their own precision (float32 as a rule) and used in that of the input: the optimizer sees full
    precision, the model's half precision is not left, and no autocast is needed.
    """

    label = "LoRA"
    part_sets = (frozenset({"lora_down.weight", "lora_up.weight"}),)
    input_part = "lora_down.weight"

    def __init__(self, target: Target, strength: Strength, down: Tensor, up: Tensor, alpha: float) -> None:
        super().__init__(target, strength)
        self.down = nn.Parameter(down)  # (rank, in) or (rank, in, kh, kw)
        self.up = nn.Parameter(up)  # (out, rank) or (out, rank, 1, 1)
        self.alpha = alpha
        module = target.module
        self._conv = (module.stride, module.padding, module.dilation) if isinstance(module, nn.Conv2d) else None

    @classmethod
    def new(cls, target: Target, strength: Strength, rank: int, alpha: float, generator: torch.Generator) -> LoRA:
        """``down`` uniform as torch's Linear starts (Kaiming, a = sqrt 5), ``up`` zero."""
        weight = weight_of(target.module)
        down = torch.empty(rank, *weight.shape[1:])
        bound = 1.0 / math.sqrt(down[0].numel())
        down.uniform_(-bound, bound, generator=generator)
        up = torch.zeros(weight.shape[0], rank, *[1] * (weight.ndim - 2))
        return cls(target, strength, down, up, alpha)

    @classmethod
    def load(cls, target: Target, strength: Strength, parts: Parts, dtype: torch.dtype) -> LoRA:
        down, up = parts["lora_down.weight"], parts["lora_up.weight"]
        weight = weight_of(target.module)
        if weight.ndim == 2:
            down, up = down.flatten(1), up.flatten(1)
        elif down.ndim == up.ndim == 2:
            down, up = down[:, :, None, None], up[:, :, None, None]
        if down.shape[1:] != weight.shape[1:] or up.shape != (weight.shape[0], down.shape[0], *[1] * (weight.ndim - 2)):
            raise does_not_fit(target, up, down)
        # Copied where nothing is cast: what is trained must not be a page of the file.
        down, up = (each.to(dtype, copy=True).contiguous() for each in (down, up))
        return cls(target, strength, down, up, float(parts["alpha"]))

    @classmethod
    def is_wide(cls, parts: Parts) -> bool:
        return parts["lora_down.weight"].shape[2:] not in ((), (1, 1))

    @classmethod
    def norm_of(cls, parts: Parts, _weight: Tensor | None, /) -> float:
        up, down = parts["lora_up.weight"], parts["lora_down.weight"]
        return abs(float(parts["alpha"])) / down.shape[0] * product_norm(up, down)

    @property
    def scale(self) -> float:
        return self.alpha / self.down.shape[0]

    def changed(self, x: Tensor) -> Tensor:
        """On linears strength and scale are factors of the products, and the sum is part of the last one."""
        if self._conv is not None or self.dropout is not None:
            return super().changed(x)
        down, up = self.in_type_of(x, self.down, self.up)
        factor = self.strength.times(self.scale, x)
        weight, bias = self._plain(x)
        if weight is not None:
            changed: Tensor = _Linear.apply(x, weight, bias, down, up, factor)
            return changed
        original = self._inner(x)
        if original.dtype != x.dtype:
            return self.added(original, x)
        added: Tensor = _Added.apply(original, x, down, up, factor)
        return added

    def _plain(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Weight and bias, where the module would do nothing but multiply by them in the type of ``x``."""
        module = self.module
        if type(module) is not Linear or getattr(self._inner, "__func__", None) is not Linear.forward:
            return None, None
        plain = module.weight.dtype == x.dtype and not module.weight.requires_grad
        return (module.weight, module.bias) if plain else (None, None)

    def update(self, x: Tensor) -> Tensor:
        down, up = self.in_type_of(x, self.down, self.up)
        if self._conv is None:
            return F.linear(self._thinned(F.linear(x, down), -1), up)
        stride, padding, dilation = self._conv
        return F.conv2d(self._thinned(F.conv2d(x, down, None, stride, padding, dilation), 1), up)

    def _thinned(self, hidden: Tensor, ranks: int) -> Tensor:
        return hidden if self.dropout is None else self.dropout.thinned(hidden, self.number, ranks)

    def zero_at_first(self) -> list[nn.Parameter]:
        return [self.up]

    def on_inputs(self) -> list[nn.Parameter]:
        return [self.down]

    @torch.no_grad()
    def start_as(self, left: Tensor, right: Tensor) -> None:
        """``down``'s rows keep the length they start with, so that both matrices learn as fast as in a new LoRA."""
        used = min(len(right), len(self.down))
        left, right = left[:, :used], right[:used]
        down, up = self.down[:used], self.up[:, :used]
        lengths = right.flatten(1).norm(dim=1).clamp(min=torch.finfo(right.dtype).tiny)  # (r,)
        stretch = down.flatten(1).norm(dim=1).to(lengths) / lengths
        down.copy_((right * stretch[:, None]).view_as(down))
        up.copy_((left / (stretch * self.scale)).view_as(up))

    def tensors(self) -> dict[str, Tensor]:
        alpha = torch.tensor(self.alpha, dtype=self.down.dtype)
        return {"lora_down.weight": self.down, "lora_up.weight": self.up, "alpha": alpha}

    def scaled(self, factor: float) -> dict[str, Tensor]:
        return scaled_product(self.tensors(), factor)


Factor = float | Tensor
"""What an update is multiplied by: a number, or ``(B, 1, …)``, one a sample."""


class _Linear(torch.autograd.Function):
    """``x Wᵀ + b + factor · (x downᵀ) upᵀ``; differentiable by ``x``, ``down`` and ``up``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, factor: Factor
    ) -> Tensor:
        hidden, scale = _hidden(x, down, factor)
        ctx.save_for_backward(x, hidden, weight, down, up)
        ctx.factor = factor
        output = F.linear(x.reshape(-1, x.shape[-1]), weight, bias)
        return output.addmm_(hidden, up.T, alpha=scale).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, hidden, weight, down, up = ctx.saved_tensors
        of_hidden, of_down, of_up = _gradients(gradient, x, hidden, up, ctx.factor, ctx.needs_input_grad[3:5])
        of_input = None
        if ctx.needs_input_grad[0]:
            of_input = (gradient.reshape(-1, gradient.shape[-1]) @ weight).addmm_(of_hidden, down).view(x.shape)
        return of_input, None, None, of_down, of_up, None


class _Added(torch.autograd.Function):
    """``original + factor · (x downᵀ) upᵀ``."""

    @staticmethod
    def forward(ctx: Any, original: Tensor, x: Tensor, down: Tensor, up: Tensor, factor: Factor) -> Tensor:
        hidden, scale = _hidden(x, down, factor)
        ctx.save_for_backward(x, hidden, down, up)
        ctx.factor = factor
        return torch.addmm(original.reshape(-1, original.shape[-1]), hidden, up.T, alpha=scale).view(original.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, hidden, down, up = ctx.saved_tensors
        of_hidden, of_down, of_up = _gradients(gradient, x, hidden, up, ctx.factor, ctx.needs_input_grad[2:4])
        of_input = (of_hidden @ down).view(x.shape) if ctx.needs_input_grad[1] else None
        return gradient, of_input, of_down, of_up, None


def _hidden(x: Tensor, down: Tensor, factor: Factor) -> tuple[Tensor, float]:
    """``x downᵀ``, ``(N, rank)``, times a factor of each sample; and the number that is left to multiply by."""
    hidden = x.reshape(-1, x.shape[-1]) @ down.T
    return (_of_samples(hidden, factor), 1.0) if isinstance(factor, Tensor) else (hidden, factor)


def _of_samples(rows: Tensor, factor: Tensor) -> Tensor:
    """``(N, rank)`` times each sample's factor; a sample has as many of the rows as the others."""
    return (rows.view(len(factor), -1, rows.shape[-1]) * factor.view(-1, 1, 1)).view(rows.shape)


def _gradients(
    gradient: Tensor, x: Tensor, hidden: Tensor, up: Tensor, factor: Factor, needed: Sequence[bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients of ``x downᵀ`` before any factor, of ``down`` and of ``up``."""
    gradient = gradient.reshape(-1, gradient.shape[-1])
    scale = 1.0 if isinstance(factor, Tensor) else factor
    of_hidden = _product(gradient, up, scale)
    if isinstance(factor, Tensor):
        of_hidden = _of_samples(of_hidden, factor)
    of_down = of_hidden.T @ x.reshape(-1, x.shape[-1]) if needed[0] else None
    return of_hidden, of_down, _product(gradient.T, hidden, scale) if needed[1] else None


def _product(one: Tensor, other: Tensor, scale: float) -> Tensor:
    """``scale · one @ other`` in one kernel."""
    return torch.addmm(one.new_empty(1), one, other, beta=0, alpha=scale)


def product_norm(up: Tensor, down: Tensor) -> float:
    """The Frobenius norm of ``up @ down``, without making the product where that is larger than rank by rank.

    ``|UD|² = tr(UᵀU · DDᵀ)``: two matrices of rank by rank. In double precision, since the trace may cancel; on the
    CPU, since not every device has doubles.
    """
    u = up.detach().cpu().double().flatten(1)  # (out, rank)
    d = down.detach().cpu().double().flatten(1)  # (rank, in)
    if d.shape[0] > _LARGEST_RANK and u.shape[0] * d.shape[1] < d.shape[0] ** 2:
        return float((u @ d).norm())
    return math.sqrt(max(0.0, float(((u.T @ u) * (d @ d.T)).sum())))
