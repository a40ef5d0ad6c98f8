"""Who may use our routes within a WebUI: anyone who may open its page. Its own login does not cover our routes."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from ...hosts.webui import api as webui_api
from ..services.access import Access, RefusedError


class LoginNeededError(RefusedError):
    """The caller has to log in first."""

    status = 401


@dataclass(frozen=True)
class WebUILogin(Access):
    """As :class:`Access`; where the host asks for a login, the same login is needed here.

    Attributes:
        accounts: user -> password of those who may use the API; empty if it needs none.
        login: whether the page asks for a login.
    """

    accounts: dict[str, str] = field(default_factory=dict)
    login: bool = False

    @staticmethod
    def of_host() -> WebUILogin:
        """As strict as the host's own command line makes it."""
        return WebUILogin(
            open_to_others=webui_api.is_open_to_others(),
            accounts=_accounts(webui_api.flag("api_auth")),
            login=bool(webui_api.flag("gradio_auth") or webui_api.flag("gradio_auth_path")),
        )

    def reading(self, request: Request) -> None:
        if self._has_account(request):
            return
        super().reading(request)
        if self.login and not _is_logged_in(request):
            raise LoginNeededError("web.log_in_first")
        if not self.login and self.accounts and webui_api.is_interface_hidden():
            raise LoginNeededError("web.api_auth_needed")

    def changing(self, request: Request) -> None:
        if not self._has_account(request):
            super().changing(request)

    def _has_account(self, request: Request) -> bool:
        """Whether the request brings a name and a password that ``--api-auth`` knows."""
        kind, _, coded = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic" or not self.accounts:
            return False
        try:
            name, _, password = base64.b64decode(coded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        known = self.accounts.get(name)
        return known is not None and secrets.compare_digest(known.encode(), password.encode())


def _accounts(given: Any) -> dict[str, str]:
    """``"u1:p1,u2:p2"``, as the host reads it."""
    pairs = (each.strip().partition(":") for each in str(given or "").split(",") if ":" in each)
    return {name: password for name, _, password in pairs}


def _is_logged_in(request: Request) -> bool:
    """Whether Gradio knows the token in the caller's cookie. False if it cannot be checked."""
    tokens = getattr(request.app, "tokens", None)
    if not isinstance(tokens, dict):
        return False
    return any(value in tokens for name, value in request.cookies.items() if name.startswith("access-token"))
