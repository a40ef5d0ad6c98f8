"""The page as a whole, without a browser: it comes up without torch, and says where it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.cli import main
from trainer.jobs.worker import Worker
from trainer.web.app import VERSION

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import sys
from pathlib import Path
from trainer.web.services.access import Access
from trainer.hosts.catalogue import FolderCatalogue
from trainer.paths import Folders
from trainer.jobs.worker import Worker
from trainer.jobs.store import Store
from trainer.web.app import application
from trainer.web.services.context import PageContext
folders = Folders(*(Path(sys.argv[1]) / name for name in ("data", "loras", "models")))
worker = Worker(Store(folders), lambda: None)
page = application(PageContext(folders, FolderCatalogue(folders.models), worker, Access()))
print(page.openapi()["info"]["version"])
print(*sorted({"torch", "diffusers", "transformers", "safetensors"} & set(sys.modules)))
"""


def test_the_page_comes_up_without_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [VERSION]


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        asked = ["ui", "--port", str(port), "--data-dir", str(tmp_path)]
        assert main(asked) == 2
        assert f"Port {port} cannot be used" in capsys.readouterr().err
        assert main([*asked, "--language", "ja"]) == 2
        assert f"ポート {port} を使えません" in capsys.readouterr().err


@pytest.mark.more
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_without_a_traceback_though_a_page_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "trainer",
        "ui",
        "--port",
        str(port),
        "--data-dir",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        with connected(port, server) as page:
            request = f"GET /gradio_api/heartbeat/some-page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            page.sendall(request.encode())
            answer = page.recv(4096)
            assert b"200 OK" in answer, answer
            assert b"event-stream" in answer, "which never ends"
            assert (tmp_path / "models").is_dir(), "where the page says that checkpoints go"
            server.send_signal(signal.SIGINT)
            assert server.wait(120) in (0, 130)
    finally:
        server.kill()
    told = (tmp_path / "log").read_text("utf-8").splitlines()
    assert told == [f"Trainyard is at http://127.0.0.1:{port} (for this machine only). Ctrl-C ends it."]


def connected(port: int, server: subprocess.Popen[bytes]) -> socket.socket:
    """A connection to a server that is being started."""
    began = time.monotonic()
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=120)
        except ConnectionRefusedError:
            assert server.poll() is None
            assert time.monotonic() - began < 120
            time.sleep(0.2)


@pytest.mark.parametrize("asked", [False, True])
def test_broken_runs_are_continued_at_the_start_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    calls: list[Worker] = []
    monkeypatch.setattr(Worker, "continue_broken_off", lambda self: calls.append(self))
    monkeypatch.setattr("trainer.web.app.serve", lambda *_given, **_named: 0)
    assert main(["ui", "--data-dir", str(tmp_path), *(["--continue"] if asked else [])]) == 0
    assert len(calls) == asked
