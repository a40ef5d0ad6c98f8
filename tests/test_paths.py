"""Files are opened in one place, and only files."""

from __future__ import annotations

import ast
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from trainer.cli import main
from trainer.config.presets import find
from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.data.files import existing_folder
from trainer.data.pairs.pair import open_pair
from trainer.errors import SettingsError, UserError
from trainer.hosts.standalone import find_model
from trainer.networks.files.find import find_lora
from trainer.paths import NotAFile, open_file, path_of, reason_of
from trainer.variations.files import Plan
from trainer.variations.recipe import Recipe

PACKAGE = Path(__file__).resolve().parent.parent / "trainer"
OWN_FILES = {
    "paths.py", "config/made_page.py", "data/known.py", "engine/keeper.py",
    "engine/state.py", "hosts/webui/dependencies.py", "jobs/memory.py", "jobs/recovery.py",
    "models/checkpoint/shared_files.py", "sets/journal.py", "sets/library.py", "web/app.py", "web/extension.py",
    "web/page/modes.py", "web/services/guide.py",
}  # fmt: skip
"""They read what Trainyard or the system has written."""
READERS = {"Path.read_bytes", "Path.read_text", "safe_open"}


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
            method, function = getattr(node.func, "attr", ""), getattr(node.func, "id", "")
            called = function or (f"Path.{method}" if method.startswith("read_") else method)
            modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if called in READERS or (called == "open" and "rb" in modes):
                found.append((name, called))
    assert found == [("config/presets.py", "Path.read_bytes")]


# ---- texts that become paths ----------------------------------------------------------------------------------------

IMPOSSIBLE = {
    "x" * 3000: "is too long for a path",
    "a/" * 1500: "is too long for a path",
    "あ" * 100: "is too long for a path",
    "a\0b": "has a line break or another control character in it",
    "a\nb": "has a line break or another control character in it",
    "a\ud800b": "has a broken character in it",
    "~nobody-of-this-name/a": "begins with the home folder of a user who is not known",
}
PATH_SETTINGS = ("model", "vae", "lora_data_directory", "original_image", "target_image", "network_resume",
                 "diff_load_1st_pass")  # fmt: skip


def becomes_path(written: str, folder: Path) -> list[Any]:
    """Everything that makes a path of a text."""
    return [
        lambda: path_of(written),
        lambda: find_model(written, folder, "model"),
        lambda: find_model(written, folder, "vae"),
        lambda: find_lora(written, folder),
        lambda: find(written, [folder]),
        lambda: existing_folder(written),
        lambda: open_pair(Settings(original_image=written)),
        lambda: Plan.of(Recipe(source=written)),
        lambda: Plan.of(Recipe(source=str(folder), folder=written)),
    ]


@pytest.mark.parametrize("written", IMPOSSIBLE, ids=[value.replace(" ", "-") + str(n) for n, value in
                                                     enumerate(IMPOSSIBLE.values())])  # fmt: skip
def test_a_text_that_can_be_no_path_is_one_sentence(tmp_path: Path, written: str) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    for call in becomes_path(written, tmp_path):
        with pytest.raises(UserError, match=IMPOSSIBLE[written]):
            call()
    if not written.startswith("~"):  # who is there, another machine knows
        for name in PATH_SETTINGS:
            with pytest.raises(SettingsError, match=IMPOSSIBLE[written]):
                parse({name: written})


def test_the_home_folder_is_known_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("a.safetensors", "a.json"):
        (tmp_path / name).touch()
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    elsewhere = tmp_path / "elsewhere"
    assert find_model("~/a.safetensors", elsewhere, "model") == tmp_path / "a.safetensors"
    assert find_lora("~/a.safetensors", elsewhere) == tmp_path / "a.safetensors"
    assert find("~/a.json", [elsewhere]) == tmp_path / "a.json"
    assert existing_folder("~/") == tmp_path
    assert open_pair(Settings(original_image="~/a.png")).images[0].path == tmp_path / "a.png"
    assert Plan.of(Recipe(source="~/a.png", folder="~/made")).folder == tmp_path / "made"


@pytest.mark.parametrize("option", ["--data-dir", "--models-dir", "--output-dir"])
def test_folders_of_the_command_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for written, what in IMPOSSIBLE.items():
        assert main(["train", "iLECO", "--dry-run", option, written]) == 2
        assert what in capsys.readouterr().err


def test_devices_are_not_written_to(tmp_path: Path) -> None:
    for name in ("NUL", "con.png", "COM1", "a/aux/b"):
        with pytest.raises(UserError, match="is the name of a device on Windows"):
            path_of(name, to_write=True)
    assert path_of("NULL", to_write=True) == Path("NULL")


def test_the_ending_of_a_lora_is_not_part_of_its_name() -> None:
    for written in ("x.safetensors", "x.SafeTensors", "x"):
        assert parse({"save_lora_name": written}).settings.save_lora_name == "x"
