"""Texts of loss logs and plots."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "reports.log_not_written": "The log cannot be written ({reason}). Make room, or choose another data folder.",
        "reports.unreadable": "It cannot be read ({reason}).",
        "reports.no_text": "It is no loss log: it is not text. Choose a CSV from the logs folder.",
        "reports.no_log": "It is no loss log: it has no row 'Step,Loss,…'. Choose a CSV from the logs folder.",
        "reports.too_large": "It is too large for a loss log (more than {most} MB). Choose a CSV from the logs folder.",
        "reports.too_many_rows": "It has more than {most:,} rows, which are not read. Choose another log.",
        "reports.nothing_to_draw": "There is nothing to draw. Choose the loss, the learning rate or both.",
    }
)
