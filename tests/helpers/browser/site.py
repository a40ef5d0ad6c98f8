"""A server of the page, in its own process with its own folders, and the Chromium that looks at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import gradios
from tests.helpers.browser.gradios import ROOT

TOY = ROOT / "tests" / "toy" / "toy-sd1.safetensors"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
"""The first there is. The shell draws the same without the windows around it, for 30 % less of the processor."""


@dataclass(frozen=True)
class Site:
    """A server of the page with its folders."""

    address: str
    data: Path
    gradio: str = ""
    """Its version; empty is that of our own environment."""

    @property
    def loras(self) -> list[str]:
        return sorted(path.stem for path in (self.data / "loras").glob("*.safetensors"))


@contextlib.contextmanager
def served(data: Path, arguments: Sequence[str] = (), gradio: str = "") -> Iterator[Site]:
    """The page at a free port, with the toy checkpoint as its only model; ended as Ctrl-C ends it.

    Args:
        data: an empty folder.
        arguments: further ones of ``trainer ui``.
        gradio: one of :data:`gradios.VERSIONS`; empty for that of our own environment.
    """
    python = gradios.python_with(gradio) if gradio else sys.executable
    (data / "models").mkdir(parents=True, exist_ok=True)
    shutil.copy(TOY, data / "models")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python), "-m", "trainer", "ui", "--port", str(port), "--data-dir", str(data), "--device", "cpu"]
    command += ["--language", "en"]
    with (data / "server.log").open("w") as log:
        told = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        server = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=log, stderr=log, env=told)
    try:
        began = time.monotonic()
        while not _answers(port):
            assert server.poll() is None, (data / "server.log").read_text()
            assert time.monotonic() - began < 120
            time.sleep(0.2)
        yield Site(f"http://127.0.0.1:{port}/", data, gradio)
    finally:
        server.send_signal(signal.SIGINT)
        ended = _ended(server, data / "server.log")
    assert ended in (0, 130), (data / "server.log").read_text()


def _ended(server: subprocess.Popen[bytes], log: Path) -> int:
    """The exit status; of a server that does not end the log shows what each thread was at."""
    try:
        return server.wait(60)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGABRT)
        server.wait(10)
        pytest.fail(f"the server did not end: {log.read_text()}")


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = launched(playwright.chromium)
        yield opened
        opened.close()


def launched(kind: Any, *arguments: str) -> Any:
    """A Chromium, with further arguments of its command line.

    Args:
        kind: playwright's; of a browser that runs already, ``browser_type``.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.fail(
            "no Chromium found: install one (Debian: apt install chromium-headless-shell), or name it in CHROMIUM"
        )
    return kind.launch(executable_path=found, args=[*_ARGUMENTS, *arguments])
