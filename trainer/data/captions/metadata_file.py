"""Files with the captions of many images, as sd-scripts' fine-tuning method has them (``metadata_file``, ``in_json``).

JSON with an object for each image, by its path, its name or its name without an ending, or JSON lines with the path in
each; captions and tags are joined as sd-scripts joins them. Sizes in them are not needed: images are measured.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.documents import json_object, read_text
from ...config.values import shown
from ...errors import DataError
from ...text.messages import Message, message
from ..files import Found, ImageFile, is_image, natural_key

MOST_BYTES = 256 * 2**20
"""A million captions take less."""
_SEPARATORS = re.compile(r"[\\/]")


def images_in(
    path: Path, folder: Path | None, separator: str, place: Message, check: Callable[[], None] | None = None
) -> Found:
    """The images a metadata file names, with their captions; those that are not there are told.

    Args:
        folder: where images with relative names are; the file's own folder if there is none.
        separator: between a caption and its tags.
        place: of the subset, to name it in errors.
        check: called again and again; may raise to stop.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    entries = _entries(path, place)
    base = folder or path.absolute().parent
    finder = _Finder(base)
    images: dict[Path, ImageFile] = {}
    missing: list[tuple[str, Message]] = []
    for key, entry in entries.items():
        if check is not None:
            check()
        caption = _caption(key, entry, separator, place)
        found = finder.find(key)
        if found is None:
            missing.append((key, message("data.metadata_without_image", file=path.name)))
        else:
            images[found] = ImageFile(found, _name(found, base), None, written=caption)
    ordered = sorted(images.values(), key=lambda image: natural_key(image.name))
    return Found(base, tuple(ordered), unreadable=tuple(missing))


def _entries(path: Path, place: Message) -> Mapping[str, Any]:
    text = read_text(path, MOST_BYTES)
    if path.suffix.lower() != ".jsonl":
        return json_object(text, str(path))
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            key = entry.get("image_path") if isinstance(entry, dict) else None
            if not isinstance(key, str):
                raise DataError("data.metadata_bad_line", where=place, file=path.name, line=number)
            found[key] = entry
    return found


def _caption(key: str, entry: Any, separator: str, place: Message) -> str:
    """The caption, then the tags; of a caption with several lines, each with the tags."""
    if not isinstance(entry, dict):
        raise DataError("data.metadata_no_object", where=place, key=key, value=shown(entry))
    parts = []
    for name in ("caption", "tags"):
        value = entry.get(name) or ""
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = ("\n" if name == "caption" else f"{separator} ").join(value)
        if not isinstance(value, str):
            raise DataError("data.metadata_no_text", where=place, key=key, name=name, value=shown(value))
        parts.append(value)
    lines = [" ".join(line.split()) for line in parts[0].splitlines() if line.strip()] or [""]
    tags = " ".join(parts[1].replace("\n", separator).split())
    return "\n".join(separator.join(part for part in (line, tags) if part) for line in lines)


@dataclass
class _Folder:
    """The images of one folder, by name and by name without its ending."""

    names: set[str]
    by_stem: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> _Folder:
        try:
            names = sorted(filter(is_image, os.listdir(folder)), key=natural_key, reverse=True)
        except OSError:
            names = []
        return cls(set(names), {os.path.splitext(name)[0]: name for name in names})  # the first of several counts


class _Finder:
    """Finds images by the keys of a metadata file."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._folders: dict[Path, _Folder] = {}

    def find(self, key: str) -> Path | None:
        return next((found for path in self._candidates(key) if (found := self._there(path)) is not None), None)

    def _candidates(self, key: str) -> Iterator[Path]:
        """Where the image may be: in the folder, at its full path, or in the folder without the path of another
        machine."""
        if "\0" in key or not key.strip():
            return
        yield self._base / key
        yield Path(key)
        yield self._base / _SEPARATORS.split(key)[-1]

    def _there(self, path: Path) -> Path | None:
        folder = path.parent
        if folder not in self._folders:
            self._folders[folder] = _Folder.of(folder)
        known = self._folders[folder]
        name = path.name if path.name in known.names else known.by_stem.get(path.name)
        return folder / name if name is not None else None


def _name(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if base in path.parents else path.name
