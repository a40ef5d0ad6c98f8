"""LoHa (FedPara, Hyeon-Woo et al. 2022): ``W x + strength · alpha / rank · (A1 B1 ∘ A2 B2) x``, in LyCORIS's files.

The element-wise product of two matrices of rank r has rank up to r². It is a full matrix, so it is made where it is
needed and dropped at once: the backward pass recomputes it, which costs no more than its gradient does anyway. Both
matrices are made by one product of stacked factors, those of layers that read the same input in the same one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..models.checkpoint.layers import Conv2d
from ..models.lora_target import Target
from .base import Adapter, Parts, Strength, does_not_fit, is_wide, scaled_product, weight_of
from .linears import Factor, Shared, Update, changed, of_samples, plus, product

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

    def changed(self, x: Tensor) -> Tensor:
        if self.dropout is not None:
            return super().changed(x)
        if isinstance(self.module, nn.Conv2d):
            factor = self.strength.times(self.scale, x)
            if isinstance(factor, Tensor) or not self._is_plain(self.module, x):
                return super().changed(x)
            return self._applied(x, self.module.weight, self.module.bias, factor)
        return _changed([self], x)[0] if self.shared is None else self.shared.of(self, x)

    def used_together(self) -> Iterator[tuple[nn.Parameter, ...]]:
        if self.shared is None or self.dropout is not None:
            return iter(_pairs([self]))
        return iter(_pairs(self.shared.members) if self.shared.members[0] is self else [])

    @classmethod
    def share(cls, adapters: Sequence[LoHa]) -> None:
        alike = {(each.scale, *(factor.shape for factor in each.factors.values())) for each in adapters}
        if len(alike) == 1 and not any(isinstance(each.module, nn.Conv2d) for each in adapters):
            cls.put_together(Shared(adapters, _changed))

    def _is_plain(self, module: nn.Conv2d, x: Tensor) -> bool:
        """Whether the module would do nothing but be a convolution by its weight in the type of ``x``."""
        if type(module) is not Conv2d or getattr(self.inner, "__func__", None) is not Conv2d.forward:
            return False
        is_frozen = module.weight.dtype == x.dtype and not module.weight.requires_grad
        return is_frozen and module.groups == 1 and not module.is_special

    def _applied(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, factor: float) -> Tensor:
        """The update's output times ``factor``, and that of the module if its weight is given."""
        factors = [self.stacked(x, pair) for pair in _pairs([self])]
        applied: Tensor = _Apply.apply(x, self._layer, weight, bias, factor, *factors)
        return applied

    def update(self, x: Tensor) -> Tensor:
        applied = self._applied(x, None, None, 1.0)
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


def _pairs(adapters: Sequence[LoHa]) -> list[tuple[nn.Parameter, ...]]:
    """The factors that are stacked: of ``w1_a`` and ``w2_a``, of ``w1_b`` and ``w2_b``, of the cores, each of all the
    adapters, those of the first matrix before those of the second."""
    names = [name for name in ("w{}_a", "w{}_b", "t{}") if name.format(1) in adapters[0].factors]
    return [tuple(each.factors[name.format(n)] for n in (1, 2) for each in adapters) for name in names]


def _changed(adapters: Sequence[LoHa], x: Tensor) -> Sequence[Tensor]:
    """The outputs of linears for one input."""
    first = adapters[0]
    for each in adapters:
        each.computes_in = x.dtype
    modules = [(each.module, each.inner) for each in adapters]
    factors = [first.stacked(x, pair) for pair in _pairs(adapters)]
    made = changed(_Hadamard(first.factors["w1_b"].shape[0]), modules, x, first.strength.times(first.scale, x), factors)
    return [each.added(each.inner(x), x) for each in adapters] if made is None else made


class _Matrices:
    """``n`` updates ``(n, out, in)`` from ``a`` ``(2 n out, rank)`` and ``b`` ``(2 n rank, in)``."""

    def __init__(self, a: Tensor, b: Tensor, rank: int) -> None:
        self._a, self._b = a.view(len(b) // rank, -1, rank), b.view(len(b) // rank, rank, -1)
        self._both = torch.bmm(self._a, self._b)  # (2 n, out, in)
        self._one, self._other = self._both.chunk(2)

    def product(self) -> Tensor:
        return self._one * self._other

    def added_to(self, weight: Tensor, factor: float) -> Tensor:
        """``weight + factor · product``, of one layer."""
        return torch.addcmul(weight.view_as(self._one), self._one, self._other, value=factor)

    def gradients(self, of_product: Tensor, factor: float = 1.0) -> list[Tensor]:
        """Those of ``a`` and ``b``, times ``factor``."""
        of_both = torch.empty_like(self._both)
        for own, other in zip(of_both.chunk(2), (self._other, self._one), strict=True):
            torch.mul(of_product, other, out=own)
        of_a, of_b = _products(of_both, self._b.mT, factor), _products(self._a.mT, of_both, factor)
        return [of_a.flatten(0, 1), of_b.flatten(0, 1)]


class _Tucker:
    """An update ``(1, out, in · height · width)`` from ``a`` ``(2 rank, out)``, ``b`` ``(2 rank, in)`` and ``cores``
    ``(2 rank, rank, height, width)``: ``W[o, i, h, w] = Σ core[p, q, h, w] · a[p, o] · b[q, i]``, of each half.

    The inputs are the last dimension until the product is made, so that every sum is one of matrices.
    """

    def __init__(self, a: Tensor, b: Tensor, cores: Tensor) -> None:
        rank = len(b) // 2
        self._kernel = cores.shape[2:]
        self._a, self._b = a.view(2, rank, -1), b.view(2, rank, -1)
        self._cores = cores.view(2, rank, rank, -1).mT.reshape(2, rank, -1)  # (2, p, h w q)
        self._outputs = torch.bmm(self._a.mT, self._cores).view(2, -1, rank)  # (2, o h w, q)
        self._both = torch.bmm(self._outputs, self._b)  # (2, o h w, i)

    def product(self) -> Tensor:
        one, other = self._both
        made = self._empty()
        torch.mul(self._by_output(one), self._by_output(other), out=self._as_kernels(made))
        return made

    def added_to(self, weight: Tensor, factor: float) -> Tensor:
        """``weight + factor · product``."""
        one, other = map(self._by_output, self._both)
        made = self._empty()
        torch.addcmul(self._as_kernels(weight), one, other, value=factor, out=self._as_kernels(made))
        return made

    def gradients(self, of_product: Tensor, factor: float = 1.0) -> list[Tensor]:
        """Those of ``a``, ``b`` and the cores, times ``factor``."""
        of_product = self._as_kernels(of_product)
        of_both, (one, other) = torch.empty_like(self._both), self._both
        for own, factors in zip(of_both, (other, one), strict=True):
            torch.mul(of_product, self._by_output(factors), out=self._by_output(own))
        of_outputs = _products(of_both, self._b.mT, factor).view(2, self._a.shape[-1], -1)  # (2, o, h w q)
        of_cores = torch.bmm(self._a, of_outputs).view(len(self._b[0]) * 2, -1, len(self._b[0])).mT
        return [
            torch.bmm(self._cores, of_outputs.mT).flatten(0, 1),
            _products(self._outputs.mT, of_both, factor).flatten(0, 1),
            of_cores.reshape(*of_cores.shape[:2], *self._kernel),
        ]

    def _empty(self) -> Tensor:
        return self._both.new_empty(1, self._a.shape[-1], self._both[0].numel() // self._a.shape[-1])

    def _as_kernels(self, weight: Tensor) -> Tensor:
        """A weight as ``(o, i, h w)``."""
        return weight.view(self._a.shape[-1], self._b.shape[-1], -1)

    def _by_output(self, matrix: Tensor) -> Tensor:
        """``(o h w, i)`` as ``(o, i, h w)``."""
        return matrix.view(self._a.shape[-1], -1, self._b.shape[-1]).mT


def _products(one: Tensor, other: Tensor, factor: float) -> Tensor:
    """``factor · one @ other`` of stacked matrices, in one kernel."""
    return torch.baddbmm(one.new_empty(1, 1, 1), one, other, beta=0, alpha=factor)


def _matrices(factors: Sequence[Tensor], outputs: int) -> _Matrices | _Tucker:
    """Those of one adapter.

    Args:
        outputs: of its module.
    """
    a, b, *cores = factors
    return _Tucker(a, b, cores[0]) if cores else _Matrices(a, b, a.numel() // outputs // 2)


class _Hadamard(Update):
    """Of linears, each with a product as its weight, from the factors of all of them."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def added(
        self, outputs: Sequence[Tensor], x: Tensor, factor: Factor, parameters: Sequence[Tensor], *, over: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        a, b = parameters
        weights = _Matrices(a, b, self._rank).product()
        if isinstance(factor, Tensor):
            x, factor = of_samples(x, factor), 1.0
        made = zip(outputs, weights, strict=True)
        return [plus(output, x, weight.T, factor, over=over) for output, weight in made], []

    def gradients(
        self,
        gradients: Sequence[Tensor],
        x: Tensor,
        factor: Factor,
        parameters: Sequence[Tensor],
        _kept: Sequence[Tensor],
        of_input: Tensor | None,
        *,
        needed: tuple[bool, bool],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        a, b = parameters
        matrices = _Matrices(a, b, self._rank)
        if isinstance(factor, Tensor):
            gradients, factor = [of_samples(each, factor) for each in gradients], 1.0
        if needed[0]:
            for gradient, weight in zip(gradients, matrices.product(), strict=True):
                if of_input is None:
                    of_input = product(gradient, weight, factor)
                else:
                    of_input.addmm_(gradient, weight, alpha=factor)
        if not needed[1]:
            return of_input, [None, None]
        of_weights = x.new_empty(len(gradients), gradients[0].shape[1], x.shape[1])
        for gradient, of_weight in zip(gradients, of_weights, strict=True):
            product(gradient.T, x, factor, out=of_weight)
        return of_input, [*matrices.gradients(of_weights)]


class _Layer:
    """What the module computes with a weight, and the gradients of that."""

    def __init__(self, module: nn.Module) -> None:
        self._shape = weight_of(module).shape
        self._conv: tuple[Any, ...] = ()
        if isinstance(module, nn.Conv2d):
            self._conv = (module.stride, module.padding, module.dilation)

    @property
    def outputs(self) -> int:
        return self._shape[0]

    def shaped(self, update: Tensor, like: Tensor) -> Tensor:
        return update.to(like.dtype).view(self._shape)

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, *self._conv) if self._conv else F.linear(x, weight, bias)

    def gradients(
        self, x: Tensor, weight: Tensor, gradient: Tensor, needed: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Those of the input and of the weight, as far as they are needed."""
        if self._conv:
            stride, padding, dilation = self._conv
            of_input, of_weight, _ = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, stride, padding, dilation, False, (0, 0), 1, (*needed, False)
            )
            return of_input, of_weight
        of_input = gradient @ weight if needed[0] else None
        return of_input, gradient.flatten(0, -2).T @ x.flatten(0, -2) if needed[1] else None


class _Apply(torch.autograd.Function):
    """The layer with the product as its weight, and with a frozen one beside it if that is given; of what depends on
    the factors, only they and the input are kept for the backward pass.

    The input's gradient is that of the sum of both weights: one convolution for what would be two and a sum. Half
    precision rounds that sum, by no more than it rounds the gradient. The output is summed by itself: an update that
    has hardly begun is much smaller than the weight.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layer: _Layer, weight: Tensor | None, bias: Tensor | None, factor: float, *factors: Tensor
    ) -> Tensor:
        ctx.layer, ctx.factor = layer, factor
        ctx.save_for_backward(x, weight, *factors)
        update = layer(x, layer.shaped(_matrices(factors, layer.outputs).product(), x), None)
        return update if weight is None else layer(x, weight, bias).add_(update, alpha=factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *factors = ctx.saved_tensors
        layer: _Layer = ctx.layer
        matrices = _matrices(factors, layer.outputs)
        needed = ctx.needs_input_grad[0], any(ctx.needs_input_grad[5:])
        of_input, of_weight = layer.gradients(
            x,
            layer.shaped(matrices.product() if weight is None else matrices.added_to(weight, ctx.factor), x),
            gradient,
            needed,
        )
        if of_weight is None:  # an adapter that is only carried along
            return of_input, *[None] * (4 + len(factors))
        of_factors = matrices.gradients(of_weight.view(1, layer.outputs, -1), ctx.factor)
        return of_input, None, None, None, None, *of_factors


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
