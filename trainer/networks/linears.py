"""Updates of linears in few kernels: added where the layer's output is made, and computed together for layers that read
the same input, as queries, keys and values do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..models.checkpoint.layers import Linear

Factor = float | Tensor
"""What an update is multiplied by: a number, or ``(B, 1, …)``, one a sample."""
Inner = Callable[[Tensor], Tensor]
"""What a module computes without an update."""
One = TypeVar("One")


class Shared(Generic[One]):
    """What is computed for all of several layers as soon as the first of them is asked; each has its own part once.

    Args:
        compute: the outputs of all for the input of one.
    """

    def __init__(self, members: Sequence[One], compute: Callable[[Sequence[One], Tensor], Sequence[Tensor]]) -> None:
        self.members = members
        self._compute = compute
        self._x: Tensor | None = None
        self._left: dict[One, Tensor] = {}

    def of(self, member: One, x: Tensor) -> Tensor:
        """The output of one of them for ``x``."""
        if self._x is not x or member not in self._left:
            self._left = dict(zip(self.members, self._compute(self.members, x), strict=True))
        output = self._left.pop(member)
        self._x = x if self._left else None
        return output

    def forget(self) -> None:
        """Let go of what nobody has asked for."""
        self._x, self._left = None, {}


class Update(ABC):
    """A way of making updates of ``count`` layers from the same parameters; rows are ``(N, in)`` and ``(N, out)``."""

    @abstractmethod
    def added(
        self, outputs: Sequence[Tensor], x: Tensor, factor: Factor, parameters: Sequence[Tensor], *, over: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """``output + factor · update(x)`` of each layer, and what :meth:`gradients` needs beside the parameters.

        Args:
            over: the outputs may be written over.
        """

    @abstractmethod
    def gradients(
        self,
        gradients: Sequence[Tensor],
        x: Tensor,
        factor: Factor,
        parameters: Sequence[Tensor],
        kept: Sequence[Tensor],
        of_input: Tensor | None,
        *,
        needed: tuple[bool, bool],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Those of the input and of the parameters.

        Args:
            of_input: that of the layers themselves; it is added to and may be written over.
            needed: whether those of the input and of the parameters are.
        """


class Products(Update):
    """``(x downᵀ) upᵀ``, of a ``down`` that has the rows of all layers, and one ``up`` for each."""

    def added(
        self, outputs: Sequence[Tensor], x: Tensor, factor: Factor, parameters: Sequence[Tensor], *, over: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        down, *ups = parameters
        hidden = x @ down.T
        if isinstance(factor, Tensor):
            hidden, factor = of_samples(hidden, factor), 1.0
        parts = _of_layers(hidden, [up.shape[1] for up in ups])
        made = zip(outputs, parts, ups, strict=True)
        return [plus(output, part, up.T, factor, over=over) for output, part, up in made], [hidden]

    def gradients(
        self,
        gradients: Sequence[Tensor],
        x: Tensor,
        factor: Factor,
        parameters: Sequence[Tensor],
        kept: Sequence[Tensor],
        of_input: Tensor | None,
        *,
        needed: tuple[bool, bool],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        down, *ups = parameters
        ranks = [up.shape[1] for up in ups]
        scale = 1.0 if isinstance(factor, Tensor) else factor
        of_hidden = x.new_empty(len(x), sum(ranks))
        for gradient, up, part in zip(gradients, ups, _of_layers(of_hidden, ranks), strict=True):
            product(gradient, up, scale, out=part)
        if isinstance(factor, Tensor):
            of_hidden = of_samples(of_hidden, factor)
        if needed[0]:
            of_input = of_hidden @ down if of_input is None else of_input.addmm_(of_hidden, down)
        if not needed[1]:
            return of_input, [None] * len(parameters)
        hidden = _of_layers(kept[0], ranks)
        of_ups = [product(gradient.T, part, scale) for gradient, part in zip(gradients, hidden, strict=True)]
        return of_input, [of_hidden.T @ x, *of_ups]


def _of_layers(hidden: Tensor, ranks: Sequence[int]) -> Sequence[Tensor]:
    """Each layer's columns of what is computed for all of them."""
    return (hidden,) if len(ranks) == 1 else hidden.split_with_sizes(ranks, 1)


def changed(
    update: Update, modules: Sequence[tuple[nn.Module, Inner]], x: Tensor, factor: Factor, parameters: Sequence[Tensor]
) -> Sequence[Tensor] | None:
    """The outputs of linears with an update; None if they compute in another type than that of ``x``.

    Args:
        modules: each with what it computes without the update.
        parameters: of the update, in the type of ``x``; those that are trained, all of them or none.
    """
    plain = [module for module, inner in modules if _is_plain(module, inner, x)]
    if len(plain) == len(modules):
        weights, biases = [module.weight for module in plain], [module.bias for module in plain]
        return tuple(_Changed.apply(update, factor, x, weights, biases, 0, *parameters))
    originals = [inner(x) for _, inner in modules]
    if any(each.dtype != x.dtype for each in originals):
        return None
    return tuple(_Changed.apply(update, factor, x, [], [], len(originals), *originals, *parameters))


def _is_plain(module: nn.Module, inner: Inner, x: Tensor) -> bool:
    """Whether the module would do nothing but multiply by its weight in the type of ``x``."""
    if type(module) is not Linear or getattr(inner, "__func__", None) is not Linear.forward:
        return False
    return module.weight.dtype == x.dtype and not module.weight.requires_grad


class _Changed(torch.autograd.Function):
    """Outputs of layers with an update; differentiable by ``x``, the originals and the parameters."""

    @staticmethod
    def forward(
        ctx: Any,
        update: Update,
        factor: Factor,
        x: Tensor,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor | None],
        made: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        rows, parameters = _rows(x), tensors[made:]
        if weights:
            outputs = [F.linear(rows, weight, bias) for weight, bias in zip(weights, biases, strict=True)]
        else:
            outputs = [_rows(each) for each in tensors[:made]]
        sums, kept = update.added(outputs, rows, factor, parameters, over=bool(weights))
        ctx.save_for_backward(x, *weights, *parameters, *kept)
        ctx.update, ctx.factor, ctx.counts = update, factor, (len(weights), len(parameters))
        return tuple(each.view(*x.shape[:-1], -1) for each in sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        layers, count = ctx.counts
        weights, parameters, kept = saved[:layers], saved[layers : layers + count], saved[layers + count :]
        needed = ctx.needs_input_grad[2], any(ctx.needs_input_grad[-count:])
        rows, of_input = [_rows(each) for each in gradients], None
        if needed[0]:
            for gradient, weight in zip(rows, weights, strict=False):
                of_input = gradient @ weight if of_input is None else of_input.addmm_(gradient, weight)
        of_input, of_parameters = ctx.update.gradients(
            rows, _rows(x), ctx.factor, parameters, kept, of_input, needed=needed
        )
        of_originals = () if layers else gradients
        of_x = of_input.view(x.shape) if needed[0] else None
        return None, None, of_x, None, None, None, *of_originals, *of_parameters


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def of_samples(rows: Tensor, factor: Tensor) -> Tensor:
    """``(N, …)`` times each sample's factor; a sample has as many of the rows as the others."""
    return (rows.view(len(factor), -1, rows.shape[-1]) * factor.view(-1, 1, 1)).view(rows.shape)


def plus(output: Tensor, one: Tensor, other: Tensor, scale: float, *, over: bool) -> Tensor:
    """``output + scale · one @ other`` in one kernel."""
    return output.addmm_(one, other, alpha=scale) if over else torch.addmm(output, one, other, alpha=scale)


def product(one: Tensor, other: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """``scale · one @ other`` in one kernel."""
    return torch.addmm(one.new_empty(1), one, other, beta=0, alpha=scale, out=out)
