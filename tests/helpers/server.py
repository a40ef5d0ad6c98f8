"""Routes served in a thread of their own and asked over real HTTP, as the page and other programs ask them."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from trainer.web.api.core import PREFIX
from trainer.web.services.access import TOKEN_HEADER


class Server:
    """Asks an application that is served at ``address``."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token

    def ask(self, path: str, body: Any = None, *, below: str = PREFIX, **headers: str) -> tuple[int, Any]:
        """Status and answer; with a body a POST with the token, unless the headers say otherwise."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", TOKEN_HEADER: self.token, **headers}
        request = urllib.request.Request(f"{self.address}{below}{path}", data, sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content, kind = answer.read(), answer.headers["Content-Type"]
                return answer.status, json.loads(content) if "json" in kind else content
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def get(self, path: str) -> Any:
        status, answer = self.ask(path)
        assert status == 200, answer
        return answer

    def post(self, path: str, body: Any = None) -> Any:
        status, answer = self.ask(path, {} if body is None else body)
        assert status == 200, answer
        return answer


@contextmanager
def served(app: FastAPI, token: str) -> Iterator[Server]:
    """The application at a free port of this machine, as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server has not started"
        time.sleep(0.01)
    try:
        yield Server(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", token)
    finally:
        server.should_exit = True
        thread.join(10)
