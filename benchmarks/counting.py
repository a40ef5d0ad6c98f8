"""What a device is asked to do, counted without one: a pretended card whose tensors have shapes, types and lifetimes.

``torch`` registers the card as a backend that holds no numbers (``FakeTensorMode``); two modes see every operation. A
tensor of the card cannot be mixed with one of the host, as on a real card, and what a real card would make the host
wait for, or copy for it, is counted with the line of Trainyard's that asked for it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import Variable
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend
from torch.utils.flop_counter import flop_registry

from trainer.diffusion.random import StepRandom
from trainer.models.memory_trace import Form, Living, Results, flat

NAME = "card"
CODE = Path(__file__).resolve().parents[1] / "trainer"
_NOT_KERNELS = {
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "alias", "lift_fresh",
    "_unsafe_view", "_reshape_alias", "view_as_real", "record_stream", "is_pinned", "set_",
}  # fmt: skip
"""Operations that are no views and start nothing on a card all the same."""
_WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "_unique2"}
"""Operations whose result the host, or the next shape, needs: it waits for everything before them."""


@dataclass(frozen=True)
class Speed:
    """A card's: multiplications and additions a second in half precision, and bytes a second."""

    flops: float
    bytes: float


SPEEDS = {"H200": Speed(790e12, 4.3e12), "RTX 4090": Speed(165e12, 1.008e12), "RTX 3060": Speed(25.6e12, 0.36e12)}
"""The first as measured, a product of bf16 matrices and a copy; the others as their makers state, dense, with sums in
fp32."""


@dataclass
class Counts:
    """What was asked of the card.

    Attributes:
        kernels: how often each operation was started.
        flop: 2 for a multiplication with its addition; nothing but products and convolutions is counted.
        bytes: what the operations read and write, each operand once.
        work: of each operation, flop and bytes, for :meth:`seconds`.
        waits: the host waits until the card is done, by place.
        copies: from the host to the card, by place.
    """

    kernels: Counter[str] = field(default_factory=Counter)
    flop: int = 0
    bytes: int = 0
    work: Counter[tuple[int, int]] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)

    def seconds(self, speed: Speed) -> float:
        """The roofline: every operation takes as long as its arithmetic or its bytes, whichever is longer."""
        return sum(count * max(flop / speed.flops, size / speed.bytes) for (flop, size), count in self.work.items())


class Card:
    """The pretended card. One a process."""

    def __init__(self) -> None:
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
        self.device = torch.device(NAME, 0)
        # On a real card one kernel; a backend that has none of its own gets it in pieces.
        self._own = torch.library.Library("aten", "IMPL", "PrivateUse1")
        self._own.impl("silu_backward", lambda gradient, _x: torch.empty_like(gradient))
        self.living = Living()
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._counted: Counts | None = None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Computations in the block run on the card, or on a host that holds no numbers either."""
        with ExitStack() as stack:
            stack.enter_context(
                torch.autograd.set_multithreading_enabled(False)
            )  # an error in another ends the process
            stack.enter_context(mock.patch.object(StepRandom, "of_step", staticmethod(self._random)))
            for mode in (self._fake, _Operations(self), _Functions(self)):
                stack.enter_context(mode)
            yield

    @contextmanager
    def counted(self) -> Iterator[Counts]:
        """What is asked of the card in the block."""
        assert self._counted is None, "counted twice"
        self._counted = counts = Counts()
        self.living.restart()
        try:
            yield counts
        finally:
            self._counted = None

    def put(self, module: nn.Module) -> int:
        """Take a module of the meta device onto the card; its bytes."""
        before = self.living.now
        _change(module, self._of_meta)
        return self.living.now - before

    def put_on_host(self, module: nn.Module) -> None:
        """Take a module of the meta device into the memory of a host that holds no numbers either."""
        _change(module, lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))

    def put_away(self, module: nn.Module) -> int:
        """Take it off the card again; its bytes."""
        before = self.living.now
        _change(module, lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta"))
        return before - self.living.now

    def _of_meta(self, tensor: Tensor) -> Tensor:
        made = FakeTensor(self._fake, tensor.to("meta"), self.device)
        self.living.add(made)
        return made

    def new(self, form: Form) -> Tensor:
        """A tensor of the card."""
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            made = torch.empty_strided(*form[:2], dtype=form[3], device="meta")
            return FakeTensor(self._fake, made, self.device)

    def view(self, of: Tensor, form: Form) -> Tensor:
        """A tensor of the card that is part of another."""
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            made = torch.empty(0, dtype=form[3], device="meta")
            made.set_(of.untyped_storage(), form[2], *form[:2])
            return FakeTensor(self._fake, made, self.device)

    def _random(self, seed: int, step: int, _device: torch.device) -> StepRandom:
        return _NoRandom(seed, step, _NoGenerator())

    # ---- what is seen -----------------------------------------------------------------------------------------------

    def saw(self, func: Any, given: Any, made: Any, flop: Callable[[], int] | None = None) -> None:
        """An operation has been asked for."""
        if func is not _Attention and func.namespace == "prim":
            return
        results = [each for each in flat((made,)) if isinstance(each, Tensor)]
        operands = [each for each in flat(given) if isinstance(each, Tensor)]
        for each in results:
            if self._is_here(each):
                self.living.add(each)
        counts, name = self._counted, _name(func)
        if counts is None:
            return
        here = [self._is_here(each) for each in (*operands, *results)]
        if not any(here):
            return
        if not all(here) and name in ("_to_copy", "copy_"):
            to_card = self._is_here(results[0])
            (counts.copies if to_card else counts.waits)[_place()] += 1
            return
        if name in _WAITS:
            counts.waits[_place()] += 1
        if _is_free(func, name):
            return
        size = sum(_bytes(each) for each in {id(each): each for each in (*operands, *results)}.values())
        work = 0 if flop is None else flop()
        counts.kernels[name] += 1
        counts.flop += work
        counts.bytes += size
        counts.work[work, size] += 1

    def copied(self) -> None:
        """The host has copied something to the card where no operation shows it."""
        if self._counted is not None:
            self._counted.copies[_place()] += 1

    def _is_here(self, tensor: Tensor) -> bool:
        return tensor.device.type == NAME


def _change(module: nn.Module, make: Callable[[Tensor], Tensor]) -> None:
    """Give a module other tensors in the place of its own."""
    for owner in module.modules():
        for name, parameter in owner._parameters.items():
            if parameter is not None:
                owner._parameters[name] = nn.Parameter(make(parameter.data), parameter.requires_grad)
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                owner._buffers[name] = make(buffer)


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Checkpointing asks, though nothing uses it here."""
        return [torch.float16, torch.bfloat16]


class _NoGenerator(torch.Generator):
    """Stands where a generator has to: there is none for this card."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device(NAME, 0)


class _NoRandom(StepRandom):
    def of(self, step: int) -> StepRandom:
        return _NoRandom(self.seed, step, self.generator)


class _Operations(TorchDispatchMode):
    """Sees every operation below autograd, in the backward pass too."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self._card = card
        self._results = Results(card.device, card.new, card.view)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if _name(func) == "_local_scalar_dense" and getattr(args[0], "constant", args[0]) is None:
            self._card.saw(func, args, None)
            return 1.0 if args[0].is_floating_point() else 1
        if _name(func) == "_to_copy" and given.get("device", args[0].device).type == NAME != args[0].device.type:
            # The host's numbers are known, and would be looked for on the card.
            args = (torch.empty(args[0].shape, dtype=args[0].dtype), *args[1:])
        made = self._results.of(func, args, given)
        self._card.saw(func, (*args, *given.values()), made, lambda: _flop(func, args, given, made))
        return made


class _Functions(TorchFunctionMode):
    """Replaces what the card has no good answer for, and sees what becomes copies where no operation shows it."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self._card = card

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is Tensor.backward:
            with self:  # checkpointing computes forward passes again in there
                return _backward(args[0])
        if func is F.scaled_dot_product_attention and args[0].device.type == NAME:
            return _Attention.apply(self._card, *args[:3])
        if func is torch.tensor and torch.device(given.get("device") or "cpu").type == NAME:
            device = given.pop("device")
            return torch.tensor(*args, **given).to(device)
        if func is Tensor.__getitem__ and isinstance(args[1], list) and args[0].device.type == NAME:
            self._card.copied()  # the list becomes a tensor of the host, and that one of the card
            rows = torch.empty(len(args[1]), dtype=torch.int64, device=args[0].device)
            return func(args[0], rows)
        if isinstance(given.get("generator"), _NoGenerator):
            given.update(generator=None, device=self._card.device)
        return func(*args, **given)


def _backward(loss: Tensor) -> None:
    engine: Any = Variable._execution_engine
    with torch.no_grad():
        gradient = torch.ones_like(loss)
    engine.run_backward((loss,), (gradient,), False, False, (), allow_unreachable=True, accumulate_grad=True)


class _Attention(torch.autograd.Function):
    """One kernel that keeps queries, keys, values, the output and a number a row, and computes the scores again on the
    way back (Dao et al. 2022): 2.5 times the products of the way there."""

    @staticmethod
    def forward(ctx: Any, card: Card, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, rows)
        ctx.card = card
        card.saw(_Attention, (query, key, value), (output, rows), lambda: _flop_of_attention(query, key, value))
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *_ = kept = ctx.saved_tensors
        made = tuple(torch.empty_like(each) for each in (query, key, value))
        ctx.card.saw(_Attention, (*kept, *gradients), made, lambda: _flop_of_attention(query, key, value) * 5 // 2)
        return None, *made


def _flop_of_attention(query: Tensor, key: Tensor, value: Tensor) -> int:
    rows = query.shape[:-1].numel()
    return 2 * rows * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _name(func: Any) -> str:
    return "attention" if func is _Attention else func.overloadpacket.__name__


def _is_free(func: Any, name: str) -> bool:
    return func is not _Attention and (func.is_view or name in _NOT_KERNELS)


def _bytes(tensor: Tensor) -> int:
    """What is behind a tensor; numbers that are spread over a dimension are read once."""
    numbers = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        numbers *= size if stride else 1
    return numbers * tensor.element_size()


def _flop(func: Any, args: tuple[Any, ...], given: Mapping[str, Any], made: Any) -> int:
    counts: Callable[..., int] | None = flop_registry.get(func.overloadpacket)
    if counts is None and func.overloadpacket is torch.ops.aten.addmm_:
        counts = flop_registry[torch.ops.aten.addmm]
    return 0 if counts is None else int(counts(*args, **given, out_val=made))


def _place() -> str:
    """The innermost line of Trainyard's; empty in a backward pass."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(CODE):
            return f"{path.relative_to(CODE)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
