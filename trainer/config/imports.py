"""Importing libraries without advice that they give at every import, and that does not concern what runs here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ADVISER: Final = "bitsandbytes.backends.cpu.ops"
_ADVICE: Final = "kernels-community"


@contextmanager
def without_advice() -> Iterator[None]:
    """While bitsandbytes is imported, perhaps by diffusers: it is silent about a package that only models in 4 bits on
    some CPUs use. Whatever else it and others log is logged."""
    logger = logging.getLogger(_ADVISER)

    def wanted(record: logging.LogRecord) -> bool:
        return _ADVICE not in str(record.msg)

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
