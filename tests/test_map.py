"""The map in docs/how-it-works.md names every room and every file of the package, in the order imports run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_house import PACKAGE, ROOMS, ROOT

PAGE = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
ROW = re.compile(r"^\| `([\w/]+(?:\.py|/))` \| (.+?) \| (.*?) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, set[str]]]:
    """Room → what the map says it is for, and the files it names."""
    return {room: (purpose, set(re.findall(r"`(\w+)`", files))) for room, purpose, files in ROW.findall(PAGE)}


def files_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")}


def test_every_folder_and_every_file_of_the_root_has_a_row() -> None:
    folders = {path.parent.relative_to(PACKAGE).as_posix() + "/" for path in PACKAGE.rglob("*.py")} - {"./"}
    languages = {"text/en/", "text/ja/"}  # one row: they have the same files
    assert rows().keys() == (folders - languages) | {path.name for path in PACKAGE.glob("*.py")}


def test_a_row_names_the_files_that_are_there() -> None:
    assert files_in(PACKAGE / "text" / "en") == files_in(PACKAGE / "text" / "ja")
    for room, (purpose, files) in rows().items():
        assert len(purpose) > 10, room
        there = files_in(PACKAGE / room) if room.endswith("/") else set()
        assert files == there | (files_in(PACKAGE / "text" / "en") if room == "text/" else set()), room


def test_the_rows_have_the_order_imports_run_in() -> None:
    named = [room.removesuffix("/").removesuffix(".py").replace("/", ".") for room in rows()]
    assert [room for room in named if room in ROOMS] == list(ROOMS)


def test_the_figure_names_real_places() -> None:
    figure = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert figure
    named = re.findall(r"\b((?:\w+/)+\w*)", re.sub(r"<br>.*?\"", '"', figure[1]))
    assert len(named) > 10
    for name in named:
        path = PACKAGE / name
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
