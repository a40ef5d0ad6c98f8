"""Files are opened in one place, and only files."""

from __future__ import annotations

import ast
import os
import socket
from pathlib import Path

import pytest

from trainer.paths import NotAFile, open_file, reason_of

PACKAGE = Path(__file__).resolve().parent.parent / "trainer"
OWN_FILES = {"paths.py", "hosts/webui/dependencies.py", "jobs/memory.py", "web/app.py", "web/extension.py",
             "web/page/modes.py"}  # fmt: skip
"""They read what Trainyard or the system has written."""
READERS = {"read_bytes", "read_text", "safe_open"}


def test_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        with open_file(tmp_path / name) as file:
            assert file.read() == b"abc"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_sockets_and_devices_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket"))
        reasons = {}
        for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero"), Path("/dev/tty")):
            with pytest.raises(NotAFile) as caught:
                open_file(path)
            reasons[path.name] = str(reason_of(caught.value))
    assert reasons == {
        "pipe": "it is a pipe, not a file",
        "socket": "it is a socket, not a file",
        "zero": "it is a device, not a file",
        "tty": "it is a device, not a file",
    }


@pytest.mark.parametrize("name", ["", ".", "none", "x" * 5000, "a\0b", "\ud800", "loop"])
def test_what_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=".") as caught:
        open_file(f"{tmp_path}/{name}")
    assert str(reason_of(caught.value))


def test_files_are_opened_in_one_place() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or name in OWN_FILES:
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if called in READERS or (called == "open" and "rb" in modes):
                found.append((name, called))
    assert found == [("config/presets.py", "read_bytes"), ("networks/files/file.py", "safe_open")]
