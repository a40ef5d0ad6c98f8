"""What stands before the whole page of its own: Gradio's routes for events, uploads and files, and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse

from .api.core import PREFIX, TooLargeError
from .services.access import Access, PasswordNeededError, RefusedError
from .services.uploads import MOST_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_JSON: Final = 10_000_000
"""Bytes of a body that is no file."""
_FILES = ("multipart/form-data", "application/octet-stream")
_NEVER_FRAMED = {"X-Frame-Options": "DENY", "Content-Security-Policy": "frame-ancestors 'none'"}
_ASK = {"WWW-Authenticate": 'Basic realm="Trainyard", charset="UTF-8"'}


class Entrance:
    """Middleware: lets in what :meth:`Access.entering` allows, bounds the size of what is sent, and keeps other sites
    from reading and framing the answers, whatever Gradio allows them. Websockets and streams pass as they are."""

    def __init__(self, app: ASGIApp, access: Access, language: str) -> None:
        self._app = app
        self._access = access
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._access.entering(headers, scope.get("method", "GET"))
            most = MOST_BYTES if headers.get("content-type", "").lower().startswith(_FILES) else MOST_JSON
            _refuse_announced(headers, most)
        except RefusedError as error:
            await self._refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._let_in(scope, receive, send, most)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        got, begun, too_large = 0, False, False

        async def bounded() -> Message:
            nonlocal got, too_large
            part = await receive()
            got += len(part.get("body", b""))
            if got > most:
                too_large = True
                return {"type": "http.disconnect"}  # whoever reads it stops
            return part

        async def answer(part: Message) -> None:
            nonlocal begun
            if too_large and not begun:
                return  # what the page says of a request that was cut off
            if part["type"] == "http.response.start":
                begun = True
                _close(MutableHeaders(scope=part))
            await send(part)

        try:
            await self._app(scope, bounded, answer)
        except Exception:
            if not too_large or begun:
                raise
        if too_large and not begun:
            await self._refuse(_too_large(most), scope, receive, send)

    async def _refuse(self, error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {**_NEVER_FRAMED, **(_ASK if isinstance(error, PasswordNeededError) else {})}
        said = error.text(self._language)
        if scope["path"].startswith(PREFIX):
            await JSONResponse({"error": said}, error.status, headers)(scope, receive, send)
        else:
            await PlainTextResponse(said, error.status, headers)(scope, receive, send)


def _refuse_announced(headers: Headers, most: int) -> None:
    size = headers.get("content-length", "")
    if size.isdecimal() and int(size) > most:
        raise _too_large(most)


def _too_large(most: int) -> TooLargeError:
    return TooLargeError("web.body_too_large", most=most // 1_000_000)


def _close(headers: MutableHeaders) -> None:
    """Nobody else's page may read the answer or show it in a frame."""
    for name in {each for each in headers if each.startswith("access-control-")}:
        del headers[name]
    headers["X-Frame-Options"] = "DENY"
    headers.append("Content-Security-Policy", _NEVER_FRAMED["Content-Security-Policy"])
