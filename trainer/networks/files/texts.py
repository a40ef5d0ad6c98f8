"""Texts as the header of a file holds them. Hosts read values that start with ``{`` as JSON, and show the others."""

from __future__ import annotations


def plain(text: str) -> str:
    """Text on one line that no host takes for JSON and every file can hold."""
    line = one_line(text)
    return f" {line}" if line.startswith("{") else line


def one_line(text: str) -> str:
    """Text without line breaks, and without the halves of characters that names of files may have."""
    return " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
