"""What a computation needs in memory, counted without doing it: it runs on the meta device, which holds no numbers.

Every tensor of such a computation has its shape and its type, and lives exactly as long as it would elsewhere: so its
peak is that of the real one, but for what kernels need inside and for what an allocator keeps.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
        self._results = _Results()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = self._results.of(func, args, kwargs or {})
        for each in tree_flatten(made)[0]:
            if isinstance(each, Tensor):
                self._count_one(each)
        return made


class _Results:
    """What operations on the meta device return: the same for the same operation on tensors of the same shapes.

    Most of them find a shape in Python, which takes most of a trace's time; and a model repeats its layers.
    """

    def __init__(self) -> None:
        self._known: dict[Any, _Known] = {}

    def of(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """``func(*args, **kwargs)``."""
        given = tree_flatten((args, dict(kwargs)))[0]
        key = (func, len(args), tuple(kwargs), *map(_described, given))
        try:
            known = self._known.get(key)
        except TypeError:  # something that cannot be a key
            return func(*args, **kwargs)
        if known is not None and known.is_the_first:
            return args[0]
        if known is not None and known.forms is not None:
            made = [form and torch.empty_strided(*form[:2], dtype=form[2], device=META) for form in known.forms]
            return tuple(made) if known.are_several else made[0]
        result = func(*args, **kwargs)
        if known is None:
            is_the_first = bool(args) and result is args[0] and key[3 : 3 + len(given)] == tuple(map(_described, given))
            forms = None if is_the_first or func._schema.is_mutable else _forms_of_new(result, given)
            self._known[key] = _Known(is_the_first, forms, isinstance(result, tuple))
        return result


_Form = tuple[torch.Size, tuple[int, ...], torch.dtype]


@dataclass(frozen=True)
class _Known:
    """What an operation returned.

    Attributes:
        is_the_first: its first argument, changed in place.
        forms: tensors with memory of their own, of these shapes, strides and types, and None where there was none;
            None if it was anything else, such as a view.
        are_several: whether it was a tuple.
    """

    is_the_first: bool
    forms: list[_Form | None] | None
    are_several: bool


def _described(given: Any) -> Any:
    if isinstance(given, Tensor):
        return given.shape, given.stride(), given.dtype, given.device, given.storage_offset()
    return type(given), given


def _forms_of_new(result: Any, given: Sequence[Any]) -> list[_Form | None] | None:
    taken = {each.untyped_storage()._cdata for each in given if isinstance(each, Tensor)}
    forms: list[_Form | None] = []
    for each in result if isinstance(result, tuple) else (result,):
        if each is None:
            forms.append(None)
            continue
        if not isinstance(each, Tensor) or each.device != META:
            return None
        storage = each.untyped_storage()
        if storage._cdata in taken or storage.nbytes() != each.numel() * each.element_size():
            return None
        taken.add(storage._cdata)
        forms.append((each.shape, each.stride(), each.dtype))
    return forms


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
        if func is torch.full and len(args) == 2 and isinstance(args[1], Tensor) and args[1].device == META:
            args = (args[0], 0.0)  # transformers 4.30 fills CLIP's mask with a tensor; which number is no matter
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
