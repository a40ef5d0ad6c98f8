"""The page of its own: the tab, its routes and its server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Final

from ..config.settings import Settings
from ..errors import UserError
from ..paths import CHECKOUT
from .services.context import Desk

TITLE = "Trainyard"
VERSION: Final = "0.2.0"
"""Said in the description of the routes; the same as in pyproject.toml, and a tag of the repository."""
STYLE = CHECKOUT / "style.css"
SCRIPTS = CHECKOUT / "javascript"
HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"


def application(desk: Desk) -> Any:
    """The page with its routes, as a FastAPI application."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # off line, also while Gradio is imported
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, Response

    from .api import core, routes
    from .page import compat, tab

    app = FastAPI(
        title=TITLE, version=VERSION, docs_url=None, redoc_url=None, openapi_url=f"{core.PREFIX}/openapi.json"
    )
    routes.mount(app, desk)
    fresh = {"Cache-Control": "no-cache"}
    script = script_of(SCRIPTS)
    for name, answer in (
        ("style.css", lambda: FileResponse(STYLE, headers=fresh)),
        ("trainyard.js", lambda: Response(script, media_type="text/javascript", headers=fresh)),
    ):
        app.add_api_route(f"/trainyard/{name}", answer, include_in_schema=False, response_model=None)
    with compat.page(TITLE) as page:
        tab.build(desk)
    return compat.mount(app, page, _head())


def serve(desk: Desk, port: int) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: the port is taken.
    """
    address = EVERYWHERE if desk.guard.open_to_others else HERE
    _require_free(address, port)
    app = application(desk)
    import uvicorn

    where = "every address of this machine" if desk.guard.open_to_others else "this machine only"
    desk.advisor.on(Settings())  # torch is loaded meanwhile, not while somebody waits for the page
    print(f"Trainyard is at http://{HERE}:{port} (for {where}). Ctrl-C ends it.", flush=True)
    try:
        uvicorn.run(app, host=address, port=port, log_level="warning", timeout_graceful_shutdown=2)
    finally:
        desk.variations.close()
        desk.worker.close()


def _require_free(address: str, port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError as error:
            text = f"port {port} cannot be used ({error.strerror or error})"
            raise UserError(text, where="--port", do="Choose another, or end the program that has it") from error


def script_of(folder: Path) -> str:
    """All scripts of a folder in one, in the order of their names, which is the order a WebUI loads them in.

    One by one, Gradio 4 would run each when it happens to arrive.
    """
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.js")))


def _head() -> str:
    """Our files in the page's head; relative, so that the page may stand below any path."""
    return '<link rel="stylesheet" href="trainyard/style.css"><script src="trainyard/trainyard.js" defer></script>'
