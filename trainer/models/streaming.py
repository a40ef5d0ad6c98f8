"""Weights that wait in the CPU's memory, and are copied to the device block by block while the one before computes.

A denoiser computes its blocks one after the other, there and back again in the backward pass, so at any time the device
holds the weights of one block and those of the next. Which one is next is learned from what came after the same two
blocks before: it is the same in every step. Copies have tensors of their own, so whatever still needs one keeps it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

AT_ONCE = 3
"""Blocks whose weights are on a card at most: the one that computes, the next, and one that has not ended."""
_LEAST = 128 * 2**10
"""Bytes; a smaller tensor stays on the device, since starting its copy would take longer than the copy."""


class _Weight:
    """One tensor of a block: at home in the CPU's memory, copied to the device and let go of again."""

    def __init__(self, held: dict[str, Any], name: str) -> None:
        self._held, self._name = held, name
        self.home: Tensor = held[name]

    @property
    def bytes(self) -> int:
        return self.home.numel() * self.home.element_size()

    @property
    def now(self) -> Tensor:
        tensor: Tensor = self._held[self._name]
        return tensor

    def pin(self) -> None:
        """Into memory that a card can read while the CPU does something else."""
        pinned = self.home.detach().contiguous().pin_memory()
        self.home = nn.Parameter(pinned, requires_grad=False) if isinstance(self.home, nn.Parameter) else pinned
        self.put_back()

    def fetch(self, device: torch.device) -> None:
        copy = self.home.detach().to(device, non_blocking=True, copy=True)
        is_parameter = isinstance(self.home, nn.Parameter)
        self._held[self._name] = nn.Parameter(copy, requires_grad=False) if is_parameter else copy

    def put_back(self) -> None:
        self._held[self._name] = self.home

    def take_out(self) -> None:
        self._held[self._name] = None


def _weights_of(block: nn.Module) -> list[_Weight]:
    held = (
        (each, name) for module in block.modules() for each in (module._parameters, module._buffers) for name in each
    )
    weights = [_Weight(each, name) for each, name in held if each[name] is not None]
    return [each for each in weights if each.bytes >= _LEAST]


def streamed_bytes(blocks: Iterable[nn.Module]) -> tuple[int, int]:
    """The bytes that wait in the CPU's memory, and how many of them are on the device at once."""
    sizes = [sum(each.bytes for each in _weights_of(block)) for block in blocks]
    return sum(sizes), min(sum(sizes), AT_ONCE * max(sizes, default=0))


class _Block:
    def __init__(self, block: nn.Module) -> None:
        self.weights = _weights_of(block)
        self.is_here = False
        self.copied: Any = None
        """The event of its copy, on a card."""


class _Kept:
    """What autograd holds in place of a streamed weight: where to have it from."""

    def __init__(self, streamed: Streamed, block: _Block, weight: _Weight, like: Tensor) -> None:
        self._streamed, self._block, self._weight = streamed, block, weight
        self._shape = like.shape, like.stride(), like.storage_offset()

    def get(self) -> Tensor:
        self._streamed.use(self._block)
        return self._weight.now.detach().as_strided(*self._shape)


class Streamed:
    """Blocks of a model whose weights are on a device only while they are used.

    Args:
        blocks: modules in the CPU's memory, none within another, none of them trained.
        device: where they compute.
    """

    def __init__(self, blocks: Sequence[nn.Module], device: torch.device) -> None:
        self._device = device
        self._blocks = [_Block(each) for each in blocks]
        self._is_card = device.type == "cuda"
        if self._is_card:
            for weight in self._weights():
                weight.pin()
        self._copying = torch.cuda.Stream(device) if self._is_card else None
        self._unfinished: deque[Any] = deque()
        self._here: dict[int, tuple[_Block, _Weight]] = {}
        self._before: _Block | None = None
        self._current: _Block | None = None
        self._after: dict[tuple[_Block | None, _Block | None], _Block] = {}
        self._hooks = [
            module.register_forward_pre_hook(lambda _module, _given, block=block: self.use(block))
            for module, block in zip(blocks, self._blocks, strict=True)
        ]

    def close(self) -> None:
        """Leave the blocks as modules in the CPU's memory."""
        self.put_back()
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def put_back(self) -> None:
        """Let go of what is on the device, until it is used again."""
        if self._copying is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._copying)
        for block in self._blocks:
            if block.is_here:
                self._let_go(block)
        self._unfinished.clear()
        self._before = self._current = None

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        """The model is without the weights in the block, so that the rest of it can be moved."""
        for weight in self._weights():
            weight.take_out()
        try:
            yield
        finally:
            for weight in self._weights():
                weight.put_back()

    def stand_in(self, tensor: Tensor) -> _Kept | None:
        """What autograd may hold in place of a tensor; None if it is no streamed weight."""
        found = self._here.get(tensor.untyped_storage()._cdata)
        return None if found is None else _Kept(self, *found, tensor)

    def use(self, block: _Block) -> None:
        """Have a block's weights on the device, and those of the block that will be used after it on their way."""
        if block is self._current:
            return
        self._after[self._before, self._current] = block
        self._before, self._current = self._current, block
        following = self._after.get((self._before, block))
        for each in self._blocks:
            if each.is_here and each is not block and each is not following:
                self._let_go(each)
        self._fetch(block)
        if self._copying is not None:
            main = torch.cuda.current_stream(self._device)
            main.wait_event(block.copied)
            for weight in block.weights:
                weight.now.record_stream(main)
        if following is not None:
            self._fetch(following)

    # ---- one block --------------------------------------------------------------------------------------------------

    def _fetch(self, block: _Block) -> None:
        if block.is_here:
            return
        if self._copying is None:
            self._copy(block)
        else:
            while len(self._unfinished) > 1:  # or the host runs ahead, and every block it passes takes memory
                self._unfinished.popleft().synchronize()
            with torch.cuda.stream(self._copying):
                self._copy(block)
                block.copied = self._copying.record_event()
        block.is_here = True

    def _copy(self, block: _Block) -> None:
        for weight in block.weights:
            weight.fetch(self._device)
            self._here[weight.now.untyped_storage()._cdata] = block, weight

    def _let_go(self, block: _Block) -> None:
        for weight in block.weights:
            del self._here[weight.now.untyped_storage()._cdata]
            weight.put_back()
        block.is_here, block.copied = False, None
        if self._copying is not None:
            self._unfinished.append(torch.cuda.current_stream(self._device).record_event())

    def _weights(self) -> Iterator[_Weight]:
        return (weight for block in self._blocks for weight in block.weights)
