"""A file dropped on the page, whose copy of the browser's is gone by the time the job runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from trainer.data.dataset_file import dataset_file
from trainer.errors import UserError
from trainer.paths import Folders
from trainer.web.services.dropped import read_dropped


def upload(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def dataset_of(folder: Path | str) -> str:
    return f"[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = '{folder}'\n"


def test_a_dataset_file_outlasts_the_browsers_copy(tmp_path: Path, folders: Folders) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    path = upload(tmp_path / "upload", "mine.toml", dataset_of(tmp_path))
    dropped = read_dropped(path, folders)
    path.unlink()
    kept = dataset_file(dropped.parsed.settings)
    assert kept == folders.data / "datasets" / "mine.toml"
    assert kept.read_text("utf-8") == dataset_of(tmp_path)
    assert [str(note) for note in dropped.notes] == [f"mine.toml is the dataset file now, and kept as {kept}."]
    assert any("1 image" in str(row.text) for row in dropped.account.rows)


def test_the_same_file_is_kept_once_and_another_one_beside_it(tmp_path: Path, folders: Folders) -> None:
    names = []
    for text in (dataset_of("/a"), dataset_of("/b"), dataset_of("/a")):
        path = upload(tmp_path / "upload", "mine.toml", text)
        names.append(Path(read_dropped(path, folders).parsed.settings.dataset_config).name)
    assert names == ["mine.toml", "mine_2.toml", "mine.toml"]


def test_settings_alone_are_not_kept(tmp_path: Path, folders: Folders) -> None:
    dropped = read_dropped(upload(tmp_path / "upload", "a.json", '{"mode": "iLECO", "network_rank": 5}'), folders)
    assert dropped.parsed.settings.network_rank == 5
    assert dropped.notes == ()
    assert not (folders.data / "datasets").exists()


def test_where_relative_paths_are_looked_for_is_said_at_once(tmp_path: Path, folders: Folders) -> None:
    dropped = read_dropped(upload(tmp_path / "upload", "mine.toml", dataset_of("cats")), folders)
    said = str(dropped.notes[1])
    assert said.startswith("The paths in mine.toml are relative.")
    assert str(Path.cwd()) in said
    assert str(folders.data / "datasets") in said
    (row,) = dropped.account.rows
    assert row.is_odd
    assert 'There is no folder "cats"' in str(row.text)


def test_what_is_wrong_with_a_file_is_said_of_its_own_name(tmp_path: Path, folders: Folders) -> None:
    with pytest.raises(UserError, match=r"^bad\.toml: It is not TOML"):
        read_dropped(upload(tmp_path / "upload", "bad.toml", "a = ["), folders)
