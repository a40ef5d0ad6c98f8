"""LoHa (FedPara, Hyeon-Woo et al. 2022): ``W x + strength · alpha / rank · (A1 B1 ∘ A2 B2) x``, in LyCORIS's files.

The element-wise product of two matrices of rank r has rank up to r². It is a full matrix, so it is made where it is
needed and dropped at once: the backward pass recomputes it, which costs no more than its gradient does anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input, conv2d_weight

from ..models.lora_target import Target
from .base import Adapter, Parts, Strength, does_not_fit, is_wide, scaled_product, weight_of

_ROWS_AT_ONCE = 512
_PLAIN = frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})
_NAMES = ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")


class LoHa(Adapter):
    """The element-wise product of two thin products beside a Linear or a Conv2d.

    Linears and 1×1 convolutions have four factors: ``w1_a``, ``w2_a`` ``(out, rank)`` and ``w1_b``, ``w2_b``
    ``(rank, in)``. Wider convolutions may have six (Tucker): ``w1_a``, ``w2_a`` ``(rank, out)``, ``w1_b``, ``w2_b``
    ``(rank, in)`` and the cores ``t1``, ``t2`` ``(rank, rank, height, width)``; files without cores have ``w1_b`` and
    ``w2_b`` of ``(rank, in · height · width)`` instead.
    """

    label = "LoHa"
    part_sets = (_PLAIN, _PLAIN | {"hada_t1", "hada_t2"})
    input_part = "hada_w1_b"

    def __init__(self, target: Target, strength: Strength, factors: Mapping[str, Tensor], alpha: float) -> None:
        super().__init__(target, strength)
        self.factors = nn.ParameterDict(dict(factors))
        self.alpha = alpha
        self._layer = _Layer(target.module)

    @classmethod
    def new(cls, target: Target, strength: Strength, rank: int, alpha: float, generator: torch.Generator) -> LoHa:
        """As LyCORIS starts: all factors normal except ``w2_a``, which is zero."""
        outputs, inputs, *kernel = weight_of(target.module).shape
        tucker = is_wide(target.module)
        column = (rank, outputs) if tucker else (outputs, rank)
        sizes: dict[str, tuple[tuple[int, ...], float]] = {
            "w1_a": (column, 0.1),
            "w1_b": ((rank, inputs), 1.0),
            "w2_a": (column, 0.0),
            "w2_b": ((rank, inputs), 1.0),
        }
        if tucker:
            sizes |= dict.fromkeys(("t1", "t2"), ((rank, rank, *kernel), 0.1))
        factors = {
            name: torch.randn(shape, generator=generator) * spread if spread else torch.zeros(shape)
            for name, (shape, spread) in sizes.items()
        }
        return cls(target, strength, factors, alpha)

    @classmethod
    def load(cls, target: Target, strength: Strength, parts: Parts, dtype: torch.dtype) -> LoHa:
        given = _factors_of(parts)
        if not _fits(given, weight_of(target.module)):
            raise does_not_fit(target, *given.values())
        # Copied where nothing is cast: what is trained must not be a page of the file.
        factors = {name: tensor.to(dtype, copy=True).contiguous() for name, tensor in given.items()}
        return cls(target, strength, factors, float(parts["alpha"]))

    @classmethod
    def is_wide(cls, parts: Parts) -> bool:
        return "hada_t1" in parts and parts["hada_t1"].shape[2:] != (1, 1)

    @classmethod
    def norm_of(cls, parts: Parts, _weight: Tensor | None, /) -> float:
        return abs(float(parts["alpha"])) / cls.rank_of(parts) * hadamard_norm(_factors_of(parts))

    @property
    def scale(self) -> float:
        return self.alpha / self.factors["w1_b"].shape[0]

    def update(self, x: Tensor) -> Tensor:
        applied: Tensor = _Apply.apply(x, self._layer, *self.in_type_of(x, *_in_order(self.factors)))
        outputs = self.weight.shape[0]
        rows = None if self.dropout is None else self.dropout.rows(outputs, self.number, applied)
        if rows is None:
            return applied
        return applied * (rows.view(-1, 1, 1) if self.weight.ndim == 4 else rows)

    def zero_at_first(self) -> list[nn.Parameter]:
        return [self.factors["w2_a"]]

    def on_inputs(self) -> list[nn.Parameter]:
        return [self.factors["w1_b"], self.factors["w2_b"]]

    def tensors(self) -> dict[str, Tensor]:
        factors: dict[str, Tensor] = {f"hada_{name}": factor for name, factor in self.factors.items()}
        return {**factors, "alpha": torch.tensor(self.alpha, dtype=self.factors["w1_a"].dtype)}

    def scaled(self, factor: float) -> dict[str, Tensor]:
        return scaled_product(self.tensors(), factor)


@torch.no_grad()
def hadamard_norm(factors: Mapping[str, Tensor]) -> float:
    """The Frobenius norm of the product, some rows of it at a time."""
    square, wide = 0.0, {name: factor.float() for name, factor in factors.items()}
    outputs = 1 if "t1" in wide else 0  # which dimension of w1_a and w2_a counts them
    for rows in zip(*(wide[name].split(_ROWS_AT_ONCE, outputs) for name in ("w1_a", "w2_a")), strict=True):
        some = wide | {"w1_a": rows[0], "w2_a": rows[1]}
        square += float(torch.linalg.vector_norm(hadamard(*_in_order(some)))) ** 2
    return math.sqrt(square)


def _factors_of(parts: Parts) -> dict[str, Tensor]:
    return {name: parts[f"hada_{name}"] for name in _NAMES if f"hada_{name}" in parts}


def _in_order(factors: Mapping[str, Tensor] | nn.ParameterDict) -> list[Tensor]:
    return [factors[name] for name in _NAMES if name in factors]


def hadamard(w1_a: Tensor, w1_b: Tensor, w2_a: Tensor, w2_b: Tensor, *cores: Tensor) -> Tensor:
    """The update of a weight, ``(out, in · height · width)``, or ``(out, in, height, width)`` if it has ``cores``."""
    if not cores:
        return (w1_a @ w1_b) * (w2_a @ w2_b)
    return _tucker(cores[0], w1_a, w1_b) * _tucker(cores[1], w2_a, w2_b)


def _tucker(core: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
    """``W[o, i, h, w] = Σ core[p, q, h, w] · outputs[p, o] · inputs[q, i]``."""
    return torch.einsum("pqhw,po,qi->oihw", core, outputs, inputs)


class _Layer:
    """What the module computes with a weight, and the gradients of that."""

    def __init__(self, module: nn.Module) -> None:
        self._shape = weight_of(module).shape
        self._conv: tuple[Any, ...] = ()
        if isinstance(module, nn.Conv2d):
            self._conv = (module.stride, module.padding, module.dilation)

    def shaped(self, update: Tensor, like: Tensor) -> Tensor:
        return update.to(like.dtype).view(self._shape)

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, *self._conv) if self._conv else F.linear(x, weight)

    def gradient_of_input(self, x: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
        if self._conv:
            return conv2d_input(x.shape, weight, gradient, *self._conv)
        return gradient @ weight

    def gradient_of_weight(self, x: Tensor, gradient: Tensor) -> Tensor:
        if self._conv:
            return conv2d_weight(x, self._shape, gradient, *self._conv)
        return gradient.flatten(0, -2).T @ x.flatten(0, -2)


class _Apply(torch.autograd.Function):
    """The layer with the product as its weight; only the input and the factors are kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: _Layer, *factors: Tensor) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(x, *factors)
        return layer(x, layer.shaped(hadamard(*factors), x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *factors = ctx.saved_tensors
        layer: _Layer = ctx.layer
        of_input = None
        with torch.enable_grad():
            leaves = [factor.detach().requires_grad_() for factor in factors]
            update = hadamard(*leaves)
        if ctx.needs_input_grad[0]:
            of_input = layer.gradient_of_input(x, layer.shaped(update.detach(), x), gradient)
        if not any(ctx.needs_input_grad[2:]):  # an adapter that is only carried along
            return of_input, None, *[None] * len(factors)
        of_weight = layer.gradient_of_weight(x, gradient).to(update.dtype).view_as(update)
        return of_input, None, *torch.autograd.grad(update, leaves, of_weight)


def _fits(factors: Mapping[str, Tensor], weight: Tensor) -> bool:
    outputs, inputs, *kernel = weight.shape
    rank = factors["w1_b"].shape[0]
    wanted: dict[str, tuple[int, ...]]
    if "t1" not in factors:
        wanted = {"w1_a": (outputs, rank), "w1_b": (rank, weight[0].numel())}
    else:
        wanted = {"w1_a": (rank, outputs), "w1_b": (rank, inputs), "t1": (rank, rank, *kernel)}
    return all(
        factors[name].shape == shape and factors[name.replace("1", "2")].shape == shape
        for name, shape in wanted.items()
    )
