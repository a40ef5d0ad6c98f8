"""The standalone page: the tab, its routes and its server."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from ..config.settings import Settings
from ..errors import UserError
from ..jobs.ending import KILLERS, heard
from ..paths import CHECKOUT
from .services.context import PageContext

TITLE = "Trainyard"
VERSION: Final = "0.2.0"
"""Shown in the description of the routes; the same as in pyproject.toml, and a tag of the repository."""
STYLE = CHECKOUT / "style.css"
SCRIPTS = CHECKOUT / "javascript"
_ANSWERS_TAKE = 2
"""Seconds in which answers that have begun may be finished at the end."""
HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"


def application(context: PageContext) -> Any:
    """The page with its routes, as a FastAPI application."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # off line, also while Gradio is imported
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, Response

    from .api import core, routes
    from .entrance import Entrance
    from .page import compat, tab

    app = FastAPI(title=TITLE, version=VERSION, docs_url=None, redoc_url=None, openapi_url=None)
    routes.mount(app, context)
    core.describe_routes(app, context.access, TITLE, VERSION)
    app.add_middleware(Entrance, access=context.access, language=context.language)
    fresh = {"Cache-Control": "no-cache"}
    script = script_of(SCRIPTS)
    for name, answer in (
        ("style.css", lambda: FileResponse(STYLE, headers=fresh)),
        ("trainyard.js", lambda: Response(script, media_type="text/javascript", headers=fresh)),
    ):
        app.add_api_route(f"/trainyard/{name}", answer, include_in_schema=False, response_model=None)
    with compat.page(TITLE) as page:
        tab.build(context, VERSION)
    return compat.mount(app, page, _head())


def serve(context: PageContext, port: int) -> int:
    """Serve the page until Ctrl-C, or until the program is asked to end otherwise. Returns the exit code.

    Raises:
        UserError: the port is taken.
    """
    address = EVERYWHERE if context.access.open_to_others else HERE
    _require_free(address, port)
    app = application(context)
    context.advisor.on(Settings())  # imports torch in the background, while nobody waits for the page
    print(_told_at_start(context, f"http://{HERE}:{port}"), flush=True)
    try:
        return _serve(app, address, port, context)
    finally:
        context.variations.close()
        context.captioning.close()
        context.data_room.close()
        context.worker.close()


def _serve(app: Any, address: str, port: int, context: PageContext) -> int:
    """Serve until a signal; a run is interrupted as soon as that comes, not when the last answer is out."""
    import uvicorn

    quiet = ExitStack()

    def hush() -> None:
        log = logging.getLogger("uvicorn.error")
        quiet.callback(setattr, log, "disabled", log.disabled)
        log.disabled = True

    class Server(uvicorn.Server):
        received = 0

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Then what still answers is cancelled, such as the stream of a page that is open; each prints a traceback.
            asyncio.get_running_loop().call_later(_ANSWERS_TAKE, hush)
            await super().shutdown(sockets)

        def handle_exit(self, number: int, frame: FrameType | None) -> None:
            self.received = number
            context.turns.close()
            if context.worker.interrupt():
                print(context.say("web.ending"), flush=True)
            super().handle_exit(number, frame)

    server = Server(
        uvicorn.Config(app, host=address, port=port, log_level="warning", timeout_graceful_shutdown=_ANSWERS_TAKE)
    )
    # Uvicorn hears Ctrl-C and SIGTERM, and sends itself what it has heard once more at its end.
    with quiet, suppress(KeyboardInterrupt), heard(lambda number: server.handle_exit(number, None)):
        server.run()
    return 128 + server.received if server.received in KILLERS else 0


def _told_at_start(context: PageContext, address: str) -> str:
    """Where the page is, and to whom; with the password if it was drawn, since nobody else knows it."""
    access, say = context.access, context.say
    if not access.open_to_others:
        return say("web.served_here", address=address)
    lines = [say("web.served_to_all", address=address), say("web.what_is_open")]
    if access.is_drawn:
        lines += [say("web.password_drawn", user=user, password=password) for user, password in access.accounts.items()]
    return "\n".join(lines)


def _require_free(address: str, port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError as error:
            raise UserError("web.port_taken", where="--port", port=port, reason=error.strerror or error) from error


def script_of(folder: Path) -> str:
    """All scripts of a folder as one, in the order of their names, which is the order a WebUI loads them in.

    Loaded one by one, Gradio 4 would run each as it arrives.
    """
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.js")))


def _head() -> str:
    """Our files in the page's head; relative, so that the page may stand below any path.

    Gradio 6 hides what flows over its container, which makes that the container that sticky columns stay within.
    """
    files = '<link rel="stylesheet" href="trainyard/style.css"><script src="trainyard/trainyard.js" defer></script>'
    return files + "<style>.gradio-container { overflow: clip !important; }</style>"
