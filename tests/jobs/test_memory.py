"""The memory of a run: read at most once a second, of the card as its own counters say, else of this process."""

from __future__ import annotations

import resource
import sys
from types import SimpleNamespace

import pytest
import torch

from trainer.jobs.memory import Memory, MemoryReader

GIB = 2**30


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def host_on(device: str) -> SimpleNamespace:
    return SimpleNamespace(device=torch.device(device))


def test_nothing_is_read_before_there_is_a_host() -> None:
    reader = MemoryReader(lambda: None)
    reader.begin()
    assert reader.read() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the process does not tell")
def test_on_the_processor_it_is_what_the_process_takes() -> None:
    clock = Clock()
    reader = MemoryReader(lambda: host_on("cpu"), clock)  # type: ignore[arg-type, return-value]
    before = reader.read()
    assert before is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 0.2 * peak < before.used <= 1.01 * peak
    assert before.used < before.total
    held = torch.ones(100 * 2**20, dtype=torch.uint8)  # 100 MiB, written
    assert reader.read() is before  # less than a second has passed
    clock.now += 1
    with_it = reader.read()
    assert with_it is not None
    assert 90 * 2**20 < with_it.used - before.used < 200 * 2**20
    del held
    clock.now += 1
    after = reader.read()
    assert after is not None
    assert after.used < with_it.used <= after.most
    reader.begin()  # the run after it has its own
    clock.now += 1
    of_the_next = reader.read()
    assert of_the_next is not None
    assert of_the_next.most < with_it.used


def test_on_a_card_the_peak_is_what_others_hold_and_the_most_that_was_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    # 24 GiB, of which others hold 2; 5 are ours now, 9 were.
    asked = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (17 * GIB, 24 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _device: 9 * GIB)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    reader = MemoryReader(lambda: host_on("cuda:1"), Clock())  # type: ignore[arg-type, return-value]
    reader.begin()
    assert asked == [torch.device("cuda:1")]
    assert reader.read() == Memory(7 * GIB, 11 * GIB, 24 * GIB, "cuda")
