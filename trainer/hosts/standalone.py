"""No host: models are read from files."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..captioning.base import Captioner, Check
from ..config.settings import Settings
from ..engine.effect import strength_grid
from ..engine.host import Choice
from ..engine.image_request import ImageRequest
from ..errors import MemoryShortError, ModelError, UserError
from ..models.about import about_model
from ..models.base import Bundle
from ..models.checkpoint.identify import MODEL_ENDINGS
from ..models.placement import away, place_for_images
from ..models.registry import check_files, defaults_for, family_of, load_bundle, load_libraries
from ..models.sample import sample
from ..networks import resume
from ..networks.files.read import network_from_file, refuse_other_family
from ..paths import CHECKOUT, Folders, path_of
from ..text.messages import Message, label
from .catalogue import FolderCatalogue, described

_LOOK_EVERY = 0.1
TOY = CHECKOUT / "tests" / "toy" / "toy-sd1.safetensors"
"""A very small checkpoint, for whoever wants to see what Trainyard does and has no model yet; an installation may lack
it."""


class Standalone:
    """Reads models from disk and keeps none after a run.

    Runs come before images: a run that starts or resumes ends those that are being made, and while it has the device
    no others are made.
    """

    def __init__(self, device: torch.device, folders: Folders) -> None:
        self.device = device
        self.folders = folders
        self._has_run = threading.Event()
        self._generating = threading.Lock()
        self._loading = threading.Lock()
        self._kept: tuple[object, Bundle] | None = None

    @property
    def lends_model(self) -> bool:
        return False

    def check_model(self, settings: Settings) -> Choice:
        model, vae = check_files(self._model(settings), vae=self._vae(settings))
        family = family_of(model)
        return Choice(described(model, vae), family.name, about_model(model, family, settings.prediction))

    def files(self, settings: Settings) -> tuple[Path, ...]:
        vae = self._vae(settings)
        return (self._model(settings),) if vae is None else (self._model(settings), vae)

    def defaults(self, settings: Settings) -> Mapping[str, Any]:
        try:
            of_model = defaults_for(self._model(settings), settings.mode, prediction=settings.prediction)
        except UserError:
            return {}
        return {**of_model, **resume.defaults(settings, self.folders.loras)}

    def prepare(self) -> None:
        with self._loading:  # diffusers breaks where two threads import it at once
            load_libraries()

    def take_model(self, settings: Settings, check: Callable[[], None] | None = None) -> Bundle:
        del check  # images that it waits for end at their next step
        self._clear_for_run()
        self.prepare()
        return load_bundle(self._model(settings), vae=self._vae(settings), prediction=settings.prediction)

    def give_back(self) -> None:
        gc.collect()
        self._has_run.clear()

    def between_steps(self, _phase: Message, _done: int, _total: int) -> Sequence[Message]:
        return ()

    def saved(self, path: Path) -> None:
        """Nothing to do: no older file of that name is in memory."""

    def make_room(self, bundle: Bundle, tensors: Sequence[Tensor]) -> Callable[[], None]:
        gone = away(bundle, tensors)
        self._has_run.clear()

        def come_back() -> None:
            self._clear_for_run()
            try:
                gone.come_back()
            except RuntimeError:
                self._has_run.clear()
                raise

        return come_back

    @property
    def makes_previews(self) -> bool:
        return False

    def draw(self, request: ImageRequest, advance: Callable[[int, int], None]) -> list[Image.Image]:
        self._refuse_beside_run()
        done, total = 0, len(request.strengths) * (request.steps + 1)

        def check() -> None:
            nonlocal done
            self._refuse_beside_run()
            advance(done, total)
            done += 1

        with self._generating:
            try:
                return self._images(request, check)
            except (torch.cuda.OutOfMemoryError, MemoryError) as error:
                raise MemoryShortError("hosts.images_too_large") from error

    @contextmanager
    def spare_device(self, check: Check) -> Iterator[torch.device]:
        while not self._generating.acquire(timeout=_LOOK_EVERY):
            check()
        try:
            yield torch.device("cpu") if self._has_run.is_set() else self.device
        finally:
            self._generating.release()

    @property
    def interrogators(self) -> Sequence[str]:
        return ()

    def interrogator(self, name: str) -> Captioner:
        raise UserError("captioning.no_interrogator_here", where=name)

    def _images(self, request: ImageRequest, check: Callable[[], None]) -> list[Image.Image]:
        if request.lora is not None:
            refuse_other_family(request.lora, self.check_model(Settings(model=request.model, vae=request.vae)).family)
        bundle = self._bundle_for(request)
        if request.lora is None:
            return sample(bundle, [request], check=check)
        network = network_from_file(request.lora, bundle)
        return strength_grid(bundle, network, [request], request.strengths, check=check)[0]

    def _bundle_for(self, request: ImageRequest) -> Bundle:
        """The model, kept for the next images: loading it may take longer than making them."""
        chosen = Settings(model=request.model, vae=request.vae)
        files = self._model(chosen), self._vae(chosen)
        key = (*((path, path.stat().st_mtime_ns) for path in files if path), request.prediction)
        if self._kept is None or self._kept[0] != key:
            self._drop()
            self.prepare()
            bundle = load_bundle(files[0], vae=files[1], prediction=request.prediction)
            place_for_images(bundle, self.device)
            self._kept = key, bundle
        self._kept[1].clip_skip = request.clip_skip
        return self._kept[1]

    def _refuse_beside_run(self) -> None:
        if self._has_run.is_set():
            raise UserError("hosts.training_has_device")

    def _clear_for_run(self) -> None:
        """Reserve the device for a run; images that are being made end at their next step."""
        self._has_run.set()
        with self._generating:
            self._drop()

    def _drop(self) -> None:
        """Free the memory of the kept model."""
        self._kept = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _model(self, settings: Settings) -> Path:
        if not settings.model:
            folder = self.folders.models
            if FolderCatalogue(folder).models():
                raise ModelError("hosts.no_model", where=label("model"), folder=folder)
            if not TOY.is_file():
                raise ModelError("hosts.no_model_there", where=label("model"), folder=folder)
            raise ModelError("hosts.no_model_but_toy", where=label("model"), folder=folder, toy=TOY)
        return find_model(settings.model, self.folders.models, "model")

    def _vae(self, settings: Settings) -> Path | None:
        if settings.vae in ("", "None"):
            return None
        return find_model(settings.vae, self.folders.models, "vae")


def find_model(name: str, folder: Path, setting: str) -> Path:
    """The file called ``name``: as a path, or in the models folder with or without its ending.

    Args:
        setting: the short name of the setting that names it, for the error.

    Raises:
        ModelError: there is no such file.
        UserError: the name can be no path.
    """
    given = path_of(name, label(setting))
    candidates = [given, folder / name, *(folder / f"{name}{ending}" for ending in MODEL_ENDINGS)]
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate
    raise ModelError("hosts.no_file", where=label(setting), name=name, folder=folder)
