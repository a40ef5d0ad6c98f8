"""What ``data fetch`` says, asks and writes, with a server on this machine and a gallery-dl of our own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trainer.captioning.fetch import gallery_command, offered
from trainer.cli import main
from trainer.errors import UserError

CONTENT = bytes(range(256)) * 9000


class Handler(BaseHTTPRequestHandler):
    """A file, the same behind a redirection and under a name of its own, a page, and one that breaks off."""

    def do_GET(self) -> None:
        try:
            self._answer()
        except OSError:  # who only looks at the headers hangs up
            return

    def _answer(self) -> None:
        if self.path == "/moved":
            self._head(302, Location="/tagger/model.onnx")
            return
        if self.path == "/secret":
            self._head(403)
            return
        if self.path == "/page":
            self._head(200, **{"Content-Type": "text/html; charset=utf-8"})
            return
        length = len(CONTENT) + 10 * (self.path == "/broken.bin")
        named = {"Content-Disposition": 'attachment; filename="../../evil:name.zip"'} if self.path == "/named" else {}
        self._head(200, **{"Content-Type": "application/octet-stream", "Content-Length": str(length), **named})
        self.wfile.write(CONTENT)

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_file_after_a_yes(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "fetch", f"{url}/moved", "--to", str(tmp_path / "new")]
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    assert main(command) == 2
    told = capsys.readouterr().out
    assert f"model.onnx (2.3 MB) from 127.0.0.1 into {tmp_path / 'new'}" in told
    assert "Nothing was fetched." in told
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr("builtins.input", lambda _question: "yes")
    assert main(command) == 0
    assert (tmp_path / "new" / "model.onnx").read_bytes() == CONTENT
    assert main([*command, "--yes"]) == 0
    assert (tmp_path / "new" / "model_2.onnx").read_bytes() == CONTENT


def test_where_nobody_answers_it_is_a_no(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert main(["data", "fetch", f"{url}/a.bin", "--to", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_name_stays_in_the_folder(url: str, tmp_path: Path) -> None:
    offer = offered(f"{url}/named")
    assert offer is not None
    assert offer.name == "_.._evil_name.zip"
    assert main(["data", "fetch", f"{url}/named", "--to", str(tmp_path / "in"), "--yes"]) == 0
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["_.._evil_name.zip"]


@pytest.mark.parametrize(
    ("path", "told"),
    [("/broken.bin", "Nothing was kept"), ("/secret", "refuses, with status 403"), ("/", "names no file")],
)
def test_what_goes_wrong_leaves_nothing(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, told: str
) -> None:
    assert main(["data", "fetch", url + path, "--to", str(tmp_path), "--yes"]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["", "model.onnx", "file:///etc/passwd", "ftp://127.0.0.1/a", "http://[::1"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UserError, match="no address of a file"):
        offered(address)


def test_a_page_needs_gallery_dl(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(f"{url}/page") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="pip install gallery-dl"):
        gallery_command(f"{url}/page", tmp_path)
    (tmp_path / "gallery_dl.py").write_text(
        "import sys; from pathlib import Path; Path(sys.argv[2], 'a.txt').write_text(sys.argv[-1])", "utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = gallery_command(f"{url}/page", tmp_path)
    assert command[:3] == [sys.executable, "-m", "gallery_dl"]
    assert main(["data", "fetch", f"{url}/page", "--to", str(tmp_path), "--yes"]) == 0
    assert (tmp_path / "a.txt").read_text("utf-8") == f"{url}/page"
