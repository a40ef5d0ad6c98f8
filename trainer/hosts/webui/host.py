"""What all WebUIs have in common: lending their model to a run, their lock, progress, folders and lists.

How each of them keeps its model is in its subclass: see :class:`Backend`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ...captioning.base import Captioner, Check
from ...config.settings import CODES, FOUND, STREAMING, Settings
from ...config.size import Size
from ...diffusion.parameterisation import CHOICES, EPSILON, FLOW
from ...engine.host import Choice
from ...engine.image_request import ImageRequest
from ...errors import ModelError, UserError
from ...models.about import about_model
from ...models.base import Bundle, Conditioning, Family, HostTensors
from ...models.checkpoint.identify import FileKind, as_chosen, identify
from ...models.checkpoint.parts import VAE
from ...models.checkpoint.weights import Source
from ...models.host_memory import HostMemory
from ...models.placement import Away, away
from ...models.registry import FAMILIES, check_files, defaults_for, family_of, load_bundle, load_libraries
from ...networks import resume
from ...networks.files.read import refuse_other_family
from ...paths import Folders
from ...text.messages import Message, message, say
from ..catalogue import described
from . import api as webui_api
from . import images, interrogators
from .backend import Backend, Loaded, NotPlainError, clip_skip
from .lists import NO_VAE, find_checkpoint, find_vae
from .lock import Lock, never
from .reload import Reload

_SKIPPED_BY_ALL = 2
"""The clip skip that means the same in every family and WebUI, as 1 does."""


class Files(NamedTuple):
    """The files a run trains on."""

    model: Path
    vae: Path | None


class WebUI(Backend):
    """The WebUI we run in.

    A run holds the host's lock while it works with the model. When someone else has held it between two steps, the
    weights are taken again: the host may have put a LoRA into them, or loaded another checkpoint.
    """

    def __init__(self) -> None:
        from modules import call_queue

        self.lock = Lock(call_queue.queue_lock)
        self.reload = Reload()
        self._host_memory: HostMemory | None = None
        self._bundle: Bundle | None = None
        self._files: Files | None = None
        self._prediction = FOUND
        self._aside = False
        self._is_changed = False
        self._notes: list[Message] = []
        self._check: Callable[[], None] = never

    # ---- what a host is ---------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        from modules import devices

        device = torch.device(devices.device)
        return torch.device("cuda", torch.cuda.current_device()) if device == torch.device("cuda") else device

    @property
    def folders(self) -> Folders:
        return webui_api.folders()

    @property
    def lends_model(self) -> bool:
        return True

    def check_model(self, settings: Settings) -> Choice:
        files = self._wanted(settings)
        model, vae = check_files(files.model, vae=files.vae)
        family, loaded = family_of(model), self.loaded()
        as_loaded = self._as_loaded(loaded, model) if loaded and _same(loaded.path, files.model) else model
        return Choice(described(model, vae), family.name, about_model(as_loaded, family, settings.prediction))

    def files(self, settings: Settings) -> tuple[Path, ...]:
        model, vae = self._wanted(settings)
        return (model,) if vae is None else (model, vae)

    def defaults(self, settings: Settings) -> Mapping[str, Any]:
        try:
            of_model = defaults_for(self._wanted(settings).model, settings.mode, prediction=settings.prediction)
        except UserError:
            return {}
        return {**of_model, **resume.defaults(settings, self.folders.loras)}

    def prepare(self) -> None:
        self.lock.take()  # Forge replaces torch's classes while it loads a model: ours must not inherit from those
        try:
            load_libraries()
        finally:
            self.lock.leave()

    def take_model(self, settings: Settings, check: Callable[[], None] = never) -> Bundle:
        self._check = check
        self.lock.take(check)
        self._begin()
        _wait_for_loading()
        if not settings.model and self.loaded() is None:
            self.load()
        self._files, self._prediction = self._wanted(settings), settings.prediction
        bundle = None if self._keeps_own(settings) else self._from_host(self._files)
        if bundle is None:
            bundle = self._from_files(self._files)
        self._bundle = bundle
        return bundle

    def between_steps(self, phase: Message, done: int, total: int) -> Sequence[Message]:
        if self.lock.is_mine:
            self._show(phase, done, total)
            if self.lock.others_wait and not webui_api.option("training_first", False):
                self._let_others()
        notes, self._notes = self._notes, []
        return notes

    def make_room(self, bundle: Bundle, tensors: Sequence[Tensor]) -> Callable[[], None]:
        gone = away(bundle, tensors)
        self._leave()

        def come_back() -> None:
            self._return()
            try:
                gone.come_back()
            except RuntimeError:
                self._leave()
                raise

        return come_back

    @property
    def makes_previews(self) -> bool:
        """Whether the host has in memory the model that is trained on, and understands LoRAs."""
        now, files = self.loaded(), self._files
        same_vae = now is not None and files is not None and now.vae == files.vae
        return self._host_memory is not None and same_vae and self._loaded_is_ours() and images.takes_loras()

    def draw(self, request: ImageRequest, advance: Callable[[int, int], None]) -> list[Image.Image]:
        if self.lock.is_mine:  # a run's own samples
            self._begin()  # an interruption from before was not meant for them
            try:
                return self._draw(request, advance)
            finally:
                self._begin()
                self._take_again()
        self.lock.take(lambda: advance(0, 0))
        self._begin()
        try:
            return self._draw(request, advance)
        finally:
            self._leave()

    def _draw(self, request: ImageRequest, advance: Callable[[int, int], None]) -> list[Image.Image]:
        self.reload.wait(lambda: advance(0, 0))
        if not request.model and self.loaded() is None:
            self.load()
        files, loaded = self._wanted(Settings(model=request.model, vae=request.vae)), self.loaded()
        if request.lora is not None:
            family = identify(files.model).family
            if family is not None and family in FAMILIES:  # what the WebUI's other models take, it knows itself
                refuse_other_family(request.lora, family)
        it_is = loaded is not None and _same(loaded.path, files.model) and loaded.vae == files.vae
        it_is = it_is and (request.lora is None or images.takes_loras())
        it_is = it_is and (request.clip_skip <= _SKIPPED_BY_ALL or self.skips_in_every_family)
        if loaded is not None and it_is and self._predicts_as(request.prediction, loaded):

            def begin(done: int, total: int) -> None:
                advance(done, total)
                self.reload.wait(lambda: advance(done, total))

            with clip_skip(request.clip_skip):
                return images.draw(request, self.saved, begin, is_flow=self.prediction(loaded) == FLOW.name)
        from ..standalone import Standalone  # with diffusers

        own = Standalone(self.device, self.folders)
        self._make_device_free()
        prediction = self._prediction_of(files, request.prediction)
        return own.draw(
            replace(request, model=str(files.model), vae=str(files.vae or ""), prediction=prediction), advance
        )

    @contextmanager
    def spare_device(self, check: Check) -> Iterator[torch.device]:
        if self._files is not None:  # a run has the lock, and would have to leave the device to hand it over
            yield torch.device("cpu")
            return
        with self._alone(check):
            yield self.device

    @property
    def interrogators(self) -> Sequence[str]:
        return interrogators.interrogators()

    def interrogator(self, name: str) -> Captioner:
        return interrogators.Interrogator(name, self._beside_no_run)

    @contextmanager
    def _beside_no_run(self, check: Check) -> Iterator[None]:
        """As :meth:`_alone`.

        Raises:
            UserError: a run has the device, which the host's own models need.
        """
        if self._files is not None:
            raise UserError("captioning.training_has_device")
        with self._alone(check):
            yield

    @contextmanager
    def _alone(self, check: Check) -> Iterator[None]:
        """Nothing else computes while the block lasts."""
        self.lock.take(check)
        try:
            self.reload.wait(check)
            yield
        finally:
            self.lock.leave()

    def give_back(self) -> None:
        self._bundle = self._host_memory = self._files = None
        self._is_changed, self._notes, self._check = False, [], never
        if self.lock.is_mine:
            # With the lock: Neo holds on to a checkpoint that it replaces by weak references, and fails for good if
            # a collection takes it away meanwhile.
            gc.collect()
        self._leave()

    # ---- the model --------------------------------------------------------------------------------------------------

    def _wanted(self, settings: Settings) -> Files:
        """Raises:
        ModelError: there is no such file.
        """
        loaded = self.loaded()
        if settings.model:
            model = find_checkpoint(settings.model)
        else:
            model = loaded.path if loaded else self.chosen()
        if settings.vae not in NO_VAE:
            return Files(model, find_vae(settings.vae))
        return Files(model, loaded.vae if loaded and _same(loaded.path, model) else None)

    def _from_host(self, files: Files) -> Bundle | None:
        """The model in the host's memory; None if that is another one, or cannot be trained on."""
        loaded = self.loaded()
        if loaded is None or not _same(loaded.path, files.model):
            return None
        try:
            bundle = self._borrow(loaded, files)
        except NotPlainError as error:
            self._notes.append(message("hosts.read_from_file", name=files.model.name, reason=error.reason))
            return None
        self._host_memory = HostMemory(bundle)
        return bundle

    def _keeps_own(self, settings: Settings) -> bool:
        """Whether a run keeps the weights in another form than the host, so that on a card they would take room beside
        the host's; that is told."""
        own = settings.train_model_precision in CODES or settings.train_memory_saving == STREAMING
        if own and self.device.type != "cpu" and self._files is not None:
            self._notes.append(
                message("hosts.read_from_file", name=self._files.model.name, reason=message("hosts.kept_otherwise"))
            )
        return own and self.device.type != "cpu"

    def _borrow(self, loaded: Loaded, files: Files) -> Bundle:
        kind = identify(files.model)
        family, as_loaded = family_of(kind), self._as_loaded(loaded, kind)
        held = self.tensors(loaded)
        vae, same = None, False
        if files.vae is not None:
            theirs = family.named_as_in_file(HostTensors({}, held.vae, {}))
            same = loaded.vae is not None and _same(loaded.vae, files.vae)
            vae = Source.of_tensors(theirs, files.vae.name) if same else Source.of_file(identify(files.vae))
        source = Source.of_tensors(
            family.named_as_in_file(held),
            kind.name,
            files.model,
            like=as_chosen(as_loaded, self._prediction),
        )
        bundle = family.take(source, vae=vae)
        bundle.host_parts = frozenset(bundle.modules) - ({VAE} if vae is not None and not same else set())
        is_denied = self._prediction != FOUND and CHOICES[self._prediction].needs_signal
        if not is_denied and bundle.diffusion.parameterisation is not FLOW and self.has_zero_terminal_snr(loaded):
            bundle.diffusion = bundle.diffusion.with_zero_terminal_snr()
        bundle.encode_prompt = partial(self._encode, family)
        return bundle

    def _as_loaded(self, loaded: Loaded, kind: FileKind) -> FileKind:
        """The checkpoint as the host takes it, if that is not as a model that predicts the noise.

        Raises:
            ModelError: the host takes it for one that cannot be trained.
        """
        taken = self.prediction(loaded)
        if taken not in (each.name for each in CHOICES.values()):
            raise ModelError("hosts.other_prediction", file=kind.name, what=taken)
        if taken in (EPSILON.name, kind.prediction_type):  # it is what a host takes for granted
            return kind
        return replace(kind, prediction_type=taken, prediction_reason="host")

    def _prediction_of(self, files: Files, wanted: str) -> str:
        """The setting ``prediction`` for a model that is read from its file: what the host knows of it is not lost."""
        loaded = self.loaded()
        if loaded is None or not _same(loaded.path, files.model):
            return wanted
        as_loaded = self._as_loaded(loaded, identify(files.model))
        if wanted != FOUND or as_loaded.prediction_reason != "host":
            return wanted
        return next(word for word, each in CHOICES.items() if each.name == as_loaded.prediction_type)

    def _predicts_as(self, prediction: str, loaded: Loaded) -> bool:
        """Whether the host takes its model as the setting ``prediction`` says."""
        return prediction == FOUND or CHOICES[prediction].name == self.prediction(loaded)

    def _from_files(self, files: Files) -> Bundle:
        self._make_device_free()
        return load_bundle(files.model, vae=files.vae, prediction=self._prediction_of(files, self._prediction))

    def _loaded_is_ours(self) -> bool:
        """Whether the host has in memory the model that the run trains on."""
        now, files = self.loaded(), self._files
        return now is not None and files is not None and _same(now.path, files.model)

    def _encode(self, family: Family, prompt: str, size: Size | None, layer: int) -> Conditioning | None:
        """A prompt as the host encodes it; None if it has loaded another model since, or cannot skip layers of this
        one."""
        now = self.loaded()
        if not self.lock.is_mine or now is None or not self._loaded_is_ours():
            return None
        if layer > family.last_layer > 1 and not self.skips_in_every_family:
            return None
        self.reload.wait(self._check)
        with torch.no_grad(), clip_skip(max(layer, family.last_layer) if layer else 0):
            found = family.conditioning_of_host(self.encode(now, prompt, size), size)
        return found.copied()  # outside inference mode, which the host may have computed it in

    # ---- the lock ---------------------------------------------------------------------------------------------------

    def _let_others(self) -> None:
        bundle = self._bundle
        gone = Away(()) if bundle is None or self.device.type == "cpu" else away(bundle)
        self._end()
        with _collector_on():
            self.lock.let_others(self._check)
        self._begin()
        self._take_again()
        gone.come_back()

    def _leave(self) -> None:
        if self.lock.is_mine:
            try:
                self._end()
            finally:
                self.lock.leave()

    def _return(self) -> None:
        self.lock.take(self._check)
        self._begin()
        self._take_again()

    def _take_again(self) -> None:
        """Take the weights again after others had the model, and put them into the run's bundle."""
        if self._files is None:
            return
        if self._host_memory is None:
            self._make_device_free()
            return
        memory, notes = self._host_memory, list(self._notes)
        bundle = self._from_host(self._files)
        self._host_memory = memory
        if bundle is not None:
            memory.renew(bundle)
        elif self._is_changed:
            self._notes = notes
        else:
            memory.renew(load_bundle(self._files.model, vae=self._files.vae))
            self._notes.append(message("hosts.other_model_loaded", name=self._files.model.name))
        self._is_changed = bundle is None

    def _make_device_free(self) -> None:
        """Move the host's model off the device, for one of ours."""
        if self.device.type != "cpu" and not self._aside:
            self.step_aside()
            self._aside = True

    def _begin(self) -> None:
        from modules import shared

        shared.state.begin(job="Trainyard")

    def _show(self, phase: Message, done: int, total: int) -> None:
        from modules import shared

        state = shared.state
        state.job, state.job_no, state.job_count = "Trainyard", done, total
        key = "hosts.progress" if total else "hosts.phase"
        state.textinfo = say(key, webui_api.language(), phase=phase, done=done, total=total)

    def _end(self) -> None:
        from modules import shared

        if self._aside:
            self._aside = False
            self.step_back()
        shared.state.job_no = 0
        shared.state.textinfo = None
        shared.state.end()


@contextmanager
def _collector_on() -> Iterator[None]:
    """Python's garbage collector on: the loop has it off, and the host relies on it."""
    was_on = gc.isenabled()
    gc.enable()
    try:
        yield
    finally:
        if not was_on:
            gc.disable()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _wait_for_loading() -> None:
    """At its start a host may load its model without holding its lock, with torch's classes replaced meanwhile."""
    from modules import sd_models

    lock = getattr(sd_models.model_data, "lock", None)
    if lock is not None:
        with lock:
            pass
