"""Work on many files at once, given back in their order, that can be left at any moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 0.1
"""Seconds between two looks at whether to go on."""
_FAREWELL = 1.0
"""Seconds that threads have to end when nobody waits for their results any more."""


def in_order(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int, check: Callable[[], None] | None = None
) -> Iterator[tuple[Item, Result]]:
    """Each item with what ``work`` makes of it, in threads that keep no program alive.

    Args:
        check: called between results and while one is waited for; may raise to stop.
    """
    every = list(items)
    waiting = iter(enumerate(every))
    done: dict[int, Result | BaseException] = {}
    changed = threading.Condition()
    ended = False

    def run() -> None:
        while True:
            with changed:
                number, item = next(waiting, (-1, None))
                if ended or item is None:
                    return
            try:
                made: Result | BaseException = work(item)
            except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
                made = error
            with changed:
                done[number] = made
                changed.notify()

    count = min(workers, len(every))
    threads = [threading.Thread(target=run, name="trainyard-read", daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for number, item in enumerate(every):
            with changed:
                while number not in done:
                    changed.wait(_PATIENCE)
                    if check is not None and number not in done:
                        check()
                made = done.pop(number)
            if isinstance(made, BaseException):
                raise made
            yield item, made
    finally:
        with changed:
            ended = True
        for thread in threads:
            thread.join(_FAREWELL)
