"""Who may ask the routes.

Reading: this machine, or everybody if the page is open to others. Changing: anyone with the page's token, or with a
name and password that is known. The page of its own asks for more, whatever the route: see :meth:`Access.entering`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from ...errors import UserError
from ...text.messages import message

if TYPE_CHECKING:
    from fastapi import Request

TOKEN_HEADER = "X-Trainyard-Token"
USER = "trainyard"
"""Whose password it is that is drawn where none is given."""
_HERE = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d+)?")
_PORTS = {"http": 80, "https": 443}


class RefusedError(UserError):
    """A request that is not answered.

    Attributes:
        status: HTTP's code for the reason.
    """

    status: ClassVar[int] = 403


class PasswordNeededError(RefusedError):
    """The request lacks a name and a password that are known."""

    status = 401


@dataclass(frozen=True)
class Access:
    """The rules of one page.

    Attributes:
        names: of this machine beside its own, under which the page is reached.
        accounts: user -> password of those who may ask without the token.
        is_drawn: whether the password is one that nobody has been told yet.
    """

    open_to_others: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """The page carries it; another site's page in the same browser cannot read it."""
    names: tuple[str, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    is_drawn: bool = False

    @staticmethod
    def of_page(listen: bool, names: tuple[str, ...] = (), account: str = "") -> Access:
        """The rules of the page of its own, where nobody from elsewhere gets in without a password.

        Args:
            account: ``USER:PASSWORD``; if it is empty and others are let in, a password is drawn.

        Raises:
            UserError: the account lacks a name or a password.
        """
        user, _, password = account.partition(":")
        if account and not (user and password):
            raise UserError("web.not_an_account", where="--auth")
        is_drawn = listen and not account
        if is_drawn:
            user, password = USER, secrets.token_urlsafe(12)
        return Access(listen, names=names, accounts={user: password} if user else {}, is_drawn=is_drawn)

    def entering(self, headers: Mapping[str, str], method: str) -> None:
        """Whether a request to the page of its own gets in at all.

        Args:
            headers: by their names in lower case.
            method: HTTP's; GET for a websocket.

        Raises:
            RefusedError: it calls this machine by a foreign name (DNS rebinding), comes from another site's page, or
                lacks the password.
        """
        host = headers.get("host", "")
        if not self.is_own_name(host):
            raise RefusedError("web.foreign_name", name=host, option="--host-name")
        if not _is_of_this_page(headers, method):
            raise RefusedError("web.foreign_page", page=headers.get("origin") or message("web.another_site"))
        if self.accounts and not self.has_account(headers):
            raise PasswordNeededError("web.password_needed")

    def is_own_name(self, host: str) -> bool:
        """Whether a Host header names this machine; with others let in, every address does: only names can be rebound.

        The port does not matter: it is another one where it is forwarded.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").rstrip(".").lower()
        if name in _HERE or name in (each.lower() for each in self.names):
            return True
        return self.open_to_others and _is_address(name)

    def reading(self, request: Request) -> None:
        """Raises:
        RefusedError: the caller is not on this machine, or used a foreign name for it.
        """
        if self.open_to_others:
            return
        caller = request.client.host if request.client else ""
        is_here = caller in _HERE or bool(self.names)  # a proxy on this machine tells from where it was asked
        if not is_here or not self.is_own_name(request.headers.get("host", "")):
            raise RefusedError("web.this_machine_only")

    def changing(self, request: Request) -> None:
        """Raises:
        RefusedError: as for reading, or with neither the token nor a name and password that is known.
        """
        if self.has_account(request.headers):
            return
        self.reading(request)
        if not self.has_token(request):
            raise RefusedError("web.wrong_token", header=TOKEN_HEADER)

    def has_account(self, headers: Mapping[str, str]) -> bool:
        """Whether the request brings a name and a password that are known (HTTP Basic)."""
        kind, _, coded = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            given = base64.b64decode(coded)
        except (binascii.Error, ValueError):
            return False
        known = [f"{user}:{password}".encode() for user, password in self.accounts.items()]
        return sum(secrets.compare_digest(_digest(given), _digest(each)) for each in known) > 0  # all of them are tried

    def has_token(self, request: Request) -> bool:
        """Whether the request brings the page's token in its header."""
        given = request.headers.get(TOKEN_HEADER, "")
        return secrets.compare_digest(_digest(given.encode()), _digest(self.token.encode()))

    @property
    def reads_by_token(self) -> bool:
        """Whether the page needs its token for reading, too."""
        return False


def _digest(text: bytes) -> bytes:
    """All of one length, so that comparing takes the same time."""
    return hashlib.sha256(text).digest()


def _is_of_this_page(headers: Mapping[str, str], method: str) -> bool:
    """Whether no browser says that another site's page asks; a link from there may open the page."""
    origin = headers.get("origin")
    if origin is not None:
        scheme, _, _ = origin.partition("://")
        place = _place(origin)
        return place is not None and place == _place(f"{scheme}://{headers.get('host', '')}")
    is_opened = method == "GET" and headers.get("sec-fetch-dest") == "document"
    return is_opened or headers.get("sec-fetch-site") not in ("cross-site", "same-site")


def _place(origin: str) -> tuple[str, int] | None:
    """Name and port of ``http://name:port``; None of what is no such thing, ``null`` among it."""
    try:
        parts = urlsplit(origin)
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
