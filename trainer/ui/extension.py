"""Trainyard within a WebUI: its tab, its section of the settings, its routes. The script of the extension calls this.

Nothing here may keep the host from starting, and the tab is always there: if something is missing, it says what.
"""

from __future__ import annotations

import html
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

from ..hosts import inside, needs

if TYPE_CHECKING:
    from .desk import Desk

TITLE, ID = "Trainyard", "trainyard"


def register() -> None:
    """Register everything with the host; called at its start and at each "Reload UI"."""
    extension = _Extension()
    inside.on_settings(extension.add_options)
    inside.on_tabs(extension.tabs)
    inside.on_started(extension.mount)


class _Extension:
    """Between one "Reload UI" and the next; the worker outlives it."""

    def __init__(self) -> None:
        self._desk: Desk | None = None

    def add_options(self) -> None:
        from . import options

        options.add()

    def tabs(self) -> list[tuple[Any, str, str]]:
        import gradio as gr

        try:
            require_packages()
            with gr.Blocks(analytics_enabled=False) as page:
                from . import tab

                tab.build(self.desk())
            # Else the host keeps what it first saw in a field as its default for ever.
            for component in page.blocks.values():
                component.do_not_save_to_config = True
        except Exception as error:  # noqa: BLE001 - whatever it is, the tab says it
            with gr.Blocks(analytics_enabled=False) as page:
                gr.HTML(explained(error))
        return [(page, TITLE, f"{ID}_tab")]

    def mount(self, app: Any) -> None:
        """Add the routes; without them the tab says by itself that nobody answers."""
        try:
            require_packages()
            from . import routes

            routes.mount(app, self.desk())
        except Exception as error:  # noqa: BLE001 - the host has to start
            print(f"Trainyard has no routes: {error}", file=sys.stderr)

    def desk(self) -> Desk:
        if self._desk is None:
            self._desk = _desk()
        return self._desk


def _desk() -> Desk:
    from ..hosts.lists import HostLists
    from ..queue import held_worker
    from .desk import Desk
    from .guard import HostGuard

    worker = held_worker(_worker)
    folders, guard = worker.store.folders, HostGuard.of_host()
    return Desk(folders, HostLists(), worker, guard, inside.language(), str(inside.option("preset", "") or ""))


def _worker() -> Any:
    from ..hosts.registry import make_webui
    from ..queue import Worker
    from ..store import Store

    return Worker(Store(inside.folders()), make_webui)


class LackError(Exception):
    """Packages are missing; the text names them as pip wants them."""


def require_packages() -> None:
    """Raises:
    LackError: something is missing without which nothing works.
    """
    packages = json.loads(needs.TABLE.read_text("utf-8"))["packages"]
    torch = needs.installed("torch") or ""
    lacks, _ = needs.find_lacks(packages, torch, needs.is_forge(), needs.has_cuda(torch))
    missing = [lack.requirement for lack in lacks if lack.required]
    if missing:
        raise LackError(" ".join(f'"{each}"' for each in missing))


def explained(error: Exception) -> str:
    """What is wrong and how to mend it, as HTML."""
    if isinstance(error, LackError):
        command = f"{sys.executable} -m pip install {error}"
        return (
            "<h3>Trainyard lacks packages</h3><p>They are installed when this WebUI starts; that did not work, and its "
            f"console says why. Install them with this command, then start the WebUI again:</p><pre>"
            f"{html.escape(command)}</pre>"
        )
    traceback.print_exception(error)
    told = f"{type(error).__name__}: {error}"
    return (
        f"<h3>Trainyard could not be loaded</h3><p>{html.escape(told)}</p>"
        "<p>What went wrong in full is on the console. Reload UI tries again.</p>"
    )
