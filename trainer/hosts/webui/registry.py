"""The WebUIs that Trainyard can run in, and how it finds out which one it is."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .host import WebUI


class _Known(NamedTuple):
    """A WebUI that has all of these packages, and the class for it."""

    packages: tuple[str, ...]
    module: str
    name: str


_KNOWN = (  # the first that matches
    _Known(("backend", "modules_forge"), "forge", "Forge"),
    _Known(("ldm_patched", "modules_forge"), "forge", "ReForge"),
    _Known((), "a1111", "A1111"),
)


def make_webui() -> WebUI:
    """The WebUI we run in; called when the first run starts or the tab is opened."""
    fits = next(each for each in _KNOWN if all(map(importlib.util.find_spec, each.packages)))
    webui = getattr(importlib.import_module(f".{fits.module}", __package__), fits.name)
    found: WebUI = webui()
    return found
