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
        self._results = Results(META)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = self._results.of(func, args, kwargs or {})
        for each in flat((made,)):
            if isinstance(each, Tensor):
                self._count_one(each)
        return made


Form = tuple[torch.Size, tuple[int, ...], int, torch.dtype]
"""Shape, strides, offset and type of a tensor."""


class Results:
    """What operations on a device that holds no numbers return: the same for the same operation on tensors of the same
    shapes.

    Most of them find a shape in Python, which takes most of a trace's time; and a model repeats its layers.

    Args:
        device: whose tensors are known again.
        new: a tensor of a form with memory of its own.
        view: one of a form in the memory of another.
    """

    def __init__(
        self,
        device: torch.device,
        new: Callable[[Form], Tensor] = lambda form: torch.empty_strided(*form[:2], dtype=form[3], device=META),
        view: Callable[[Tensor, Form], Tensor] = lambda of, form: of.as_strided(*form[:3]),
    ) -> None:
        self._device, self._new, self._view = device, new, view
        self._known: dict[Any, _Known] = {}

    def of(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """``func(*args, **kwargs)``."""
        given = flat((args, *kwargs.values()))
        key = (func, len(args), tuple(kwargs), *map(_described, given))
        try:
            known = self._known.get(key)
        except TypeError:  # something that cannot be a key
            return func(*args, **kwargs)
        if known is not None and known.is_the_first:
            return args[0]
        if known is not None and known.forms is not None:
            made = [
                form and (self._view(args[0], form) if known.are_views else self._new(form)) for form in known.forms
            ]
            return made[0] if known.container is None else known.container(made)
        result = func(*args, **kwargs)
        if known is None:
            self._known[key] = self._learned(func, args, given, key[3:], result)
        return result

    def _learned(self, func: Any, args: tuple[Any, ...], given: Sequence[Any], before: Any, result: Any) -> _Known:
        results = result if isinstance(result, tuple | list) else (result,)
        if not all(each is None or (isinstance(each, Tensor) and each.device == self._device) for each in results):
            return _Known()
        if func._schema.is_mutable:
            return _Known(is_the_first=bool(args) and result is args[0] and before == tuple(map(_described, given)))
        container = type(result) if isinstance(result, tuple | list) else None
        forms, tensors = list(map(_form_of, results)), [each for each in results if each is not None]
        if func.is_view:
            first = args[0]
            same = all(each._cdata == first.untyped_storage()._cdata for each in map(_storage_of, tensors))
            alike = same and all(each.dtype == first.dtype for each in tensors)
            return _Known(forms=forms, container=container, are_views=True) if alike else _Known()
        taken = {_storage_of(each)._cdata for each in given if isinstance(each, Tensor)}
        for each in tensors:
            storage = _storage_of(each)
            if storage._cdata in taken or storage.nbytes() != each.numel() * each.element_size():
                return _Known()
            taken.add(storage._cdata)
        return _Known(forms=forms, container=container)


@dataclass(frozen=True)
class _Known:
    """What an operation returned; with nothing set, something that has to be found again.

    Attributes:
        is_the_first: its first argument, changed in place.
        forms: tensors of these forms, and None where there was none.
        container: what they were in; None: it was one tensor.
        are_views: of the first argument; otherwise they have memory of their own.
    """

    is_the_first: bool = False
    forms: list[Form | None] | None = None
    container: Callable[[list[Tensor | None]], Any] | None = None
    are_views: bool = False


def flat(given: Iterable[Any]) -> list[Any]:
    """What is in lists and tuples within each other, after the length of each."""
    found: list[Any] = []
    for each in given:
        if isinstance(each, list | tuple):
            found.append(len(each))
            found += flat(each)
        else:
            found.append(each)
    return found


def _described(given: Any) -> Any:
    if isinstance(given, Tensor):
        return given.shape, given.stride(), given.dtype, given.device, given.storage_offset()
    return type(given), given


def _form_of(tensor: Tensor | None) -> Form | None:
    return None if tensor is None else (tensor.shape, tensor.stride(), int(tensor.storage_offset()), tensor.dtype)


def _storage_of(tensor: Tensor) -> Any:
    return tensor.untyped_storage()


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
