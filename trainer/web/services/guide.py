"""The documentation that comes with Trainyard, as pages for a browser: nothing is asked of the network."""

from __future__ import annotations

import html
import mimetypes
from pathlib import Path
from typing import Final

from ...paths import CHECKOUT
from .access import RefusedError

START: Final = {"en": "README.md", "ja": "README_ja.md"}
"""Where it begins, by language."""
_FOLDERS = ("docs", "docs/screenshots")
_ENDINGS = (".md", ".png", ".webp")
_STYLE = (
    "body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:16px/1.6 system-ui,sans-serif}"
    "img{max-width:100%}pre{overflow-x:auto;padding:.8em;border:1px solid #8888;border-radius:6px}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border:1px solid #8888;padding:.3em .6em;"
    "text-align:left}:root{color-scheme:light dark}"
)


class NoPageError(RefusedError):
    """The documentation has no such page."""

    status = 404


def page(name: str) -> tuple[bytes, str]:
    """A page of the documentation as HTML, or one of its images.

    Args:
        name: its path from the checkout's folder, as links between the pages have it.

    Returns:
        The content and its media type.

    Raises:
        NoPageError: there is none.
    """
    path = _files().get(name)
    if path is None:
        raise NoPageError("web.no_page_of_guide")
    if path.suffix != ".md":
        return path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _as_html(path.read_text("utf-8"), path.stem).encode("utf-8"), "text/html"


def _files() -> dict[str, Path]:
    """Every file of it by its name. What a browser asks for is looked up here and never becomes a path."""
    found = [CHECKOUT / name for name in START.values()]
    found += [path for folder in _FOLDERS for path in (CHECKOUT / folder).glob("*") if path.suffix in _ENDINGS]
    return {path.relative_to(CHECKOUT).as_posix(): path for path in found if path.is_file()}


def _as_html(text: str, title: str) -> str:
    """Where there is nothing that renders Markdown, its text, which can be read as it is."""
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        body = f"<pre>{html.escape(text)}</pre>"
    else:
        body = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)} · Trainyard</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
