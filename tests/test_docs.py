"""What the documentation points at is there: its links, the files it names, the commands it gives."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from trainer.text.en import gallery
from trainer.text.en import page as texts_of_page

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"\b((?:trainer|tests|studies|benchmarks|requirements|docs)/[\w./-]*\w)")
INSIDE = re.compile(r"`((?:\w+/)+\w+\.py)`")
"""A file as the pages for developers name it: from the checkout, or from ``trainer/``."""
COMMAND = re.compile(r"python -m ((?:studies|benchmarks)\.\w+)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    named = FILE.findall(page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
    inside = INSIDE.findall(page.read_text("utf-8"))
    assert [name for name in inside if not any((folder / name).exists() for folder in (ROOT, ROOT / "trainer"))] == []


@each_page
def test_commands_name_programs_that_exist(page: Path) -> None:
    programs = set(COMMAND.findall(page.read_text("utf-8")))
    assert {name for name in programs if importlib.util.find_spec(name) is None} == set()


def test_every_page_is_reached_from_both_readmes() -> None:
    for readme in (ROOT / "README.md", ROOT / "README_ja.md"):
        linked = {(ROOT / link).resolve() for link in LINK.findall(readme.read_text("utf-8"))}
        assert {page for page in PAGES if page.parent.name == "docs"} <= linked


@pytest.mark.parametrize("page", ["page.md", "images.md"])
def test_buttons_and_tabs_are_called_what_the_page_calls_them(page: str) -> None:
    named = set(re.findall(r"\*\*([^*]+)\*\*", (ROOT / "docs" / page).read_text("utf-8").replace("\n", " ")))
    assert named
    assert named - {*texts_of_page.TEXTS.values(), *gallery.TEXTS.values()} == set()
