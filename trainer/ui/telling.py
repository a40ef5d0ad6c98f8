"""Mistakes in the page's words."""

from __future__ import annotations

from ..errors import SettingsError, UserError


def told(error: UserError) -> str:
    """A mistake in words, one line for each setting it concerns."""
    if isinstance(error, SettingsError):
        return "\n".join(f"{problem}." for problem in error.problems)
    return str(error)
