"""What a backward pass needs and is cheap to compute is computed again there instead of being kept.

Norms and gates make more than a third of what a U-Net's step keeps, and hardly any of its work. Within
:func:`recomputing`, autograd is given the way to compute such a result in place of the result, which is let go as soon
as the forward pass has used it. The numbers are the same, bit for bit.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..config.settings import NO_SAVING, Settings
from .base import Bundle


class _Result:
    """One result, how it is computed, and how often the backward pass will ask for it."""

    def __init__(self, compute: Callable[[], Tensor]) -> None:
        self._compute = compute
        self._again: Tensor | None = None
        self.asked = 0

    def get(self) -> Tensor:
        """The result, computed once for all that ask one after the other, as queries, keys and values do."""
        again = self._again
        if again is None:
            with torch.no_grad():
                again = self._compute()
        self.asked -= 1
        self._again = again if self.asked > 0 else None
        return again


class _View:
    """What autograd holds in place of a tensor: a view of a result."""

    def __init__(self, result: _Result, like: Tensor) -> None:
        self._result = result
        self._shape = like.shape, like.stride(), like.storage_offset()
        result.asked += 1

    def get(self) -> Tensor:
        return self._result.get().as_strided(*self._shape)


class Results:
    """Results of a forward pass that can be computed again, by the memory they are in, as long as that lives."""

    def __init__(self) -> None:
        self._known: dict[int, _Result] = {}

    def note(self, result: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        """A result, unchanged; ``compute`` makes it once more from what lives until the backward pass anyway."""
        if result.requires_grad:
            storage = result.untyped_storage()
            key = storage._cdata
            self._known[key] = _Result(compute)
            weakref.finalize(storage, self._known.pop, key, None).atexit = False
        return result

    def stand_in(self, tensor: Tensor) -> StandIn | None:
        """What autograd may hold in place of a tensor; None if that is no noted result."""
        result = self._known.get(tensor.untyped_storage()._cdata)
        return None if result is None else _View(result, tensor)


class StandIn(Protocol):
    """What autograd holds in place of a tensor."""

    def get(self) -> Tensor:
        """The same numbers, on the same device."""


class _Source(Protocol):
    def stand_in(self, tensor: Tensor) -> StandIn | None: ...


@contextmanager
def standing_in(sources: Sequence[_Source]) -> Iterator[None]:
    """What autograd keeps of forward passes in the block is replaced by what a source has to stand in for it."""

    def packed(tensor: Tensor) -> Tensor | StandIn:
        found = (source.stand_in(tensor) for source in sources)
        return next((each for each in found if each is not None), tensor)

    def unpacked(kept: Tensor | StandIn) -> Tensor:
        return kept if isinstance(kept, Tensor) else kept.get()

    with saved_tensors_hooks(packed, unpacked):
        yield


def keeping_less(bundle: Bundle, settings: Settings) -> AbstractContextManager[None]:
    """Steps keep of the denoiser what the settings say, while the block lasts: it holds forward and backward passes."""
    if settings.use_gradient_checkpointing:
        return bundle.family.checkpointing(bundle)
    if settings.train_memory_saving == NO_SAVING:
        return nullcontext()
    return recomputing(bundle.denoiser, *([] if bundle.streamed is None else [bundle.streamed]))


@contextmanager
def recomputing(model: nn.Module, *more: _Source) -> Iterator[None]:
    """Norms of a model, and its gated units as diffusers has them, are computed again in backward passes.

    The block must last until the forward pass is over. A part that is checkpointed as a whole is not changed by it.

    Args:
        more: what else autograd need not keep.
    """
    results = Results()
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, nn.LayerNorm | nn.GroupNorm):
                stack.callback(module.register_forward_hook(_noting(results)).remove)
            elif type(module).__name__ == "GEGLU":
                module.forward = _gated(results, module)
                stack.callback(module.__dict__.pop, "forward")
        stack.enter_context(standing_in([results, *more]))
        yield


def _noting(results: Results) -> Callable[..., None]:
    def noted(module: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
        x = given[0].detach()
        results.note(made, lambda: type(module).forward(module, x))

    return noted


def _gated(results: Results, module: Any) -> Callable[..., Tensor]:
    """``a · gelu(b)``, where ``a`` and ``b`` are the halves of what its projection makes (Shazeer 2020)."""

    def forward(x: Tensor, *_args: Any, **_more: Any) -> Tensor:
        hidden, gate = module.proj(x).chunk(2, dim=-1)
        kept_hidden, kept_gate = hidden.detach(), gate.detach()
        opened = results.note(module.gelu(gate), lambda: module.gelu(kept_gate))
        return results.note(hidden * opened, lambda: kept_hidden * module.gelu(kept_gate))

    return forward
