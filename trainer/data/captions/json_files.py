"""Captions in JSON: a file beside an image, as downloaders and taggers write it, and lists of a folder's images.

Nothing is fixed about these files, so a caption is whatever stands under a name that programs use for one: sd-scripts,
gallery-dl, WD taggers, Hugging Face's image folders.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

CAPTIONS = ("caption", "captions", "text", "prompt", "description")
"""Names of sentences; the first that says something counts."""
TAGS = ("tags", "tag_string", "character", "general")
"""Names of tags; the first of the first two, or both of the others."""
FILE_NAMES = ("file_name", "filename", "image", "path")
LIST = "metadata.jsonl"
"""The file in which image folders of Hugging Face have their captions."""


def caption_in(text: str) -> str | None:
    """The caption in a JSON file beside an image, several as so many lines; None if there is none.

    Raises:
        ValueError: it is no JSON.
    """
    return _caption(_loaded(text))


def captions_in_list(text: str) -> dict[str, str]:
    """The captions in a list of images, an object a line, by the name that each of them gives its image.

    Raises:
        ValueError: a line is no JSON.
    """
    found = {}
    for line in filter(str.strip, text.splitlines()):
        value = _loaded(line)
        if isinstance(value, Mapping):
            name = next((value[key] for key in FILE_NAMES if isinstance(value.get(key), str)), None)
            caption = _caption(value)
            if name is not None and caption is not None:
                found[name.replace("\\", "/").removeprefix("./")] = caption
    return found


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("too many brackets") from error


def _caption(value: Any) -> str | None:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, list):
        return _joined(value) or None
    if not isinstance(value, Mapping):
        return None
    sentence = next(filter(None, (_lines(value.get(name)) for name in CAPTIONS)), "")
    tags = ", ".join(_tags(value))
    return ", ".join(filter(None, (sentence, tags))) or None


def _lines(value: Any) -> str:
    """A caption, or several of them as lines."""
    values = value if isinstance(value, list) else [value]
    return "\n".join(filter(None, (_plain(each) for each in values if isinstance(each, str))))


def _tags(value: Mapping[str, Any]) -> Iterator[str]:
    for name in TAGS[:2]:
        found = _joined(value.get(name))
        if found:
            yield found
            return
    yield from filter(None, (_joined(value.get(name)) for name in TAGS[2:]))


def _joined(value: Any) -> str:
    """Tags in a text, in a list, or as the names of their scores."""
    if isinstance(value, str):
        return _spaced(_plain(value))
    if isinstance(value, Mapping):
        value = list(value)
    if not isinstance(value, list):
        return ""
    names = [each.get("name") or each.get("tag") if isinstance(each, Mapping) else each for each in value]
    return ", ".join(_plain(name).replace("_", " ") for name in names if isinstance(name, str) and name.strip())


def _spaced(text: str) -> str:
    """Tags with commas between them, where a booru has spaces between and underscores within them."""
    if "," in text or "_" not in text:
        return text
    return ", ".join(tag.replace("_", " ") for tag in text.split())


def _plain(text: str) -> str:
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))
