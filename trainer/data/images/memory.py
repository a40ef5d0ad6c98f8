"""How much memory images take while they are decoded: by their pixels, since a small file may hold millions of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST_BYTES = 750_000_000
"""Of all images that are decoded at once; one that alone takes more is refused, or decoded smaller where it may be."""


class DecodingMemory:
    """Lets images be decoded together as long as there is room for all of them."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Wait until there is room for ``size`` bytes, or nobody else takes any; they are taken within the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size <= self._most)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
