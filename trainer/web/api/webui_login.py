"""Who may use our routes within a WebUI: whoever may open its page, since its own login does not cover our routes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from ...hosts.webui import api as webui_api
from ..services.access import Access, PasswordNeededError

TOKEN_COOKIE = "trainyard-token"
"""The page's token where a browser asks for an image, which takes no header; for reading alone."""


@dataclass(frozen=True)
class WebUILogin(Access):
    """As :class:`Access`; where the host asks for a login, the same login is needed here, and where its API asks for a
    password, the same password, except by the page itself.

    Attributes:
        login: whether the page asks for a login.
    """

    login: bool = False

    @staticmethod
    def of_host() -> WebUILogin:
        """As strict as the host's own command line makes it."""
        return WebUILogin(
            open_to_others=webui_api.is_open_to_others(),
            accounts=_accounts(webui_api.flag("api_auth")),
            login=bool(webui_api.flag("gradio_auth") or webui_api.flag("gradio_auth_path")),
        )

    @property
    def reads_by_token(self) -> bool:
        return bool(self.accounts) and not self.login

    def reading(self, request: Request) -> None:
        if self.has_account(request.headers):
            return
        super().reading(request)
        if self.login and not _is_logged_in(request):
            raise PasswordNeededError("web.log_in_first")
        if self.reads_by_token and not (self.has_token(request) or self._has_cookie(request)):
            raise PasswordNeededError("web.api_auth_needed")

    def _has_cookie(self, request: Request) -> bool:
        given = request.cookies.get(TOKEN_COOKIE, "")
        return secrets.compare_digest(given.encode(), self.token.encode())


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
