"""Keeps the state of a run: written beside the job while it trains, and deleted when it is no longer needed.

The loop's thread only copies what it has to the CPU's memory; a thread of its own makes a file of it. A new state
takes the place of the older one, and one whose network is not finite is not written at all.
"""

from __future__ import annotations

import importlib.metadata
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config.schema import dump
from ..errors import OutputError
from ..job import Control, Done, Event, Job, Listener, Preview, Saved, Warned
from ..models.checkpoint.hashes import Hashing
from ..optim.values import Packed, unpacked
from ..paths import RunFiles, replace_whole
from ..text.messages import Message, message
from . import state
from .basis import Basis, BasisHashing
from .reporting import StepLogs
from .state import RunState, Summary

_NETWORK = "loop/network/"
_PACKAGES = ("torch", "pytorch-optimizer", "bitsandbytes", "transformers", "diffusers")


@dataclass(frozen=True)
class PassPosition:
    """Which pass of a run is trained.

    Attributes:
        number: counted from 1, of ``count``.
        steps: it has in all.
        earlier: the tensors of the networks of the passes before it.
        logs: of its steps.
    """

    number: int
    count: int
    steps: int
    earlier: Sequence[Mapping[str, Tensor]]
    logs: StepLogs


@dataclass(frozen=True)
class PassStart:
    """Where a pass that was broken off continues.

    Attributes:
        loop: what :func:`.loop.train` gave to be kept.
        log: the log of its steps, as far as they are done; empty if there was none.
    """

    loop: Mapping[str, Any]
    log: bytes

    @property
    def step(self) -> int:
        """The last step that was done."""
        return int(self.loop["step"])


@dataclass(frozen=True)
class _Snapshot:
    """A state in memory, which the run no longer changes."""

    summary: Summary
    content: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    log: tuple[Path, int] | None
    """The log, and how many of its bytes belong to the state."""

    def log_bytes(self) -> bytes:
        """Raises:
        OSError: the log cannot be read.
        """
        if self.log is None:
            return b""
        with self.log[0].open("rb") as file:
            return file.read(self.log[1])


class StateKeeper:
    """The state of one run.

    Args:
        taken_up: the state the run continues from; it is let go of when its pass begins.
    """

    def __init__(
        self, job: Job, files: RunFiles, device: torch.device, emit: Listener, taken_up: RunState | None
    ) -> None:
        self._job = job
        self._folders = files.folders
        self._path = files.state
        self._device = device
        self._made_on = made_on(device)
        self._emit_on = emit
        self._every = job.settings.state_every_minutes * 60
        self._last = time.monotonic()
        self._basis: Basis | None = None
        self._basis_hashing: BasisHashing | None = None
        self._model: tuple[Path, Hashing] | None = None
        self._taken_up = taken_up
        self.is_resumed = taken_up is not None
        """Whether the run continues another one of its job."""
        self._files: list[str] = list(taken_up.content["files"]) if taken_up else []
        self._held: _Snapshot | None = None
        self._thread: threading.Thread | None = None
        self._problem: Message | None = None
        self._told: set[str] = set()

    # ---- the run ----------------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Pass an event on, and note the file it tells of."""
        if isinstance(event, Saved | Preview):
            self._files.append(str(event.path))
        self._emit_on(event)

    def begin(self, basis: Basis) -> None:
        """Set what the run is made from; a state that is continued must be of the same.

        Raises:
            StateError: it is not.
        """
        self._basis = basis
        if self._taken_up is not None:
            difference = basis.difference(self._taken_up.content["basis"])
            if difference is not None:
                raise state.refused(difference)
            self._tell_what_differs(self._taken_up.content)

    def hash_files(self, model: Path | None, hashing: Hashing) -> None:
        """Read the files of the run in the background; ``hashing`` does so with the file ``model``."""
        assert self._basis is not None
        if self._every:
            self._model = None if model is None else (model, hashing)
            self._basis_hashing = BasisHashing(self._basis, without=model)
            self._basis_hashing.start()

    def _tell_what_differs(self, content: Mapping[str, Any]) -> None:
        now, before = self._made_on, content["made_on"]
        others = [f"{name} {made}" for name, made in before.items() if now.get(name) != made]
        if others:
            self._emit_on(Warned("engine.state_made_elsewhere", others=others))
        if content["left_out"]:
            self._emit_on(Warned("engine.state_not_exact", parts=content["left_out"]))
        gone = [Path(path).name for path in self._files if not Path(path).exists()]
        if gone:
            self._emit_on(Warned("engine.state_files_gone", files=gone))

    def close(self) -> None:
        """Wait for what is being written."""
        if self._basis_hashing is not None:
            self._basis_hashing.cancel()
        self._join()
        self._tell()

    # ---- what is continued ------------------------------------------------------------------------------------------

    def earlier(self, number: int) -> Mapping[str, Tensor] | None:
        """The network of an earlier pass, of which nothing is left to train; None for a pass that is trained.

        Args:
            number: the pass, counted from 1.
        """
        if self._taken_up is None or number >= self._taken_up.summary.pass_number:
            return None
        kept = self._taken_up.content["earlier"][number - 1]
        found: Mapping[str, Tensor] | None = unpacked(kept, self._taken_up.tensors, torch.device("cpu"))
        return found

    def start_of(self, number: int) -> PassStart | None:
        """Where a pass continues; None if it starts anew. The state is let go of."""
        given = self._taken_up
        if given is None or number != given.summary.pass_number:
            return None
        self._taken_up = None
        loop = unpacked(given.content["loop"], given.tensors, self._device)
        return PassStart(loop, given.tensors["log"].numpy().tobytes())

    # ---- what is kept -----------------------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether a state should be written, and none is being written."""
        if not self._every or time.monotonic() - self._last < self._every:
            return False
        return self._thread is None or not self._thread.is_alive()

    def of_pass(self, where: PassPosition) -> PassKeeper:
        """What the loop of a pass keeps its position by."""
        return PassKeeper(self, where)

    def keep(self, where: PassPosition, loop: Mapping[str, Any]) -> None:
        """Copy a state, and write it in the background. ``loop`` is free to change when this returns."""
        snapshot = self._snapshot(where, loop)
        if snapshot is None:
            return
        self._join()
        self._tell()
        self._look_at_model()
        self._held = None
        self._thread = threading.Thread(target=self._write, args=(snapshot,), name="trainyard-state", daemon=True)
        self._thread.start()
        self._last = time.monotonic()

    def hold(self, where: PassPosition, loop: Mapping[str, Any]) -> None:
        """Copy a state, to be written should the run end other than well; see :meth:`write_held`."""
        self._held = self._snapshot(where, loop)

    def write_held(self) -> None:
        """Write what was held last, and wait for it."""
        held, self._held = self._held, None
        if held is not None:
            self._join()
            self._write(held)
            self._tell()

    def ended(self, done: Done, control: Control) -> None:
        """Write the last state of a run that may go on, or delete that of one that will not."""
        self._look_at_model()
        if done.stopped and (control.asked_to_save or not control.asked_to_stop):
            self.write_held()
        else:
            self.remove()

    def remove(self) -> None:
        """Delete the state, and those of earlier runs of the job: it is done, or not wanted any more."""
        self._held = None
        self._join()
        for path in dict.fromkeys([self._path, *state.left_by(self._job, self._folders)]):
            try:
                state.remove(path)
            except OSError as error:
                self._emit_on(Warned("engine.state_not_removed", path=path, reason=error.strerror or error))

    def _snapshot(self, where: PassPosition, loop: Mapping[str, Any]) -> _Snapshot | None:
        if not self._every:
            return None
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        packed = Packed(self._device)
        try:
            content = {
                "loop": packed.pack(dict(loop), "loop"),
                "earlier": packed.pack(list(where.earlier), "earlier"),
                "files": list(self._files),
                "made_on": self._made_on,
                "left_out": packed.left_out,
            }
        except (RuntimeError, MemoryError) as error:
            self._emit_on(Warned("engine.state_not_written", reason=error))
            return None
        job, step = self._job, int(loop["step"])
        found = Summary(job.id, job.name, job.created, step, where.steps, where.number, where.count)
        return _Snapshot(found, content, packed.tensors, where.logs.written())

    def _write(self, snapshot: _Snapshot) -> None:
        try:
            network = [tensor for name, tensor in snapshot.tensors.items() if name.startswith(_NETWORK)]
            if not all(bool(tensor.isfinite().all()) for tensor in network):
                return  # the loop is about to notice; the older state is the last one that is worth something
            assert self._basis is not None
            content = {**snapshot.content, "basis": self._basis.content(self._hashes())}
            log = torch.from_numpy(np.frombuffer(snapshot.log_bytes(), np.uint8).copy())
            tensors = {**snapshot.tensors, "log": log}
            replace_whole(self._path, state.pieces(snapshot.summary, dump(self._job.settings), content, tensors))
        except OutputError as error:
            self._problem = message("engine.state_not_written", reason=error.whole)
        except (RuntimeError, MemoryError, OSError, ValueError) as error:
            self._problem = message("engine.state_not_written", reason=error)

    def _hashes(self) -> dict[str, str]:
        found = dict(self._basis_hashing.hashes) if self._basis_hashing is not None else {}
        hashes = self._model[1].so_far if self._model is not None else None
        if self._model is not None and hashes is not None:
            found[str(self._model[0])] = hashes.sha256
        return found

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _tell(self) -> None:
        """Report what went wrong in the thread, each thing once."""
        problem, self._problem = self._problem, None
        if problem is not None:
            self._tell_once(problem)

    def _look_at_model(self) -> None:
        """Report files of the model that are no longer what they were when the run began."""
        for name in self._basis.changed_meanwhile() if self._basis is not None else ():
            self._tell_once(message("engine.model_changed", file=name))

    def _tell_once(self, told: Message) -> None:
        if str(told) not in self._told:
            self._told.add(str(told))
            self._emit_on(Warned(told))


class PassKeeper:
    """The state keeper, as the loop of one pass sees it; see :class:`.loop.Keeping`."""

    def __init__(self, keeper: StateKeeper, where: PassPosition) -> None:
        self._keeper = keeper
        self._where = where

    @property
    def is_due(self) -> bool:
        return self._keeper.is_due

    def keep(self, position: Mapping[str, Any]) -> None:
        self._keeper.keep(self._where, position)

    def hold(self, position: Mapping[str, Any]) -> None:
        self._keeper.hold(self._where, position)


def made_on(device: torch.device) -> dict[str, str]:
    """What the exact numbers of a run depend on beside its job: the processor and the versions of the libraries."""
    found = {"device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type}
    if device.type == "cpu":
        found |= {"processor": platform.machine(), "threads": str(torch.get_num_threads())}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
