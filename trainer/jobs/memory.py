"""How much memory a run takes: on the device, or in the process where it trains on the CPU."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.host import Host

_EVERY = 1.0
"""Seconds; a reading is not repeated sooner, however often it is asked for."""
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Memory:
    """One reading, in bytes.

    Attributes:
        used: in use now: on the device by all programs, as its own tools show it; on the CPU by this process.
        most: the most since the run began.
        total: what there is in all.
        device: ``cuda`` or ``cpu``.
    """

    used: int
    most: int
    total: int
    device: str


class MemoryReader:
    """Reads the memory of one run. It never waits for the device: it reads counters on the CPU's side."""

    def __init__(self, host: Callable[[], Host | None], clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        host: whose device it is; None until a host exists; until then readings are None.
        """
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()
        self._moment = -math.inf
        self._latest: Memory | None = None
        self._most = 0

    def begin(self) -> None:
        """Count the most from here on: a run begins."""
        self._most = 0
        torch, host = sys.modules.get("torch"), self._host()
        if torch is not None and host is not None and host.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(host.device)

    def read(self) -> Memory | None:
        """The latest reading, at most a second old; None where nothing can be read."""
        if self._lock.acquire(blocking=False):  # a caller who comes while another one reads gets the last reading
            try:
                if self._clock() - self._moment >= _EVERY:
                    self._moment = self._clock()
                    self._latest = self._look()
            finally:
                self._lock.release()
        return self._latest

    def _look(self) -> Memory | None:
        torch, host = sys.modules.get("torch"), self._host()
        if torch is None or host is None:
            return None
        found = _of_card(torch, host.device) if host.device.type == "cuda" else _of_process()
        if found is None:
            return None
        used, most, total, device = found
        self._most = max(self._most, most)
        return Memory(used, self._most, total, device)


def _of_card(torch: Any, device: Any) -> tuple[int, int, int, str]:
    free, total = torch.cuda.mem_get_info(device)
    used = total - free
    # Other programs' share is taken as it is now; ours was once this much more than it is now.
    most = used + torch.cuda.max_memory_reserved(device) - torch.cuda.memory_reserved(device)
    return used, min(most, total), total, "cuda"


def _of_process() -> tuple[int, int, int, str] | None:
    try:
        lines = _STATUS.read_text("ascii").splitlines()
        (resident,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):  # only Linux has that file
        return None
    return resident, resident, total, "cpu"
