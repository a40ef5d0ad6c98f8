"""Captions and tags of a folder as one file, which the reader of such files understands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from trainer.captioning.metadata import merge
from trainer.captioning.tag_choice import unwanted_in
from trainer.data.captions.metadata_file import images_in
from trainer.errors import DataError, UserError
from trainer.text.messages import label


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "set"
    for name in ("a.png", "sub/b.png", "twin.png", "twin.jpg", "bare.png"):
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(found / name)
    (found / "a.caption").write_text("  a   cat \n", "utf-8")
    (found / "a.txt").write_text("long_hair, ^_^,, Long hair, hat", "utf-8")
    (found / "sub" / "b.txt").write_text("dog_(breed)", "utf-8")
    (found / "twin.png.txt").write_text("one", "utf-8")
    (found / "twin.jpg.caption").write_text("two", "utf-8")
    return found


def entries(path: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    return found


def test_what_is_written(folder: Path, tmp_path: Path) -> None:
    merged = merge(folder, tmp_path / "meta.json")
    assert entries(tmp_path / "meta.json") == {
        "a": {"caption": "a cat", "tags": "long hair, ^_^, hat"},
        "bare": {},
        "sub/b": {"tags": "dog (breed)"},
        "twin.jpg": {"caption": "two"},
        "twin.png": {"tags": "one"},
    }
    assert (merged.captions, merged.tags, merged.neither, merged.kept, merged.before) == (2, 3, ["bare.png"], 0, None)


def test_the_reader_finds_the_same(folder: Path, tmp_path: Path) -> None:
    merge(folder, tmp_path / "meta.json")
    found = images_in(tmp_path / "meta.json", folder, ",", label("lora_data_directory"))
    assert {image.name: image.written for image in found.images} == {
        "a.png": "a cat,long hair, ^_^, hat", "bare.png": "", "sub/b.png": "dog (breed)", "twin.jpg": "two",
        "twin.png": "one",
    }  # fmt: skip
    assert not found.unreadable
    merge(folder, tmp_path / "whole.json", whole_paths=True)
    found = images_in(tmp_path / "whole.json", None, ",", label("lora_data_directory"))
    assert len(found.images) == 5


def test_a_file_that_is_there_keeps_the_rest(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    before = {"a": {"tags": "old", "train_resolution": [64, 64]}, "other": {"caption": "theirs"}}
    path.write_text(json.dumps(before), "utf-8")
    merged = merge(folder, path, unwanted=unwanted_in("hat"))
    found = entries(path)
    assert found["a"] == {"tags": "long hair, ^_^", "caption": "a cat", "train_resolution": [64, 64]}
    assert found["other"] == {"caption": "theirs"}
    assert merged.kept == 1
    assert merged.before == tmp_path / "meta_before.json"
    assert entries(merged.before) == before


def test_as_they_are_and_other_endings(folder: Path, tmp_path: Path) -> None:
    merge(folder, tmp_path / "meta.json", captions=".txt", tags=".caption", clean=False)
    assert entries(tmp_path / "meta.json")["a"] == {"caption": "long_hair, ^_^,, Long hair, hat", "tags": "a cat"}


def test_what_cannot_be_merged_is_told(folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    merged = merge(folder, tmp_path / "meta.json")
    assert [str(problem) for problem in merged.problems] == ["a.png is a PNG image by its content: merged without it"]
    (tmp_path / "meta.json").write_text("[1]", "utf-8")
    with pytest.raises(UserError):
        merge(folder, tmp_path / "meta.json")
    assert (tmp_path / "meta.json").read_text("utf-8") == "[1]"
    with pytest.raises(DataError):
        merge(tmp_path / "none", tmp_path / "meta.json")
