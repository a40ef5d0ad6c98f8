"""The WebUIs Trainyard can be inside, and how it knows which one it is in."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .host import WebUI


class _Known(NamedTuple):
    """A WebUI that has all of these packages, and the adapter for it."""

    packages: tuple[str, ...]
    module: str
    name: str


_KNOWN = (  # the first that fits is it
    _Known(("backend", "modules_forge"), "forge", "Forge"),
    _Known(("ldm_patched", "modules_forge"), "forge", "ReForge"),
    _Known((), "a1111", "A1111"),
)


def make_webui() -> WebUI:
    """The adapter for the host around us; called when the first run begins, or the tab is opened."""
    fits = next(each for each in _KNOWN if all(map(importlib.util.find_spec, each.packages)))
    adapter = getattr(importlib.import_module(f".{fits.module}", __package__), fits.name)
    found: WebUI = adapter()
    return found
