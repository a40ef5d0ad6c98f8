"""A run, from a job to a file: host → model → passes → loop → file → host, whatever happens on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..config.check import check_for_family, check_for_run
from ..config.choices import MODES, Images
from ..config.key_values import split_loras
from ..config.schema import dump
from ..config.settings import Settings, effective
from ..data.latents import encode_samples
from ..data.pair_scan import scan_for_mode
from ..data.pairs import Pair, open_pair
from ..data.samples import Scan
from ..diffusion.parameterisation import EPSILON, VELOCITY
from ..errors import DivergedError, MemoryShortError, ModelError, OutputError, SettingsError, Stopped, UserError
from ..job import Control, Detail, Done, Failed, Job, Listener, Phase, Warned
from ..models.base import Bundle
from ..models.checkpoint.hashes import Hashing
from ..models.placement import broken_weight, place, stored_types
from ..models.precision import choose_precision
from ..modes.base import Plan
from ..modes.registry import mode_of
from ..networks import resume
from ..networks.files.find import find_lora
from ..networks.files.metadata import Origin
from ..networks.files.read import network_from_file
from ..optim import optimizers, schedules
from ..paths import write_whole
from ..text.messages import Message, label, message
from .host import Host
from .passes import Passes
from .saving import output_path


def check(job: Job, host: Host) -> Message:
    """Everything that can be found wrong before the device is touched; says what will be trained on.

    Raises:
        UserError: settings (all problems at once), a choice that is not built, the model, the output.
    """
    settings = effective(job.settings)
    mode = mode_of(settings.mode)
    problems = check_for_run(settings)
    if problems:
        raise SettingsError(problems)
    for name, _ in split_loras(settings.base_loras):
        find_lora(name, host.folders.loras)
    plans = [training.plan for training in mode.passes(settings)]
    for plan in plans:
        _check_plan(plan, settings, host)
    model = host.check_model(settings)
    unsuitable = check_for_family(settings, model.family)
    if unsuitable:
        raise SettingsError(unsuitable)
    for plan in plans:
        resume.check(plan.settings or settings, model.family, host.folders.loras)
        if plan is plans[-1] or (plan.saved and not plan.loaded):
            _check_output(output_path(job, host.folders, ending=plan.ending), overwrite=settings.save_overwrite)
    return model.label


def _check_plan(plan: Plan, settings: Settings, host: Host) -> None:
    """What one pass would stumble over; said with the pass's name where its settings are its own."""
    if plan.loaded:
        find_lora(plan.loaded, host.folders.loras)
        return
    own = plan.settings or settings
    try:
        optimizers.arguments(own)
        schedules.arguments(own)
    except UserError as error:
        if plan.settings is None or not settings.use_2nd_pass_settings:
            raise
        where = message("config.of_pass", name=message(f"phase.{plan.name}"), label=error.where)
        raise error.at(where) from error


def _check_output(target: Path, *, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise OutputError(
            f"{target.name} is already there", where="save lora name", do="Choose another name, or set save overwrite"
        )
    folder = next(parent for parent in target.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError("cannot be written to", where=str(folder), do="Choose another folder for the LoRA")


def run(job: Job, host: Host, control: Control, emit: Listener) -> Done:
    """Train ``job`` on ``host`` and save what comes of it.

    Events go to ``emit`` in the thread that calls; the last one is ``Done`` or ``Failed``.

    Raises:
        UserError: after ``Failed`` has been sent with it.
    """
    try:
        check(job, host)
        with ExitStack() as stack:
            stack.callback(host.give_back)
            done = _Run(job, effective(job.settings), host, control, emit, stack).go()
    except Stopped:
        done = Done(None, 0, stopped=True)
    except UserError as error:
        emit(Failed(error))
        raise
    except Exception as error:
        failure = _explained(error)
        emit(Failed(failure))
        if isinstance(failure, MemoryShortError):
            raise failure from error
        raise
    emit(done)
    return done


@dataclass
class _Run:
    """The state of one run while it lasts."""

    job: Job
    settings: Settings
    host: Host
    control: Control
    emit: Listener
    stack: ExitStack
    has_model: bool = False
    waits: bool = False

    def go(self) -> Done:
        settings, host = self.settings, self.host
        mode, images = mode_of(settings.mode), MODES[settings.mode].images
        if settings.save_as_json:
            self._save_settings()
        looked = self._look(images)
        self.emit(Phase("loading the model"))
        bundle = host.take_model(settings, self._check_wait)
        self.has_model = True
        told = [*bundle.notes, *_force_velocity(bundle, settings)]
        self.control.check()
        survives = bundle.family.vae_survives_half(bundle.vae_name)
        precision = choose_precision(
            settings,
            stored_types(bundle),
            host.device,
            vae_survives_half=survives,
            label=bundle.family.part_label,
        )
        advice = optimizers.advice(settings)
        for note in (*told, *precision.notes):
            self.emit(Warned(note))
        if advice is not None:
            self.emit(Warned(advice))
        place(bundle, host.device, precision.parts, int8=precision.int8)
        self._attach_base_loras(bundle)
        scanned = self._placed(looked, bundle) if isinstance(looked, Pair) else looked
        if scanned is not None and images == "pair":  # whatever the settings say, this is its size
            settings = replace(settings, image_size=scanned.distinct[0].frame)
        data = encode_samples(scanned, bundle, settings, self._progress) if scanned else None
        hashing = Hashing(bundle.path)  # now, so that it is done when the first file is saved
        self.stack.callback(hashing.cancel)
        captions = scanned.all_captions() if scanned else []
        trains_text = mode.trains_text_encoder(settings, captions)
        predicts = bundle.diffusion.parameterisation.name
        self._detail(f"{bundle.name}: {bundle.family.label}, {predicts}, computed in {precision.base}")
        origin = Origin(settings, bundle, precision.base, mode.usage(settings, captions), trains_text, scanned)
        passes = Passes(self.job, host, self.control, self.emit, origin, hashing, precision, data)
        with _broken_model_named(bundle):
            return passes.run(mode.passes(settings))

    def _attach_base_loras(self, bundle: Bundle) -> None:
        """LoRAs that are part of the model for this run: frozen, and on whatever the trained network's strength is."""
        for name, strength in split_loras(self.settings.base_loras):
            network = network_from_file(find_lora(name, self.host.folders.loras), bundle).requires_grad_(False)
            network.strength = strength
            self.stack.enter_context(network.attached())

    def _look(self, images: Images) -> Scan | Pair | None:
        """Look at every picture before the model is loaded; what is wrong with one of a folder is told, not fatal."""
        if images == "none":
            return None
        if images == "pair":
            return open_pair(self.settings)
        scanned = scan_for_mode(
            self.settings,
            check=self.control.check,
            progress=lambda done, total: self.emit(Phase("looking at the pictures", done, total)),
        )
        self._tell(scanned)
        scanned.require_usable()
        return scanned

    def _placed(self, pair: Pair, bundle: Bundle) -> Scan:
        """The size of a pair may be the model's own, so it is found once that is known."""
        placed = pair.placed(self.settings, bundle.family.default_size)
        self._tell(placed)
        return placed

    def _tell(self, scanned: Scan) -> None:
        for problem in (*scanned.notes, *scanned.problems):
            self.emit(Warned(str(problem)))

    def _detail(self, message: str) -> None:
        if self.settings.logging_verbose:
            self.emit(Detail(message))

    def _check_wait(self) -> None:
        """What the user wants saved is waited for; as long as there is no model, there is nothing to save."""
        if not (self.has_model or self.waits):
            self.waits = True
            self.emit(Phase("waiting for the WebUI"))
        if not (self.has_model and self.control.asked_to_save):
            self.control.check()

    def _progress(self, name: str, done: int, total: int) -> None:
        self.control.check()
        self.emit(Phase(name, done, total))
        for note in self.host.between_steps(f"{self.job.name}, {name}", done, total):
            self.emit(Warned(note))

    def _save_settings(self) -> None:
        path = self.host.folders.settings(self.job.name, self.job.created)
        write_whole(path, [dump(self.job.settings).encode()])


def _force_velocity(bundle: Bundle, settings: Settings) -> list[Message]:
    """Do what ``model_v_pred`` says, and say so where the model does not."""
    if not settings.model_v_pred or bundle.diffusion.parameterisation is not EPSILON:
        return []
    bundle.diffusion = bundle.diffusion.predicting(VELOCITY)
    return [message("models.forced_velocity", file=bundle.name, setting=label("model_v_pred"))]


def _explained(error: Exception) -> UserError:
    """A sentence for what is nobody's mistake."""
    text = str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "allocate memory" in text:
        return MemoryShortError(
            "the memory is not enough",
            do="Switch on gradient checkpointing, or lower batch size, image size or rank",
        )
    return UserError(f"something went wrong that should not have ({type(error).__name__}: {text})")


@contextmanager
def _broken_model_named(bundle: Bundle) -> Iterator[None]:
    """A loss that is not a number is the model's fault where its weights are none; only then are they all read."""
    try:
        yield
    except DivergedError as error:
        broken = broken_weight(bundle)
        if broken is None:
            raise
        raise ModelError("models.nan_weights", file=bundle.name, weight=broken) from error
