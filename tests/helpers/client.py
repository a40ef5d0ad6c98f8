"""An application asked without a server between, from an address of one's choice."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient


class _From:
    """The test client of older hosts cannot say from which address it asks."""

    def __init__(self, app: FastAPI, address: str) -> None:
        self._app, self._address = app, address

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, "client": (self._address, 50000)}, receive, send)


def client_of(app: FastAPI, address: str = "127.0.0.1", *, base_url: str = "http://localhost") -> TestClient:
    """Asks ``app`` from ``address``, under the name in ``base_url``."""
    return TestClient(_From(app, address), base_url=base_url)
