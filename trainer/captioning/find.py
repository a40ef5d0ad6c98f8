"""Which taggers and captioners lie in folders of this machine: found by their files, never fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from ..errors import UserError
from ..models.checkpoint.folders import model_folder, name_of
from ..paths import Folders, path_of
from ..text.messages import Message
from .local_captioner import KINDS, kind_named, kind_of
from .wd_tagger import TABLE, model_file

TAGS, TEXT = "tags", "text"
_INSIDE: Final = ("taggers", "captioners", "TaggerOnnx", "interrogators")
"""Folders below the models that are looked through: ours, and where extensions of WebUIs keep theirs."""
_MOST: Final = 2_000
"""Entries of one folder that are looked at."""


@dataclass(frozen=True)
class FoundModel:
    """A folder with a tagger or a captioner in it.

    Attributes:
        name: what it is chosen by.
        folder: where its files are.
        makes: :data:`TAGS` or :data:`TEXT`.
        problem: why it cannot be used, as far as its files tell; None if nothing is known.
    """

    name: str
    folder: Path
    makes: str
    problem: Message | None = None


def own_folder(folders: Folders) -> Path:
    """Where users are told to put them."""
    return folders.data / "taggers"


def places(folders: Folders) -> list[Path]:
    """The folders that are looked through, in the order of their claim to a name; they need not be there."""
    below = [folders.models / name for name in _INSIDE]
    return list(dict.fromkeys([own_folder(folders), *below, hub_cache()]))


def hub_cache() -> Path:
    """Where Hugging Face's library keeps what other programs have fetched."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface")
    return Path(home) / "hub"


def find_models(folders: Folders) -> list[FoundModel]:
    """All that are found: taggers first, then by name. Of two with one name, the one in the earlier place."""
    found: dict[str, FoundModel] = {}
    for place in places(folders):
        for folder in _candidates(place):
            model = model_in(folder)
            if model is not None:
                found.setdefault(model.name, model)
    return sorted(found.values(), key=lambda each: (each.makes != TAGS, each.name.casefold()))


def find_model(written: str, folders: Folders) -> FoundModel:
    """The one of a name, or in a folder.

    Raises:
        UserError: there is none, or it cannot be used.
    """
    known = find_models(folders)
    found = next((each for each in known if each.name == written), None)
    folder = path_of(written)
    if found is None and folder.is_dir():
        found = model_in(model_folder(folder))
        if found is None:
            raise UserError("captioning.no_model_in", where=str(folder), known=KINDS)
    if found is None:
        names = [each.name for each in known if each.problem is None]
        if not names:
            raise UserError("captioning.no_model_at_all", where=written, folder=own_folder(folders))
        raise UserError("captioning.no_model", where=written, folder=own_folder(folders), known=names)
    if found.problem is not None:
        raise UserError(found.problem)
    return found


def model_in(folder: Path) -> FoundModel | None:
    """What a folder holds; None if that is neither a tagger nor a captioner."""
    is_tagger = (folder / TABLE).is_file()
    if not is_tagger and kind_named(folder) is None:
        return None
    try:
        model_file(folder) if is_tagger else kind_of(folder)
    except UserError as error:
        return FoundModel(name_of(folder), folder, TAGS if is_tagger else TEXT, error.whole)
    return FoundModel(name_of(folder), folder, TAGS if is_tagger else TEXT)


def _candidates(place: Path) -> Iterator[Path]:
    """The folders in a place that may hold a model; of the Hub's cache, the snapshot that is in use."""
    try:
        folders = sorted(each for each in islice(place.iterdir(), _MOST) if each.is_dir())
    except OSError:  # there is no such folder, or it is somebody else's
        return
    yield from map(model_folder, folders)
