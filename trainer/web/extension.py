"""Trainyard within a WebUI: its tab, its section of the settings, its routes. The script of the extension calls this.

Nothing here may keep the host from starting, and the tab is always there: if something is missing, it says what.
"""

from __future__ import annotations

import html
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

from ..hosts.webui import api as webui_api
from ..hosts.webui import dependencies

if TYPE_CHECKING:
    from .services.context import Desk

TITLE, ID = "Trainyard", "trainyard"


def register() -> None:
    """Register everything with the host; called at its start and at each "Reload UI"."""
    extension = _Extension()
    webui_api.on_settings(extension.add_options)
    webui_api.on_tabs(extension.tabs)
    webui_api.on_started(extension.mount)


class _Extension:
    """Between one "Reload UI" and the next; the worker outlives it."""

    def __init__(self) -> None:
        self._desk: Desk | None = None

    def add_options(self) -> None:
        from .page import options

        options.add()

    def tabs(self) -> list[tuple[Any, str, str]]:
        import gradio as gr

        try:
            require_packages()
            with gr.Blocks(analytics_enabled=False) as page:
                from .page import tab

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
            from .api import routes

            routes.mount(app, self.desk())
        except Exception as error:  # noqa: BLE001 - the host has to start
            print(f"Trainyard has no routes: {error}", file=sys.stderr)

    def desk(self) -> Desk:
        if self._desk is None:
            self._desk = _desk()
        return self._desk


def _desk() -> Desk:
    from ..hosts.webui.lists import HostLists
    from ..jobs.worker import held_worker
    from .api.webui_login import HostGuard
    from .services.context import Desk

    worker = held_worker(_worker)
    folders, guard = worker.store.folders, HostGuard.of_host()
    return Desk(folders, HostLists(), worker, guard, webui_api.language(), str(webui_api.option("preset", "") or ""))


def _worker() -> Any:
    from ..hosts.webui.registry import make_webui
    from ..jobs.store import Store
    from ..jobs.worker import Worker

    return Worker(Store(webui_api.folders()), make_webui)


class LackError(Exception):
    """Packages are missing; the text names them as pip wants them."""


def require_packages() -> None:
    """Raises:
    LackError: something is missing without which nothing works.
    """
    packages = json.loads(dependencies.TABLE.read_text("utf-8"))["packages"]
    torch = dependencies.installed("torch") or ""
    lacks, _ = dependencies.find_lacks(packages, torch, dependencies.is_forge(), dependencies.has_cuda(torch))
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
