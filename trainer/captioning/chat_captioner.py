"""A language model with eyes that answers at an address, as OpenAI's chat completions do: on the user's own machine.

Images leave this program only to where the user says, and only to this machine or its private network unless the user
insists. Nothing but the address that was checked is connected to: no proxy, no redirection, no second look-up.
"""

from __future__ import annotations

import base64
import http.client
import io
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from PIL import Image

from ..errors import UserError
from .base import Check, Description, over_white

PROMPT = "Describe this image in one or two plain sentences, as a caption for training an image model."
_LONGEST_SIDE = 1024
_QUALITY = 92
_MOST_BYTES = 4 * 2**20
_CONNECTS_WITHIN = 10.0
_LOOK_EVERY = 0.1
_SCHEMES = ("http", "https")
_MOST_SHOWN = 200


@dataclass(frozen=True)
class Server:
    """Where a model answers.

    Attributes:
        scheme: ``http`` or ``https``.
        name: the host as it was written.
        addresses: of the host, tried in their order; nothing else is connected to.
        port: of the address.
        path: in front of ``/chat/completions``.
    """

    scheme: str
    name: str
    addresses: tuple[str, ...]
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{_bracketed(self.name)}:{self.port}{self.path}"


class ChatCaptioner:
    """A model at an address."""

    def __init__(
        self, url: str, *, model: str = "", prompt: str = "", most_tokens: int = 300, answers_within: float = 120.0,
        anywhere: bool = False,
    ) -> None:  # fmt: skip
        """Args:
        url: such as ``http://127.0.0.1:1234/v1``; nothing is sent yet.
        model: its name at that address; the first one that the server names if left out.
        prompt: what is asked of each image; :data:`PROMPT` if left out.
        most_tokens: of an answer.
        answers_within: seconds.
        anywhere: whether the address may be outside the private network.

        Raises:
            UserError: it is no such address, or outside the private network.
        """
        self._server = server_at(url, anywhere=anywhere)
        self._model, self._prompt = model, prompt or PROMPT
        self._most_tokens, self._answers_within = most_tokens, answers_within

    def describe(self, image: Image.Image, check: Check) -> Description:
        check()
        if not self._model:
            self._model = self._first_model(check)
        asked = {"type": "text", "text": self._prompt}
        shown = {"type": "image_url", "image_url": {"url": data_address(image)}}
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": [asked, shown]}],
            "max_tokens": self._most_tokens,
            "temperature": 0,
            "stream": False,
        }
        answer = self._ask("POST", "/chat/completions", body, check)
        try:
            text = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            text = None
        if not isinstance(text, str):
            raise UserError("captioning.strange_answer", where=str(self._server), answer=_short(answer))
        return Description(text=" ".join(text.split()))

    def close(self) -> None:
        """Nothing is held between images."""

    def _first_model(self, check: Check) -> str:
        answer = self._ask("GET", "/models", None, check)
        try:
            return str(answer["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise UserError("captioning.no_model_there", where=str(self._server)) from error

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, check: Check) -> Any:
        """One request, in a thread of its own: a model may think for a minute, and Stop must not wait for it."""
        exchange = _Exchange(self._server, method, path, body, self._answers_within)
        try:
            while not exchange.is_over.wait(_LOOK_EVERY):
                check()
        finally:
            exchange.close()
        return exchange.answer()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, server: Server, method: str, path: str, body: Mapping[str, Any] | None, answers_within: float
    ) -> None:
        self._server, self._within = server, answers_within
        self._connection = _Connection(server, answers_within)
        self._asked = (method, server.path + path, None if body is None else json.dumps(body).encode())
        self._answer: tuple[int, bytes] | None = None
        self._problem: Exception | None = None
        self.is_over = threading.Event()
        threading.Thread(target=self._work, name="trainyard-caption", daemon=True).start()

    def close(self) -> None:
        held = self._connection.sock
        if held is not None and not self.is_over.is_set():
            try:
                held.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the answer
            except OSError:  # it has just ended by itself
                return

    def answer(self) -> Any:
        """What the server answered.

        Raises:
            UserError: it cannot be reached, takes too long, refuses, or answers something else.
        """
        where = str(self._server)
        if isinstance(self._problem, TimeoutError):
            raise UserError("captioning.no_answer", where=where, seconds=f"{self._within:g}") from self._problem
        if self._answer is None:
            reason = getattr(self._problem, "strerror", None) or self._problem
            raise UserError("captioning.not_reached", where=where, reason=reason) from self._problem
        status, content = self._answer
        if status != http.client.OK:
            raise UserError("captioning.refused", where=where, status=status, answer=_short(_text(content)))
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError("captioning.strange_answer", where=where, answer=_short(_text(content))) from error

    def _work(self) -> None:
        method, path, body = self._asked
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            content = response.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise OSError(f"more than {_MOST_BYTES // 2**20} MiB")
            self._answer = response.status, content
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._problem = error
        finally:
            self._connection.close()
            self.is_over.set()


class _Connection(http.client.HTTPConnection):
    """To the address that was checked, under the name that was written."""

    def __init__(self, server: Server, answers_within: float) -> None:
        super().__init__(_bracketed(server.name), server.port, timeout=answers_within)
        self._server = server

    def connect(self) -> None:
        plain = _connected(self._server)
        plain.settimeout(self.timeout)
        self.sock = plain
        if self._server.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self._server.name)


def _connected(server: Server) -> socket.socket:
    """Raises:
    OSError: none of the addresses answers; the last reason.
    """
    *others, last = server.addresses
    for address in others:
        try:
            return socket.create_connection((address, server.port), _CONNECTS_WITHIN)
        except OSError:  # localhost is ::1 first, and many listen at 127.0.0.1 only
            continue
    return socket.create_connection((last, server.port), _CONNECTS_WITHIN)


def server_at(url: str, *, anywhere: bool = False) -> Server:
    """The server that an address means, its name looked up.

    Raises:
        UserError: it is no address of a server, there is no such host, or one of the addresses it has is not of this
            machine or its private network, and ``anywhere`` is not set.
    """
    parts = _parts(url)
    name = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError("captioning.no_such_host", where=url, name=name) from error
    addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
    if not anywhere and not all(map(is_near, addresses)):
        raise UserError("captioning.address_is_public", where=url, name=name)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return Server(parts.scheme, name, addresses, port, path or "/v1")


def is_near(address: str) -> bool:
    """Whether an address is this machine's, or of a private network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return bool(mapped.is_loopback or (mapped.is_private and not mapped.is_unspecified and not mapped.is_link_local))


def data_address(image: Image.Image) -> str:
    """An image as a ``data:`` address: JPEG, its longest side at most 1024 pixels."""
    rgb = over_white(image)
    rgb.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    content = io.BytesIO()
    rgb.save(content, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        has_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise UserError("captioning.no_address", where=url) from error
    if parts.scheme not in _SCHEMES or not parts.hostname or not has_port or parts.query or parts.username:
        raise UserError("captioning.no_address", where=url)
    return parts


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _short(value: Any) -> str:
    text = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
