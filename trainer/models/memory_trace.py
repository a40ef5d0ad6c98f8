"""What a computation needs in memory, counted without doing it: it runs on the meta device, which holds no numbers.

Every tensor of such a computation has its shape and its type, and lives exactly as long as it would elsewhere: so its
peak is that of the real one, but for what kernels need inside and for what an allocator keeps.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Variable
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from ..diffusion.random import StepRandom

META = torch.device("meta")
SMALL = 32 * 2**20
"""Bytes of the largest block that glibc may keep when it is freed (``M_MMAP_THRESHOLD``, where it ends)."""


class Living:
    """The bytes of tensors that live, each memory once.

    Attributes:
        now: at the moment.
        peak: the most since :meth:`restart`.
        peak_small: how much of the peak was in blocks below :data:`SMALL`.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        """Args:
        known: tensors that are not counted.
        """
        self.now = self.peak = self.peak_small = self._now_small = 0
        self._not_counted = [tensor.untyped_storage() for tensor in known]  # kept, so that no other gets their address
        self._known: dict[int, Any] = dict.fromkeys(storage._cdata for storage in self._not_counted)

    def restart(self) -> None:
        """Find the peak from here on."""
        self.peak, self.peak_small = self.now, self._now_small

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def freed(_reference: object) -> None:
            del self._known[key]
            self._add(-size)

        self._known[key] = weakref.ref(storage, freed)
        self._add(size)
        if self.now > self.peak:
            self.restart()

    def _add(self, size: int) -> None:
        self.now += size
        self._now_small += size if abs(size) < SMALL else 0


class MemoryTrace:
    """A block in which computations on the meta device are counted.

    Random numbers are not drawn in it: what would hold them is on the meta device as well. Attention is taken to be
    computed in one kernel that never holds all scores, as it is on every device.

    Attributes:
        living: what lives.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        """Args:
        known: tensors that are there before, such as weights, which are not counted.
        """
        self.living = Living(known)
        self._counted = _Counted(self._count)
        self._on_meta = _OnMeta()

    def __enter__(self) -> MemoryTrace:
        self._counted.__enter__()
        self._on_meta.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._on_meta.__exit__(*error)
        self._counted.__exit__(*error)

    @staticmethod
    def backward(loss: Tensor) -> None:
        """``loss.backward()``, traced as well where checkpointing computes something again.

        The method itself is one that a mode for functions sees, and in which it is off: so the engine is asked.
        """
        engine: Any = Variable._execution_engine
        with torch.no_grad():
            gradient = torch.empty_like(loss)
        engine.run_backward((loss,), (gradient,), False, False, (), allow_unreachable=True, accumulate_grad=True)

    def _count(self, tensor: Tensor) -> None:
        if tensor.device == META:
            self.living.add(tensor)


def random_of_nothing(step: int = 1) -> StepRandom:
    """What a step draws from within a :class:`MemoryTrace`."""
    return _Nothing(0, step, _NoGenerator())


class _Nothing(StepRandom):
    def of(self, step: int) -> StepRandom:
        return random_of_nothing(step)


class _NoGenerator(torch.Generator):
    """Stands where a generator has to; there is no real one for this device."""

    device = META


class _Counted(TorchDispatchMode):
    """Shows every tensor that an operation makes, in the backward pass too."""

    def __init__(self, count: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._count_one = count

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_flatten(made)[0]:
            if isinstance(each, Tensor):
                self._count_one(each)
        return made


class _OnMeta(TorchFunctionMode):
    """Replaces what the meta device has no good answer for."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is F.scaled_dot_product_attention and args and args[0].device == META:
            return _Attention.apply(*args[:3])
        if isinstance(given.get("generator"), _NoGenerator):
            given.update(generator=None, device=META)
        return func(*args, **given)


class _Attention(torch.autograd.Function):
    """Keeps what flash attention keeps (Dao et al. 2022): queries, keys, values, the output and a number a row."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output

    @staticmethod
    def backward(ctx: Any, *_gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(each) for each in ctx.saved_tensors[:3])
