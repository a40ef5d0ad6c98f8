"""Who may ask the routes.

Reading: this machine, or everybody if the page is open to others. Changing: anyone with the page's token.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ...errors import UserError

if TYPE_CHECKING:
    from fastapi import Request

TOKEN_HEADER = "X-Trainyard-Token"
_HERE = ("localhost", "127.0.0.1", "::1")


class RefusedError(UserError):
    """A request that is not answered.

    Attributes:
        status: HTTP's code for the reason.
    """

    status: ClassVar[int] = 403


@dataclass(frozen=True)
class Access:
    """The rules of one page."""

    open_to_others: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """The page carries it; another site's page in the same browser cannot read it."""

    def reading(self, request: Request) -> None:
        """Raises:
        RefusedError: the caller is not on this machine, or used a foreign name for it.
        """
        caller = request.client.host if request.client else ""
        # A foreign name for this machine (DNS rebinding) shows in the Host header.
        named = (request.url.hostname or "").strip("[]")
        if not self.open_to_others and not (caller in _HERE and named in _HERE):
            raise RefusedError("web.this_machine_only")

    def changing(self, request: Request) -> None:
        """Raises:
        RefusedError: as for reading, or without the token.
        """
        self.reading(request)
        if not secrets.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            raise RefusedError("web.wrong_token", header=TOKEN_HEADER)
