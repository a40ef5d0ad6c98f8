"""Pages of docs/ whose tables are made from the code or from shipped files."""

from __future__ import annotations

from pathlib import Path

from ..paths import write_whole


def rewrite_below(mark: str, tables: str, page: Path) -> bool:
    """Write tables anew below a mark; what stands above it is written by hand. Returns whether anything has changed."""
    before = page.read_text("utf-8")
    by_hand, _, _ = before.partition(mark)
    after = f"{by_hand}{mark}{tables}"
    if after == before:
        return False
    write_whole(page, [after.encode("utf-8")], overwrite=True)
    return True
