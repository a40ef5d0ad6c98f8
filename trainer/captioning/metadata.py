"""The captions and tags of a folder as one JSON file, as sd-scripts' fine-tuning method has them (``in_json``).

:mod:`trainer.data.captions.metadata_file` reads it, and so do the programs the form is from: an object for each image,
by its path inside the folder without the ending, with ``caption`` and ``tags``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ..config.documents import json_object, read_text
from ..data.captions.metadata_file import MOST_BYTES
from ..data.captions.text_files import read_caption
from ..data.files import find_images
from ..data.problems import FileError, FileProblem
from ..paths import free_path, open_file, replace_whole, write_unless_there
from ..text.messages import message
from .tag_choice import SEPARATOR, TagChoice, plain, written

CAPTIONS, TAGS = ".caption", ".txt"
"""What the names of the files end with that captions, and tags, are read from."""
_KINDS: Final = ("caption", "tags")


@dataclass
class Merged:
    """What was merged.

    Attributes:
        captions, tags: how many images have one.
        neither: names of images without both.
        kept: how many entries of the file there was before are of other images.
        before: where that file is now, if there was one.
    """

    captions: int = 0
    tags: int = 0
    neither: list[str] = field(default_factory=list)
    kept: int = 0
    before: Path | None = None
    problems: list[FileProblem] = field(default_factory=list)


def merge(
    folder: Path,
    target: Path,
    *,
    captions: str = CAPTIONS,
    tags: str = TAGS,
    unwanted: frozenset[str] = frozenset(),
    clean: bool = True,
    whole_paths: bool = False,
    check: Callable[[], None] | None = None,
) -> Merged:
    """Write the file. One that is there gets the new entries beside those it has, and its old form is set aside.

    Args:
        captions, tags: the endings of their files.
        unwanted: tags that are left out, as :attr:`TagChoice.unwanted` has them.
        clean: spaces for underscores, each tag once, no empty ones.
        whole_paths: whether images are named by their whole paths.
        check: called again and again; may raise to stop.

    Raises:
        DataError: there is no such folder, or no image in it.
        UserError: the file that is there is no such file.
        OutputError: it cannot be written.
    """
    images = find_images(folder, check=check).images
    merged = Merged()
    entries: dict[str, Any] = json_object(read_text(target, MOST_BYTES), str(target)) if target.exists() else {}
    stems = Counter(PurePosixPath(image.name).with_suffix("").as_posix() for image in images)
    keys = set()
    for image in images:
        stem = PurePosixPath(image.name).with_suffix("").as_posix()
        key = str(image.path.absolute()) if whole_paths else stem if stems[stem] == 1 else image.name
        keys.add(key)
        found = {}
        for kind, ending in zip(_KINDS, (captions, tags), strict=True):
            text = _read(image.path, image.name, ending, merged)
            found[kind] = _cleaned(text, kind, unwanted) if clean else text
        entry = entries.get(key)
        entries[key] = {
            **(entry if isinstance(entry, dict) else {}),
            **{kind: text for kind, text in found.items() if text},
        }
        merged.captions += bool(found["caption"])
        merged.tags += bool(found["tags"])
        if not any(found.values()):
            merged.neither.append(image.name)
    merged.kept = len(entries.keys() - keys)
    _write(target, entries, merged)
    return merged


def _write(target: Path, entries: dict[str, Any], merged: Merged) -> None:
    if target.exists():
        merged.before = free_path(target.with_name(f"{target.stem}_before{target.suffix}"))
        with open_file(target) as file:
            write_unless_there(merged.before, [file.read()])
    replace_whole(target, [json.dumps(entries, ensure_ascii=False, indent=2).encode()])


def _read(image: Path, name: str, ending: str, merged: Merged) -> str:
    """What stands in the file of an image with this ending; empty if there is none."""
    path = next(
        (each for each in (image.with_suffix(ending), image.with_name(image.name + ending)) if each.is_file()), None
    )
    if path is None:
        return ""
    try:
        found = read_caption(path)
    except FileError as error:
        merged.problems.append(FileProblem(name, error.problem, message("captioning.merged_without"), left_out=True))
        return ""
    return "" if found is None else found.text


def _cleaned(text: str, kind: str, unwanted: frozenset[str]) -> str:
    if kind == "caption":
        return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    tags: dict[str, str] = {}
    for tag in text.replace("\n", ",").split(","):
        if plain(tag) and plain(tag) not in unwanted:
            tags.setdefault(plain(tag), written(tag.strip(), TagChoice()))
    return SEPARATOR.join(tags.values())
