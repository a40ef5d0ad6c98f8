"""Output goes to any console, whatever characters it can show, and JSON stays JSON."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from trainer.cli import main
from trainer.text.console import tell

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "猫é😀"
CONSOLES = ("ascii", "cp1252", "cp932", "cp949", "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / NAME
    inside.mkdir()
    Image.new("RGB", (64, 64)).save(inside / "a.png")
    (inside / "a.txt").write_text(NAME, encoding="utf-8")
    if os.name != "nt":  # from a zip archive of Windows: bytes that are no UTF-8
        Image.new("RGB", (64, 64)).save(inside / os.fsdecode(b"b\xff\xfe.png"))
    return inside


def written_to(console: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    stream = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=console, write_through=True))
    code = main(arguments)
    return code, stream.getvalue().decode(console)


@pytest.mark.parametrize("console", CONSOLES)
@pytest.mark.parametrize("language", ["C.UTF-8", "ja_JP.UTF-8"])
def test_every_command_can_be_piped(folder: Path, monkeypatch: pytest.MonkeyPatch, console: str, language: str) -> None:
    monkeypatch.setenv("LC_ALL", language)
    queue = ["--data-dir", str(folder / "data")]
    for expected, *arguments in (
        (0, "check", str(folder), "--set", "image_size=64"),
        (2, "info", str(folder / "none.safetensors")),
        (0, "queue", "add", "iLECO", "--set", f"original_prompt={NAME}", "--set", "target_prompt=b",
         "--set", f"save_lora_name={NAME}", "--model", str(ROOT / "tests" / "toy" / "toy-sd1.safetensors"), *queue),
        (0, "queue", "list", *queue),
        (2, "train", f"{NAME}\ud800"),
        (0, "list", "settings"),
    ):  # fmt: skip
        code, text = written_to(console, monkeypatch, *map(str, arguments))
        assert code == expected, text
        assert "Traceback" not in text
        assert "trainyard-error" not in text


@pytest.mark.parametrize("console", CONSOLES)
def test_json_stays_json(folder: Path, monkeypatch: pytest.MonkeyPatch, console: str) -> None:
    code, text = written_to(console, monkeypatch, "check", str(folder), "--set", "image_size=64", "--json")
    assert code == 0
    assert json.loads(text[text.index("{") :])["folder"].endswith(NAME)


@pytest.mark.parametrize("console", ["ascii", "cp932"])
def test_a_program_of_its_own(folder: Path, console: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "check", str(folder), "--set", "image_size=64"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": console},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (b"\\u732b" if console == "ascii" else "猫".encode(console)) in done.stdout


def test_a_console_of_another_program() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n")
    tell("a é 猫 \ud800", stream)
    stream.seek(0)
    assert stream.read() == "a é \\u732b \\ud800\n"
