"""The documentation as pages: what is there, and that nothing else can be asked for."""

from __future__ import annotations

import re

import pytest

from trainer.paths import CHECKOUT
from trainer.web.services import guide


def test_a_page_and_its_images_are_there_under_the_names_that_links_have() -> None:
    content, media_type = guide.page("docs/page.md")
    assert media_type == "text/html"
    text = content.decode("utf-8")
    assert "<h1>The page</h1>" in text
    for name in re.findall(r'(?:src|href)="(screenshots/[^"#]+)"', text):
        found, kind = guide.page(f"docs/{name}")
        assert (found, kind) == ((CHECKOUT / "docs" / name).read_bytes(), "image/webp")


@pytest.mark.parametrize("language", sorted(guide.START))
def test_it_begins_somewhere_in_every_language(language: str) -> None:
    assert guide.page(guide.START[language])[0]


@pytest.mark.parametrize(
    "name", ["", "pyproject.toml", "docs/../pyproject.toml", "/etc/passwd", "docs", "../README.md"]
)
def test_nothing_else_can_be_asked_for(name: str) -> None:
    with pytest.raises(guide.NoPageError):
        guide.page(name)
