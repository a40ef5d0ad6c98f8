"""No host: the model comes from the file the settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, UserError
from ..models.base import Bundle
from ..models.identify import MODEL_ENDINGS
from ..models.placement import Away, tensors_of
from ..models.registry import check_files, defaults_for, family_of, load_bundle
from ..paths import Folders
from ..settings import Settings
from .base import Choice


class Standalone:
    """Reads models from disk; the bundle is dropped when the run ends."""

    def __init__(self, device: torch.device, folders: Folders) -> None:
        self.device = device
        self.folders = folders

    def check_model(self, settings: Settings) -> Choice:
        model, vae = check_files(self._model(settings), vae=self._vae(settings))
        label = f"{model.name} ({model.label})" + (f" with the VAE {vae.name}" if vae else "")
        return Choice(label, family_of(model).name)

    def defaults(self, settings: Settings) -> Mapping[str, Any]:
        try:
            return defaults_for(self._model(settings), settings.mode, velocity=settings.model_v_pred)
        except UserError:
            return {}

    def take_model(self, settings: Settings) -> Bundle:
        return load_bundle(self._model(settings), vae=self._vae(settings))

    def give_back(self) -> None:
        """Nothing was borrowed."""

    def make_room(self, bundle: Bundle, tensors: Sequence[Tensor]) -> Callable[[], None]:
        return Away([*tensors_of(bundle), *tensors]).come_back

    def _model(self, settings: Settings) -> Path:
        if not settings.model:
            raise ModelError(
                "no model is chosen", where="model", do="Name a checkpoint, on the command line with --model FILE"
            )
        return find_model(settings.model, self.folders.models, "model")

    def _vae(self, settings: Settings) -> Path | None:
        if settings.vae in ("", "None"):
            return None
        return find_model(settings.vae, self.folders.models, "vae")


def find_model(name: str, folder: Path, label: str) -> Path:
    """The file called ``name``: as a path, or in the models folder with or without its ending.

    Raises:
        ModelError: there is none.
    """
    given = Path(name).expanduser()
    candidates = [given, folder / name, *(folder / f"{name}{ending}" for ending in MODEL_ENDINGS)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ModelError(f"there is no file {name}", where=label, do=f"Give its full path, or put it into {folder}")
