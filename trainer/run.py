"""A run, from a job to a file: host → model → passes → loop → file → host, whatever happens on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .check import check_for_run
from .data.latents import Dataset, encode_samples
from .data.pairs import Pair, open_pair
from .data.scan import Scan, scan
from .effect import STEPS as EFFECT_STEPS
from .effect import report
from .errors import MemoryShortError, NotBuiltError, OutputError, SettingsError, Stopped, UserError
from .hosts.base import Host
from .job import Control, Detail, Done, Event, Failed, Job, Listener, Phase, Sample, Step, Warned
from .log import CSVLog
from .loop import Moments, train
from .models.base import Bundle
from .models.hashes import Hashing
from .models.placement import place, text_to
from .models.sample import Request, sample
from .modes.base import Pass, Pictures, Scene
from .modes.registry import mode_of
from .networks.base import Network, build
from .networks.metadata import Origin
from .networks.naming import text_targets, unet_targets
from .networks.registry import builder
from .noise import VELOCITY, NoiseSchedule, mixed_seed
from .optim import optimizers, schedules
from .paths import write_whole
from .precision import Precision, choose_precision
from .saving import Saver, output_path
from .schema import dump

_NETWORK_STREAM = 1 << 32  # no step has this number


def check(job: Job, host: Host) -> str:
    """Everything that can be found wrong before the device is touched; says what will be trained on.

    Raises:
        UserError: settings (all problems at once), a choice that is not built, the model, the output.
    """
    settings = job.settings
    mode_of(settings.mode)
    problems = check_for_run(settings)
    if problems:
        raise SettingsError(problems)
    if settings.network_resume:
        raise NotBuiltError("is not built yet", where="network resume", do="Leave it empty")
    choose_precision(settings, {torch.float32}, host.device)
    builder(settings, torch.float32, torch.device("cpu"))
    optimizers.arguments(settings)
    schedules.arguments(settings)
    model = host.check_model(settings)
    _check_output(output_path(job, host.folders), overwrite=settings.save_overwrite)
    return model


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
            done = _Run(job, host, control, emit, stack).go()
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
    host: Host
    control: Control
    emit: Listener
    stack: ExitStack

    def go(self) -> Done:
        settings, host = self.job.settings, self.host
        mode = mode_of(settings.mode)
        if settings.save_as_json:
            self._save_settings()
        looked = self._look(mode.pictures)
        self.emit(Phase("loading the model"))
        bundle = host.take_model(settings)
        if settings.model_v_pred:
            bundle.prediction_type = VELOCITY
        self.control.check()
        precision = choose_precision(settings, _base_dtypes(bundle), host.device)
        for note in (*precision.notes, *filter(None, [optimizers.advice(settings)])):
            self.emit(Warned(note))
        place(bundle, host.device, precision.base, precision.vae)
        scanned = self._placed(looked, bundle) if isinstance(looked, Pair) else looked
        data = encode_samples(scanned, bundle, settings, self._progress) if scanned else None
        hashing = Hashing(bundle.path)  # now, so that it is done when the first file is saved
        self.stack.callback(hashing.cancel)
        captions = scanned.all_captions() if scanned else []
        trains_text = mode.trains_text_encoder(settings, captions)
        self._detail(f"{bundle.name}: {bundle.family.label}, {bundle.prediction_type}, computed in {precision.base}")
        origin = Origin(bundle, precision.base, mode.usage(settings, captions), trains_text, scanned)
        saver = Saver(self.job, host.folders, origin, hashing, precision.saved, self.emit)
        done = Done(None, 0, stopped=False)
        for training in mode.passes(settings):
            done = self._train(training, saver, precision, data)
        return done

    def _look(self, pictures: Pictures) -> Scan | Pair | None:
        """Look at every picture before the model is loaded; what is wrong with one of a folder is told, not fatal."""
        if pictures == "none":
            return None
        if pictures == "pair":
            return open_pair(self.job.settings)
        scanned = scan(
            self.job.settings,
            check=self.control.check,
            progress=lambda done, total: self.emit(Phase("looking at the pictures", done, total)),
        )
        self._tell(scanned)
        scanned.require_usable()
        return scanned

    def _placed(self, pair: Pair, bundle: Bundle) -> Scan:
        """The size of a pair may be the model's own, so it is found once that is known."""
        placed = pair.placed(self.job.settings, bundle.family.default_size)
        self._tell(placed)
        return placed

    def _tell(self, scanned: Scan) -> None:
        for problem in (*scanned.notes, *scanned.problems):
            self.emit(Warned(str(problem)))

    def _detail(self, message: str) -> None:
        if self.job.settings.logging_verbose:
            self.emit(Detail(message))

    def _progress(self, name: str, done: int, total: int) -> None:
        self.control.check()
        self.emit(Phase(name, done, total))

    def _train(self, training: Pass, saver: Saver, precision: Precision, data: Dataset | None) -> Done:
        settings, device = self.job.settings, self.host.device
        bundle, trains_text = saver.origin.bundle, saver.origin.trains_text_encoder
        network = self._network(bundle, precision, trains_text)
        schedule = NoiseSchedule.from_betas(bundle.betas, bundle.prediction_type, device)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        self._detail(f"{len(network)} modules, {parameters:,} parameters, on {device}, seed {settings.train_seed}")
        logs = self._logs(bundle, groups=2 if trains_text else 1)
        with network.attached(), logs, checkpointing(bundle, settings.use_gradient_checkpointing):
            self.emit(Phase("encoding the prompts"))
            training.prepare(Scene(settings, bundle, network, schedule, data, self._progress))
            self.control.check()
            if not trains_text:
                text_to(bundle, "cpu")
            self.emit(Phase("training", 0, settings.train_iterations))
            steps = train(
                training,
                network,
                settings,
                device=device,
                scale_loss=precision.scales_loss,
                control=self.control,
                emit=self._emit_and_log,
                moments=Moments(
                    lambda step: saver.on_the_way(network, step),
                    lambda step: self._sample(network, bundle, step),
                ),
            )
        return self._finish(network, saver, steps)

    def _finish(self, network: Network, saver: Saver, steps: int) -> Done:
        job, stopped = self.job, steps < self.job.settings.train_iterations
        if stopped and (steps == 0 or not self.control.asked_to_save):
            return Done(None, steps, stopped=True)
        self.emit(Phase("saving"))
        path = saver.finished(network, steps)
        request = self._request(saver.origin.usage.prompt, EFFECT_STEPS) if job.settings.effect_strip else None
        picture = self.host.folders.samples(job.name, job.created) / "effect.png"
        report(path, saver.origin.bundle, request, picture, control=self.control, emit=self.emit)
        return Done(path, steps, stopped=stopped)

    def _request(self, prompt: str, steps: int = Request.steps) -> Request:
        settings = self.job.settings
        return Request(prompt, settings.sample_negative, settings.sample_seed, steps, size=settings.image_size)

    def _network(self, bundle: Bundle, precision: Precision, trains_text: bool) -> Network:
        settings = self.job.settings
        targets = unet_targets(bundle.unet, settings.network_blocks, settings.network_element)
        if trains_text:
            targets = text_targets(bundle.text_encoders[0]) + targets
        generator = torch.Generator().manual_seed(mixed_seed(settings.train_seed, _NETWORK_STREAM))
        return build(targets, builder(settings, precision.network, self.host.device), generator)

    def _sample(self, network: Network, bundle: Bundle, step: int) -> None:
        """Pictures at every sample strength; a failure here is told and never ends the run.

        The strength is left as it is: a pass sets its own before every forward pass it differentiates.
        """
        settings = self.job.settings
        folder = self.host.folders.samples(self.job.name, self.job.created)
        request = self._request(settings.sample_prompt)
        try:
            text_to(bundle, self.host.device)
            for strength in settings.sample_strengths:
                network.strength = strength
                (picture,) = sample(bundle, [request], check=self.control.check)
                path = folder / f"{step:06d}_{strength:+g}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
                self.emit(Sample(step, path))
        except Stopped:  # the loop sees it, too, and ends as it was asked to
            return
        except (RuntimeError, OSError) as error:
            self.emit(Warned(f"No sample picture at step {step}: {error}"))
        finally:
            if not network.parameters_of("text"):
                text_to(bundle, "cpu")

    def _save_settings(self) -> None:
        path = self.host.folders.settings(self.job.name, self.job.created)
        write_whole(path, [dump(self.job.settings).encode()])

    def _emit_and_log(self, event: Event) -> None:
        if isinstance(event, Step):
            rates = ", ".join(f"{rate:.3g}" for rate in event.rates)
            self._detail(f"step {event.number}: loss {event.loss:.5f}, learning rate {rates}")
        for log in list(self._open_logs):
            try:
                log(event)
            except OSError as error:
                self._open_logs.remove(log)
                self.emit(Warned(f"{log.path}: the log ends here, it cannot be written any more ({error.strerror})."))
        self.emit(event)

    @contextmanager
    def _logs(self, bundle: Bundle, groups: int) -> Iterator[None]:
        folders, settings = self.host.folders, self.job.settings
        paths = [folders.run_log(self.job.name, self.job.created)]
        if settings.logging_save_csv:
            paths.append(folders.log(self.job.name, self.job.created))
        self._open_logs = [CSVLog(path, settings, bundle.family.name, groups) for path in paths]
        try:
            yield
        finally:
            for log in self._open_logs:
                log.close()


def _explained(error: Exception) -> UserError:
    """A sentence for what is nobody's mistake."""
    text = str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "allocate memory" in text:
        return MemoryShortError(
            "the memory is not enough",
            do="Switch on gradient checkpointing, or lower batch size, image size or rank",
        )
    return UserError(f"something went wrong that should not have ({type(error).__name__}: {text})")


def _base_dtypes(bundle: Bundle) -> set[torch.dtype]:
    return {dtype for part, dtype in bundle.dtypes.items() if part != "vae"}


@contextmanager
def checkpointing(bundle: Bundle, wanted: bool) -> Iterator[None]:
    """Gradient checkpointing of the U-Net while the block lasts: memory for a second forward pass.

    diffusers of the older hosts checkpoints only modules in training mode; the U-Net has no dropout, so that changes
    nothing else. Text encoders are small beside it and are left alone.
    """
    if not wanted:
        yield
        return
    unet: Any = bundle.unet
    unet.train()
    unet.enable_gradient_checkpointing()
    try:
        yield
    finally:
        unet.disable_gradient_checkpointing()
        unet.eval()
