"""Which models there are to choose from, by their names; no file is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from ..models.checkpoint.folders import is_model_folder
from ..models.checkpoint.identify import MODEL_ENDINGS, FileKind
from ..text.messages import Message, message

_MOST_LOOKED_AT = 100_000
"""Files of a folder: more are a whole disk, which is not looked through while a page waits."""


class Catalogue(Protocol):
    """The lists of a host."""

    def models(self) -> list[str]:
        """The checkpoints' names, as ``model`` takes them."""

    def vaes(self) -> list[str]:
        """The VAEs' names, as ``vae`` takes them, without ``None``."""

    def proposed(self) -> str:
        """The model in a new form; empty for the loaded one, or if the user has to choose."""

    def refresh(self) -> None:
        """Look for new files; called only on request, since hosts take a while."""

    def advice(self) -> Message:
        """What an empty ``model`` means here, and where models are found."""


@dataclass(frozen=True)
class FolderCatalogue:
    """The lists of a folder and its sub-folders. A file with ``vae`` in its path is a VAE; a folder in diffusers'
    layout is one model."""

    folder: Path

    def models(self) -> list[str]:
        return [name for name in self._names() if not _is_vae(name)]

    def vaes(self) -> list[str]:
        return [name for name in self._names() if _is_vae(name)]

    def proposed(self) -> str:
        """The only one, if there is just one."""
        models = self.models()
        return models[0] if len(models) == 1 else ""

    def refresh(self) -> None:
        """Nothing to do: the folder is listed each time."""

    def advice(self) -> Message:
        return message("hosts.models_in_folder", folder=self.folder)

    def _names(self) -> list[str]:
        found = sorted(self._files(), key=lambda path: (path.as_posix().casefold(), path.as_posix()))
        return [path.as_posix() for path in found]

    def _files(self) -> Iterator[Path]:
        """Files of models, and folders in diffusers' layout in place of the files in them."""
        for path in islice(self._entries(), _MOST_LOOKED_AT):
            if path.suffix.lower() in MODEL_ENDINGS or is_model_folder(path):
                yield path.relative_to(self.folder)

    def _entries(self) -> Iterator[Path]:
        for parent, folders, files in os.walk(self.folder):
            here = Path(parent)
            hidden = [name for name in folders if name.startswith(".")]
            models = [name for name in folders if name not in hidden and is_model_folder(here / name)]
            yield from (here / name for name in (*models, *files) if not name.startswith("."))
            folders[:] = [name for name in folders if name not in (*hidden, *models)]


def described(model: FileKind, vae: FileKind | None) -> Message:
    """A model that is trained on, in words, with the VAE that replaces its own."""
    if vae is None:
        return message("hosts.model", name=model.name, kind=model.label)
    return message("hosts.model_with_vae", name=model.name, kind=model.label, vae=vae.name)


def _is_vae(name: str) -> bool:
    return "vae" in name.casefold()
