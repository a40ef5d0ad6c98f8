"""Several processes that train one LoRA together, each on its own device: ``torchrun`` or ``accelerate launch`` starts
them.

A step is as long as before and has ``train_gradient_accumulation`` batches for each process: each takes its share of
them, and the gradients of all are added up, so every process takes the same step. What a batch is and which random
numbers it sees depends on the run's seed and the batch's number alone, so the LoRA is the one that a single process
trains with as many batches a step, up to the rounding of a sum in another order.

The first process writes files and talks; the others have folders of their own, which go when they end. Whatever could
be different in two of them is told to all: the job, the state that is continued, and whether to stop.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from ..config.settings import Settings
from ..errors import ProcessLostError
from ..job import Control
from ..modes.base import StepLoss
from ..paths import Folders

Value = TypeVar("Value")

_LONGEST_WAIT = timedelta(hours=1)
"""For another process that is there: making previews takes minutes. One that has ended is noticed at once."""


def are_several() -> bool:
    """Whether a launcher has started more than one process of this run."""
    return _number("WORLD_SIZE", 1) > 1


def own_device(wanted: str) -> str:
    """The device of this process: a card of its own machine for each, unless another kind of device is wanted."""
    if wanted in ("", "auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{_number('LOCAL_RANK', 0) % torch.cuda.device_count()}"
    return wanted


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


@dataclass
class Processes:
    """The processes of a run, from one of them.

    Attributes:
        number: of this one, from 0.
        count: of all.
        device: that it trains on.
        group: for what is in memory.
    """

    number: int
    count: int
    device: torch.device
    group: distributed.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and talks."""
        return self.number == 0

    def with_all(self, settings: Settings) -> Settings:
        """The settings of the whole run: each process takes as many batches a step as one alone would."""
        second = settings.second_pass
        return replace(
            settings,
            train_gradient_accumulation=settings.train_gradient_accumulation * self.count,
            second_pass=None if second is None else self.with_all(second),
        )

    def share_of(self, batches: Sequence[int]) -> Sequence[int]:
        """Those of a step's batches that are this process's, as even as can be; in the order of the processes."""
        first, last = (len(batches) * number // self.count for number in (self.number, self.number + 1))
        return batches[first:last]

    def same(self, value: Value | None) -> Value:
        """What the first process has; the others give None.

        Raises:
            ProcessLostError: it has ended.
        """
        held = [value]
        with self._told():
            distributed.broadcast_object_list(held, src=0, group=self.group)
        assert held[0] is not None
        return held[0]

    def same_numbers(self, tensors: Sequence[Tensor]) -> None:
        """Put what the first process has in these tensors into those of all."""
        with self._told(), torch.no_grad():
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def added_up(self, parameters: Sequence[nn.Parameter], first: int, count: int) -> tuple[int, int]:
        """Add the gradients of all processes up, in place, in one buffer.

        Args:
            first: what the losses' sum was divided by; 0 if the process had no batch.
            count: of its samples.

        Returns:
            The same two numbers for all processes together.
        """
        missing = tuple(number for number, each in enumerate(parameters) if each.grad is None)
        told: list[tuple[int, int, tuple[int, ...]]] = self._from_all((first, count, missing))
        divisor = next(each[0] for each in told if each[0])
        nowhere = set.intersection(*(set(each[2]) for each in told))
        shared = [each for number, each in enumerate(parameters) if number not in nowhere]
        if shared:
            given = [torch.zeros_like(each) if each.grad is None else each.grad for each in shared]
            wide = torch.promote_types(given[0].dtype, torch.float32)
            flat = torch.cat([gradient.to(wide).flatten() for gradient in given])
            if first not in (0, divisor):
                flat.mul_(first / divisor)
            with self._told():
                distributed.all_reduce(flat)
            for each, part in zip(shared, flat.split([each.numel() for each in shared]), strict=True):
                each.grad = part.view_as(each).to(each.dtype)
        return divisor, sum(each[1] for each in told)

    def losses_of_all(self, own: StepLoss | None) -> StepLoss:
        """The losses of a step's samples in all processes, in the order of its batches."""
        told = self._from_all((0, ()) if own is None else (len(own.samples), own.names))
        longest = max(length for length, _ in told)
        mine = torch.zeros(2, longest, device=self.device)
        if own is not None:
            mine[0, : len(own.samples)] = own.samples.float()
            mine[1, : len(own.samples)] = own.timesteps.float()  # below 2**24, so exact
        found = [torch.zeros_like(mine) for _ in told]
        with self._told():
            distributed.all_gather(found, mine)
        samples, timesteps = (
            torch.cat([each[row, :length] for each, (length, _) in zip(found, told, strict=True)]) for row in (0, 1)
        )
        return StepLoss(samples, timesteps.long(), tuple(name for _, names in told for name in names))

    def _from_all(self, value: Any) -> list[Any]:
        """What every process gives, in their order; from memory to memory, so no device is waited for."""
        found: list[Any] = [None] * self.count
        with self._told():
            distributed.all_gather_object(found, value, group=self.group)
        return found

    def asked(self, control: Control) -> tuple[bool, bool]:
        """Whether anybody has asked any process to stop, and whether to pause; all of them get the same answer."""
        buttons = control.asked_to_stop, control.asked_to_save, control.is_interrupted, control.asked_to_pause
        told = self._from_all(buttons)
        stopped = [each for each in told if each[0]]
        if stopped and not control.asked_to_stop:
            if any(each[2] for each in stopped):
                control.interrupt()
            elif all(each[1] for each in stopped):
                control.stop_and_save()
            else:
                control.stop()
        return bool(stopped), any(each[3] for each in told)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, EOFError) as error:
            raise ProcessLostError("engine.process_lost", number=self.number + 1, count=self.count) from error


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes that a launcher has started, connected while the block lasts.

    Args:
        device: of this one.

    Raises:
        ProcessLostError: they cannot be reached.
    """
    number, count = _number("RANK", 0), _number("WORLD_SIZE", 1)
    if not distributed.is_available():
        raise ProcessLostError("engine.processes_not_joined", count=count, reason="torch.distributed")
    own_card = device.type == "cuda" and _number("LOCAL_WORLD_SIZE", count) <= torch.cuda.device_count()
    backend = "cpu:gloo,cuda:nccl" if own_card and distributed.is_nccl_available() else "gloo"
    try:
        distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
        group = distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise ProcessLostError("engine.processes_not_joined", count=count, reason=error) from error
    try:
        yield Processes(number, count, device, group)
    finally:
        distributed.destroy_process_group()


@contextmanager
def folders_for(processes: Processes, folders: Folders) -> Iterator[Folders]:
    """The folders of this process: the first one's are the user's, the others' own are gone after the block.

    LoRAs are looked for in the user's; only the first process writes any.
    """
    if processes.is_first:
        yield folders
        return
    with tempfile.TemporaryDirectory(prefix="trainyard-process-", ignore_cleanup_errors=True) as own:
        yield replace(folders, data=Path(own))
