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
    """What has parameters, uses them in one type, and uses copies where there are any: one of those whose rows it puts
    together."""

    computes_in: torch.dtype | None
    copies: dict[tuple[Tensor, ...], Tensor]

    def used_together(self) -> Iterator[tuple[nn.Parameter, ...]]: ...

    def forget(self) -> None: ...


@contextmanager
def copied(adapters: Sequence[Copied]) -> Iterator[None]:
    """Adapters use copies while the block lasts; then the parameters have what it added to their gradients.

    An adapter that has not been used yet has no copies: the type of its inputs is not known.
    """
    by_type: dict[tuple[torch.dtype, torch.dtype], list[tuple[Copied, tuple[nn.Parameter, ...]]]] = {}
    for adapter in adapters:
        for together in adapter.used_together():
            if adapter.computes_in not in (None, together[0].dtype):
                by_type.setdefault((together[0].dtype, adapter.computes_in), []).append((adapter, together))
    pairs = []
    for (_, dtype), group in by_type.items():
        for (adapter, together), copy in zip(group, _cast([each for _, each in group], dtype), strict=True):
            adapter.copies[together] = copy.requires_grad_(any(each.requires_grad for each in together))
            pairs.append((together, copy))
    try:
        yield
        _give_back(pairs)
    finally:
        for adapter in adapters:
            adapter.forget()


def _give_back(pairs: Sequence[tuple[tuple[nn.Parameter, ...], Tensor]]) -> None:
    """The gradients of copies, added to those of the parameters."""
    by_type: dict[tuple[torch.dtype, torch.dtype], list[tuple[nn.Parameter, Tensor]]] = {}
    for together, copy in pairs:
        if copy.grad is not None:
            rows = copy.grad.split([len(each) for each in together])
            by_type.setdefault((copy.dtype, together[0].dtype), []).extend(zip(together, rows, strict=True))
    for (_, dtype), group in by_type.items():
        wide = _cast([(gradient,) for _, gradient in group], dtype)
        for (parameter, _), gradient in zip(group, wide, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)


@torch.no_grad()
def _cast(matrices: Sequence[Sequence[Tensor]], dtype: torch.dtype) -> list[Tensor]:
    """Tensors of one type in another, each of the rows of those that are given together, in one kernel beside the one
    that puts all of them together."""
    together = torch.cat([each.reshape(-1) for matrix in matrices for each in matrix]).to(dtype)
    parts = together.split([sum(each.numel() for each in matrix) for matrix in matrices])
    return [part.view(-1, *matrix[0].shape[1:]) for part, matrix in zip(parts, matrices, strict=True)]
