"""Copies of adapters' parameters in the type that they are used in, for one batch.

Parameters are kept in float32 as a rule and used in half precision. Cast one by one, forward and backward, they are a
fifth of the kernels of a step; so all of them are cast together before a batch, and their gradients after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn


class Copied(Protocol):
    """What has parameters, uses them in one type, and uses copies where there are any."""

    computes_in: torch.dtype | None
    copies: dict[Tensor, Tensor]

    def parameters(self) -> Iterator[nn.Parameter]: ...


@contextmanager
def copied(adapters: Sequence[Copied]) -> Iterator[None]:
    """Adapters use copies while the block lasts; then the parameters have what it added to their gradients.

    An adapter that has not been used yet has no copies: the type of its inputs is not known.
    """
    by_type: dict[tuple[torch.dtype, torch.dtype], list[tuple[Copied, nn.Parameter]]] = {}
    for adapter in adapters:
        for parameter in adapter.parameters():
            if adapter.computes_in not in (None, parameter.dtype):
                by_type.setdefault((parameter.dtype, adapter.computes_in), []).append((adapter, parameter))
    pairs = []
    for (_, dtype), group in by_type.items():
        parameters = [parameter for _, parameter in group]
        for (adapter, parameter), copy in zip(group, _cast(parameters, dtype), strict=True):
            adapter.copies[parameter] = copy.requires_grad_(parameter.requires_grad)
            pairs.append((parameter, copy))
    try:
        yield
        _give_back(pairs)
    finally:
        for adapter in adapters:
            adapter.copies.clear()


def _give_back(pairs: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """The gradients of copies, added to those of the parameters."""
    by_type: dict[tuple[torch.dtype, torch.dtype], list[tuple[nn.Parameter, Tensor]]] = {}
    for parameter, copy in pairs:
        if copy.grad is not None:
            by_type.setdefault((copy.dtype, parameter.dtype), []).append((parameter, copy.grad))
    for (_, dtype), group in by_type.items():
        wide = _cast([gradient for _, gradient in group], dtype)
        for (parameter, _), gradient in zip(group, wide, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)


@torch.no_grad()
def _cast(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Tensors of one type in another, in one kernel beside the one that puts them together."""
    together = torch.cat([each.reshape(-1) for each in tensors]).to(dtype)
    parts = together.split([each.numel() for each in tensors])
    return [part.view(each.shape) for part, each in zip(parts, tensors, strict=True)]
