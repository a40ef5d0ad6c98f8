"""Trainyard within a WebUI: its tab, its settings, its routes. The extension's script calls :func:`register`.

Nothing here may keep the host from starting, and the tab is always there: if something is missing, it says what.
"""

from __future__ import annotations

import html
import json
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..hosts.webui import api as webui_api
from ..hosts.webui import dependencies
from ..hosts.webui.reload import Reload
from ..text.console import tell
from ..text.language import language_of_machine
from ..text.messages import say

if TYPE_CHECKING:
    from .services.context import PageContext

TITLE, ID = "Trainyard", "trainyard"


def register() -> None:
    """Register everything with the host; called at its start and at each "Reload UI"."""
    extension = _Extension()
    webui_api.on_settings(extension.add_options)
    webui_api.on_tabs(extension.tabs)
    webui_api.on_reload(extension.reload)
    webui_api.on_started(extension.mount)


class _Extension:
    """Lives from one "Reload UI" to the next; the worker outlives it."""

    def __init__(self) -> None:
        self._context: PageContext | None = None

    def add_options(self) -> None:
        from .page import options

        options.add()

    def tabs(self) -> list[tuple[Any, str, str]]:
        try:
            require_packages()
            from .app import VERSION
            from .page import tab

            page = tab.page_in_host(self.context(), VERSION)
        except Exception as error:  # noqa: BLE001 - whatever it is, the tab says it
            from .page import notice

            page = notice.page(explained(error))
        return [(page, TITLE, f"{ID}_tab")]

    def mount(self, app: Any) -> None:
        """Add the routes; without them the tab itself says that the server does not answer."""
        webui_api.on_main_thread(self._hear_the_end)
        try:
            require_packages()
            from .api import core, routes
            from .app import VERSION

            self._reloads(Reload.end)
            routes.mount(app, self.context())
            core.describe_routes(app, self.context().access, TITLE, VERSION)
            if webui_api.option("continue_runs", False):
                self.context().worker.continue_broken_off()
        except Exception as error:  # noqa: BLE001 - the host has to start
            tell(say("web.no_routes", language_of_machine(), error=error), sys.stderr)

    def _hear_the_end(self) -> None:
        """Save a run when the host is ended. Its own handlers come afterwards; Reload UI changes nothing."""
        from ..jobs.ending import chain

        chain(_end_run)

    def reload(self) -> None:
        """A run has the host do nothing from now on until everything is there again."""
        if self._context is not None:
            self._reloads(Reload.begin)

    def _reloads(self, told: Callable[[Reload], None]) -> None:
        host: Any = self.context().worker.made_host
        if host is not None:
            told(host.reload)

    def context(self) -> PageContext:
        if self._context is None:
            self._context = _make_context()
        return self._context


def _end_run() -> None:
    from ..jobs.worker import the_held_worker

    worker = the_held_worker()
    if worker is not None and worker.is_running:
        print(say("web.ending", language_of_machine()), flush=True)
        worker.interrupt_and_wait()


def _make_context() -> PageContext:
    from ..hosts.webui.lists import HostLists
    from ..jobs.worker import held_worker
    from .api.webui_login import WebUILogin
    from .services.context import PageContext

    worker = held_worker(_worker)
    folders, login = worker.store.folders, WebUILogin.of_host()
    language, preset = webui_api.language(), str(webui_api.option("preset", "") or "")
    return PageContext(folders, HostLists(), worker, login, language, preset)


def _worker() -> Any:
    from ..hosts.webui.registry import make_webui
    from ..jobs.store import Store
    from ..jobs.worker import Worker

    return Worker(Store(webui_api.folders()), make_webui)


class LackError(Exception):
    """Packages are missing; the text names them as pip wants them."""


def require_packages() -> None:
    """Raises:
    LackError: a required package is missing.
    """
    packages = json.loads(dependencies.TABLE.read_text("utf-8"))["packages"]
    torch = dependencies.installed("torch") or ""
    lacks, _ = dependencies.find_lacks(packages, torch, dependencies.has_cuda(torch))
    missing = [lack.requirement for lack in lacks if lack.required]
    if missing:
        raise LackError(" ".join(f'"{each}"' for each in missing))


def explained(error: Exception) -> str:
    """What is wrong and how to fix it, as HTML."""
    language = webui_api.language()
    if isinstance(error, LackError):
        command = f"{sys.executable} -m pip install {error}"
        heading, told = say("web.packages_missing", language), say("web.packages_missing_help", language)
        return f"<h3>{heading}</h3><p>{told}</p><pre>{html.escape(command)}</pre>"
    traceback.print_exception(error)
    heading, told = say("web.not_loaded", language), say("web.not_loaded_help", language)
    return f"<h3>{heading}</h3><p>{html.escape(f'{type(error).__name__}: {error}')}</p><p>{told}</p>"
