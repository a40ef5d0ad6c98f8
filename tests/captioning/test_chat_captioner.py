"""A model at an address: what it is sent, what may go wrong, and where images may go."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainer.captioning import chat_captioner
from trainer.captioning.chat_captioner import PROMPT, ChatCaptioner, is_near, server_at
from trainer.errors import Stopped, UserError


class Played:
    """A server on this machine that answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answer: Callable[[str], tuple[int, bytes]] = lambda _path: (200, answered("a red circle"))
        self.waits = threading.Event()
        self.waits.set()
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: Any) -> None:
                played.asked.append((self.command, self.path, body))
                played.waits.wait(20)
                status, content = played.answer(self.path)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://example.com/")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:  # Stop hangs up
                    return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.waits.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def answered(text: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def never() -> None:
    pass


RED = Image.new("RGBA", (3000, 30), (255, 0, 0, 255))


def test_an_image_is_sent_and_the_answer_is_its_text(server: Played) -> None:
    captioner = ChatCaptioner(server.url, model="eyes", prompt="What is it?", most_tokens=50)
    assert captioner.describe(RED, never).text == "a red circle"
    ((method, path, body),) = server.asked
    assert (method, path) == ("POST", "/v1/chat/completions")
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("eyes", 50, 0, False)
    (message,) = body["messages"]
    text, shown = message["content"]
    assert message["role"] == "user"
    assert text == {"type": "text", "text": "What is it?"}
    head, _, content = shown["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(content)))
    assert (sent.format, sent.size) == ("JPEG", (1024, 10))
    assert np.abs(np.asarray(sent).astype(int) - (255, 0, 0)).max() < 6


def test_the_servers_first_model_is_asked_for_once(server: Played) -> None:
    names = json.dumps({"data": [{"id": "first"}, {"id": "second"}]}).encode()
    server.answer = lambda path: (200, names if path.endswith("/models") else answered(" two\n lines "))
    captioner = ChatCaptioner(f"{server.url}/api/v1/chat/completions/")
    assert [captioner.describe(RED, never).text for _ in range(2)] == ["two lines", "two lines"]
    assert [(method, path) for method, path, _ in server.asked] == [
        ("GET", "/api/v1/models"), ("POST", "/api/v1/chat/completions"), ("POST", "/api/v1/chat/completions"),
    ]  # fmt: skip
    assert server.asked[1][2]["model"] == "first"
    assert server.asked[1][2]["messages"][0]["content"][0]["text"] == PROMPT


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (500, b"out of\nmemory", "refuses, with status 500: out of memory"),
        (302, b"", "refuses, with status 302"),  # nothing is followed: it would take the image elsewhere
        (200, b"<html>", "not as chat completions are answered: <html>"),
        (200, b"[]", r"not as chat completions are answered: \[\]"),
        (200, b'{"choices": []}', "not as chat completions are answered"),
        (200, answered(None), "not as chat completions are answered"),
        (200, b"[" * 100_000, "not as chat completions are answered"),
    ],
)
def test_other_answers_are_one_sentence(server: Played, status: int, content: bytes, told: str) -> None:
    server.answer = lambda _path: (status, content)
    with pytest.raises(UserError, match=told) as error:
        ChatCaptioner(server.url, model="eyes").describe(RED, never)
    assert server.url in str(error.value)
    assert len(str(error.value)) < 500


def test_an_answer_without_end_is_cut(server: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_captioner, "_MOST_BYTES", 2**20)
    server.answer = lambda _path: (200, b" " * 2**21)
    with pytest.raises(UserError, match="more than 1 MiB"):
        ChatCaptioner(server.url, model="eyes").describe(RED, never)


def test_no_server_and_a_slow_one(server: Played) -> None:
    server.waits.clear()
    with pytest.raises(UserError, match=r"has not answered within 0\.3 seconds"):
        ChatCaptioner(server.url, model="eyes", answers_within=0.3).describe(RED, never)
    server.close()
    with pytest.raises(UserError, match=r"cannot be reached \(Connection refused\)"):
        ChatCaptioner(server.url, model="eyes").describe(RED, never)


def test_stop_does_not_wait_for_the_answer(server: Played) -> None:
    server.waits.clear()

    def stop() -> None:
        if server.asked:
            raise Stopped

    began = time.monotonic()
    with pytest.raises(Stopped):
        ChatCaptioner(server.url, model="eyes").describe(RED, stop)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "file:///etc/passwd", "http://[::1",
     "http://u:p@127.0.0.1", "http://127.0.0.1/?x=1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="no address of a server"):
        server_at(url)


@pytest.mark.parametrize(
    ("address", "near"),
    [("127.0.0.1", True), ("::1", True), ("192.168.1.9", True), ("10.1.2.3", True), ("172.20.0.1", True),
     ("fd00::1", True), ("::ffff:127.0.0.1", True), ("8.8.8.8", False), ("::ffff:8.8.8.8", False), ("0.0.0.0", False),
     ("169.254.169.254", False), ("2001:4860:4860::8888", False), ("172.32.0.1", False), ("nonsense", False)],
)  # fmt: skip
def test_which_addresses_are_near(address: str, near: bool) -> None:
    assert is_near(address) is near


def test_images_stay_in_the_network_unless_one_insists(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_up(_name: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", port)), (2, 1, 6, "", ("93.184.216.34", port))]

    monkeypatch.setattr(chat_captioner.socket, "getaddrinfo", looked_up)
    with pytest.raises(UserError, match=r"example\.com is outside your network"):
        server_at("https://example.com/v1")
    found = server_at("https://example.com", anywhere=True)
    assert (found.port, found.path, found.addresses) == (443, "/v1", ("127.0.0.1", "93.184.216.34"))


def test_localhost_is_tried_at_all_its_addresses(server: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.url.rpartition(":")[2]
    found = [(10, 1, 6, "", ("::1", int(port), 0, 0)), (2, 1, 6, "", ("127.0.0.1", int(port)))]
    with monkeypatch.context() as patched:
        patched.setattr(chat_captioner.socket, "getaddrinfo", lambda *_, **__: found)
        captioner = ChatCaptioner(f"http://localhost:{port}", model="eyes")
    assert captioner.describe(RED, never).text == "a red circle"
