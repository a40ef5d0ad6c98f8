"""Who works when several ask at once."""

from __future__ import annotations

import threading
import time

import pytest

from trainer.errors import UserError
from trainer.web.services.turns import Turns


def test_who_came_last_goes_first_and_nobody_is_left_out() -> None:
    turns, done, asked = Turns(), list[str](), list[threading.Thread]()

    def ask(name: str) -> None:
        with turns.one() as wait:
            done.append(f"{name} 1")
            wait()
            done.append(f"{name} 2")

    with turns.one() as wait:
        for number, name in enumerate(("old", "new"), 2):
            asked.append(threading.Thread(target=ask, args=(name,), daemon=True))
            asked[-1].start()
            while len(turns._here) < number:
                time.sleep(0.001)
        assert done == []  # one at a time
        wait()
        assert done == ["new 1", "new 2", "old 1", "old 2"]
        done.append("first")
    for each in asked:
        each.join(10)
    assert done[-1] == "first"
    assert turns._here == []


def test_a_turn_that_fails_is_over() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), turns.one():
            raise ValueError("broken")
    with turns.one() as wait:
        wait()


def test_closing_ends_what_works_and_what_waits() -> None:
    turns, ended = Turns(), list[str]()

    def ask() -> None:
        try:
            with turns.one():
                ended.append("never")
        except UserError:
            ended.append("waiting")

    with turns.one() as wait:
        waiting = threading.Thread(target=ask, daemon=True)
        waiting.start()
        turns.close()
        waiting.join(10)
        with pytest.raises(UserError, match="ending"):
            wait()
    assert ended == ["waiting"]
