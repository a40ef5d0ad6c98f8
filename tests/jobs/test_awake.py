"""A machine is kept awake while a run goes on, and only then."""

from __future__ import annotations

import threading

import pytest

from trainer.jobs.awake import awake

CONTINUOUS, SYSTEM = 0x80000000, 0x00000001


def test_windows_is_told_at_the_beginning_and_at_the_end_by_the_same_thread() -> None:
    calls: list[tuple[int, int]] = []

    def set_state(flags: int) -> None:
        calls.append((flags, threading.get_ident()))

    def trained() -> None:
        with awake(set_state):
            assert [flags for flags, _ in calls] == [CONTINUOUS | SYSTEM]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained()
    assert [flags for flags, _ in calls] == [CONTINUOUS | SYSTEM, CONTINUOUS]
    assert len({thread for _, thread in calls}) == 1


def test_elsewhere_nothing_is_needed() -> None:
    with awake():
        pass
