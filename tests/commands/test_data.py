"""``data``: tags, captions and one file of both, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.onnx_file import make_tagger, tagger_bytes
from trainer.cli import main
from trainer.paths import Folders
from trainer.sets.library import Library


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one tagger, which calls red what is red, and beside it a folder of images."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    tagger = tmp_path / "data" / "taggers" / "tiny"
    weights, bias = make_tagger(tagger, [("red_thing", 0), ("blue_thing", 0), ("sensitive", 9)])
    weights[:], bias[:] = 0, -5
    weights[0::3, 1] = weights[2::3, 0] = 20 / 64 / 255
    weights[0::3, 0] = weights[2::3, 1] = -20 / 64 / 255
    (tagger / "model.onnx").write_bytes(tagger_bytes(weights, bias, ["batch", 8, 8, 3]))
    (tmp_path / "set").mkdir()
    for name, colour in (("1", "red"), ("2", "blue")):
        Image.new("RGB", (9, 9), colour).save(tmp_path / "set" / f"{name}.png")
    (tmp_path / "set" / "2.txt").write_text("mine", "utf-8")
    return tmp_path


def captions(home: Path) -> list[str]:
    return [each.caption for each in Library(folders(home)).of(home / "set").items()]


def folders(home: Path) -> Folders:
    return Folders(home / "data", home / "data" / "loras", home / "data" / "models")


def test_tags(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "tag", str(home / "set"), "--data-dir", str(home / "data"), "--device", "cpu"]
    assert main([*command, "--trigger", "zorp", "--underscores"]) == 0
    assert captions(home) == ["zorp, red_thing", "mine"]
    assert capsys.readouterr().out == "1 caption written, 1 image unchanged.\n"
    assert main([*command, "--mode", "append", "--rating", "--with", "tiny", "--unwanted", "red thing"]) == 0
    assert captions(home) == ["zorp, red_thing, sensitive", "mine, blue thing, sensitive"]
    images = Library(folders(home)).of(home / "set")
    images.undo()
    assert captions(home) == ["zorp, red_thing", "mine"]
    assert [each.folder for each in Library(folders(home)).known()] == [home / "set"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--threshold", "2"], "threshold: It must be a number from 0 to 1"),
        (["--with", "other"], "There is no tagger or captioner of this name"),
        (["--with", "http://8.8.8.8"], "outside your network"),
    ],
)
def test_what_is_wrong_is_told(home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert main(["data", "tag", str(home / "set"), "--data-dir", str(home / "data"), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert captions(home) == ["", "mine"]


def test_a_folder_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "caption", str(home / "none"), "--data-dir", str(home / "data")]) == 2
    assert "none" in capsys.readouterr().err


def test_merge(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "merge", str(home / "set"), "--out", str(home / "meta.json")]) == 0
    assert json.loads((home / "meta.json").read_text("utf-8")) == {"1": {}, "2": {"tags": "mine"}}
    assert "tags of 1 image." in capsys.readouterr().out
    assert main(["data", "merge", str(home / "set"), "--out", str(home / "meta.json"), "--tags", "txt"]) == 2
