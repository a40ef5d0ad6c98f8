"""Which sets there are, and where one may look for more."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from trainer.errors import DataError, UserError
from trainer.paths import Folders
from trainer.sets.library import MOST_RECENT, Library


@pytest.fixture
def library(folders: Folders) -> Library:
    return Library(folders)


def test_a_set_is_made_under_a_safe_name_that_is_free(library: Library, folders: Folders) -> None:
    assert library.known() == []
    made = [library.make(name) for name in ("my cats", "my cats", "../up", "@x", "CON")]
    assert [each.name for each in made] == ["my cats", "my cats_2", "up", "x", "_CON"]
    assert all(each.folder.parent == folders.images and each.folder.is_dir() for each in made)
    with pytest.raises(UserError):
        library.make(" . ")


def test_a_folder_elsewhere_is_remembered_after_a_restart(library: Library, folders: Folders, tmp_path: Path) -> None:
    library.make("cats")
    other = tmp_path / "elsewhere"
    other.mkdir()
    opened = library.open(f'"{other}"')
    assert not opened.own
    again = Library(folders)
    assert [each.name for each in again.known()] == ["elsewhere", "cats"], "the one opened last is first"
    assert again.find(opened.id).folder == other
    other.rmdir()
    with pytest.raises(DataError, match="no such set"):
        again.find(opened.id)
    with pytest.raises(UserError):
        library.open(str(other))
    for number in range(MOST_RECENT + 3):
        (tmp_path / f"f{number}").mkdir()
        library.open(str(tmp_path / f"f{number}"))
    assert sum(not each.own for each in library.known()) == MOST_RECENT
    assert "cats" in [each.name for each in library.known()]


def test_an_empty_folder_elsewhere_is_offered_while_it_was_opened_last(library: Library, tmp_path: Path) -> None:
    library.make("cats")
    for name in ("empty", "full", "deep"):
        (tmp_path / name).mkdir()
    (tmp_path / "deep" / "1_zorp").mkdir()
    for name in ("full", "deep/1_zorp"):
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    empty = library.open(str(tmp_path / "empty"))
    assert [each.name for each in library.offered()] == ["empty", "cats"], "images may be about to be dropped there"
    for name in ("full", "deep"):
        library.open(str(tmp_path / name))
    assert [each.name for each in library.offered()] == ["deep", "full", "cats"]
    assert library.find(empty.id).folder == tmp_path / "empty", "where a window has it open"


def test_a_set_of_ours_opened_by_its_path_is_itself(library: Library, folders: Folders) -> None:
    made = library.make("cats")
    assert library.open(str(folders.images / "cats")).id == made.id


@pytest.mark.parametrize("number", ["", "..", "../..", "@0123", "nothing", "/etc"])
def test_no_id_names_a_folder_that_nobody_opened(library: Library, folders: Folders, number: str) -> None:
    folders.images.mkdir(parents=True)
    with pytest.raises(DataError):
        library.find(number)


def test_folders_are_listed_below_the_roots_only(library: Library, tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    (home / "pictures" / "cats").mkdir(parents=True)
    (home / ".hidden").mkdir()
    Image.new("RGB", (8, 8)).save(home / "pictures" / "a.png")
    monkeypatch.setattr(Path, "home", lambda: home)
    assert library.inside("") == (None, [(home, False)])
    assert library.inside(str(home)) == (None, [(home / "pictures", True)])
    assert library.inside(str(home / "pictures")) == (home, [(home / "pictures" / "cats", False)])
    for path in (str(tmp_path), "/", str(home / ".."), "/etc"):
        with pytest.raises(DataError, match="home folder"):
            library.inside(path)
    (home / "out").symlink_to("/etc")
    with pytest.raises(DataError, match="home folder"):
        library.inside(str(home / "out"))
