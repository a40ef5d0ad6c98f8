"""``data tags``, ``data unzip``, ``data clean`` and ``data prepare`` from the command line."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from trainer.cli import main


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of three images, one of them twice, one that cannot be read, with captions."""
    folder = tmp_path / "from"
    folder.mkdir()
    Image.effect_noise((64, 64), 90).save(folder / "a.png")
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    Image.effect_noise((70, 60), 90).save(folder / "b.png")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:80])
    (folder / "a.txt").write_text("red, cat")
    (folder / "b.txt").write_text("cat, dog")
    (folder / "broken.txt").write_text("gone")
    return folder


def run(tmp_path: Path, *arguments: object) -> int:
    return main(["data", *map(str, arguments), "--data-dir", str(tmp_path / "data")])


def test_tags_are_counted_changed_and_changed_back(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "tags", source, "--json") == 0
    counts = {each["tag"]: each["count"] for each in json.loads(capsys.readouterr().out)}
    assert counts == {"cat": 2, "red": 1, "dog": 1, "gone": 1}
    assert (
        run(tmp_path, "tags", source, "--with", "cat", "--without", "dog", "--remove", "red", "--add", "new, cat") == 0
    )
    assert (source / "a.txt").read_text() == "cat, new"
    assert (source / "b.txt").read_text() == "cat, dog"
    assert run(tmp_path, "tags", source, "--front", "zorp", "--sort", "--replace", "dog=wolf") == 0
    assert (source / "b.txt").read_text() == "zorp, cat, wolf"
    for _ in range(2):
        assert run(tmp_path, "tags", source, "--undo") == 0
    assert (source / "b.txt").read_text() == "cat, dog"
    assert run(tmp_path, "tags", source, "--redo") == 0
    assert (source / "b.txt").read_text() == "cat, wolf"
    assert run(tmp_path, "tags", source) == 0
    assert "4 tags in 4 images, 1 of them without a caption" in capsys.readouterr().out
    assert run(tmp_path, "tags", source, "--replace", "dog") == 2
    assert run(tmp_path, "tags", tmp_path / "nowhere") == 2


def test_a_zip_is_prepared_and_what_cannot_be_trained_stays_out(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my cats.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each in source.iterdir():
            archive.write(each, f"top/{each.name}")
    assert run(tmp_path, "prepare", path, "--duplicates") == 0
    told = capsys.readouterr().out
    folder = tmp_path / "data" / "images" / "my cats"
    assert "top/broken.png is no image that can be read: left out" in told
    assert "3 images and 2 captions came in" in told
    assert "a.png is the same file as copy.png" in told
    assert "2 images to train, 0 of them without a caption" in told
    assert {each.name for each in folder.glob("*.png")} == {"a.png", "b.png"}
    assert {each.name for each in (folder / ".aside").iterdir()} == {"copy.png"}
    assert run(tmp_path, "tags", "my cats", "--undo") == 0
    assert (folder / "copy.png").exists()


def test_what_cannot_be_trained_is_set_aside(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "clean", source, "--duplicates", "--dry-run") == 0
    assert "2 images would be set aside" in capsys.readouterr().out
    assert (source / "copy.png").exists()
    assert run(tmp_path, "clean", source) == 0
    assert {each.name for each in (source / ".aside").iterdir()} == {"broken.png", "broken.txt"}
    assert not (source / "broken.png").exists()
    assert (source / "copy.png").exists()
    assert run(tmp_path, "tags", source, "--undo") == 0
    assert (source / "broken.txt").read_text() == "gone"
    assert (source / "broken.png").exists()


def test_what_is_brought_in_goes_where_it_is_told(tmp_path: Path, source: Path) -> None:
    assert run(tmp_path, "unzip", source, "--name", "cats") == 0
    assert run(tmp_path, "unzip", source / "b.png", "--into", "cats") == 0
    other = tmp_path / "other"
    other.mkdir()
    assert run(tmp_path, "unzip", source / "b.png", "--into", other) == 0
    assert [each.name for each in other.iterdir()] == ["b.png"]
    assert run(tmp_path, "unzip", tmp_path / "gone.zip") == 2
    assert [each.name for each in (tmp_path / "data" / "images").iterdir()] == ["cats"]
