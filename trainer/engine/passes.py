"""The passes of a run, one after the other on one model: network → loop with its samples and logs → file.

A pass trains a network of its own. The networks of the passes before it stay attached and frozen until the last one is
done; only that one is left for what is told of the finished LoRA.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..data.latents import Dataset
from ..diffusion.random import mixed_seed
from ..errors import Stopped, UserError
from ..job import Control, Detail, Done, Event, Job, Listener, Phase, Sample, Saved, Step, Warned
from ..models.base import Bundle
from ..models.checkpoint.hashes import Hashing
from ..models.checkpoint.parts import TEXT_ENCODER
from ..models.placement import text_to
from ..models.precision import Precision
from ..models.sample import sample
from ..modes.base import Pass, Plan, Scene
from ..networks import resume
from ..networks.base import Network, build
from ..networks.files import file
from ..networks.files.find import find_lora
from ..networks.files.metadata import Origin
from ..networks.files.read import network_from_file
from ..networks.registry import builder, targets_of
from ..reports.log import CSVLog
from .effect import STEPS as EFFECT_STEPS
from .effect import report
from .host import Host
from .image_request import ImageRequest
from .loop import Moments, train
from .pause import pause
from .saving import Saver

_NETWORK_STREAM = 1 << 32  # no step has this number


@dataclass
class Passes:
    """What all passes of a run share.

    Attributes:
        origin: what goes into the files; each pass puts in its settings and its usage.
        data: the pictures, for modes that need them.
        earlier: the networks of the passes before the one that runs.
    """

    job: Job
    host: Host
    control: Control
    emit: Listener
    origin: Origin
    hashing: Hashing
    precision: Precision
    data: Dataset | None
    earlier: list[Network] = field(default_factory=list)

    def run(self, passes: list[Pass]) -> Done:
        """Take ``passes`` in turn, off the list, so that nothing of one is kept longer than it is needed.

        Returns:
            How the last one ended. If the user stops one, those after it are not begun.
        """
        done, turn = Done(None, 0, stopped=False), None
        with ExitStack() as attached:
            while passes and not done.stopped:
                training = passes.pop(0)
                turn = Turn(self, training.plan)
                if training.plan.loaded:
                    network = turn.load()
                else:
                    network, done = turn.train(training)
                if passes:
                    attached.enter_context(network.requires_grad_(False).attached())
                    network.strength = 1.0
                    self.earlier.append(network)
                del training, network
            self.earlier.clear()
        if turn is not None and done.path is not None:
            turn.tell_effect(done)
        return done

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The networks of earlier passes switched off, as they are where a finished LoRA is used."""
        with ExitStack() as stack:
            for network in self.earlier:
                stack.enter_context(network.off())
            yield


class Turn:
    """One pass while it runs."""

    def __init__(self, run: Passes, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        settings = plan.settings or run.origin.settings
        self._stored = resume.stored(settings, run.host.folders.loras)
        if self._stored is not None:
            settings = resume.as_stored(settings, self._stored)
        self._origin = replace(run.origin, settings=settings, usage=plan.usage or run.origin.usage)
        seed = mixed_seed(settings.train_seed, plan.stream) % 2**32 if plan.stream else settings.train_seed
        self._settings = replace(settings, train_seed=seed)
        self._open_logs: list[CSVLog] = []

    def load(self) -> Network:
        """The network of a file in place of one that is trained.

        Raises:
            NetworkError: there is no such file, or it does not fit the model.
        """
        run = self._run
        self._phase("loading")
        return network_from_file(find_lora(self._plan.loaded, run.host.folders.loras), run.origin.bundle)

    def train(self, training: Pass) -> tuple[Network, Done]:
        """Train a network of one's own, and save it if the plan says so."""
        run, settings = self._run, self._settings
        bundle, device, trains_text = run.origin.bundle, run.host.device, run.origin.trains_text_encoder
        network = self._network(bundle, trains_text)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        self._detail(f"{len(network)} modules, {parameters:,} parameters, on {device}, seed {settings.train_seed}")
        saver = self._saver()
        with (
            network.attached(),
            self._logs(bundle, groups=2 if trains_text else 1),
            bundle.family.checkpointing(bundle) if settings.use_gradient_checkpointing else nullcontext(),
        ):
            self._phase("encoding the prompts")
            if run.earlier:  # whose text encoder has left the device
                text_to(bundle, device)
            training.prepare(Scene(settings, bundle, network, bundle.diffusion.to(device), run.data, self._progress))
            run.control.check()
            if not trains_text:
                text_to(bundle, "cpu")
            self._phase("training", 0, settings.train_iterations)
            steps = train(
                training,
                network,
                settings,
                device=device,
                scale_loss=run.precision.scales_loss,
                control=run.control,
                emit=self._emit_and_log,
                moments=Moments(
                    lambda step: self._save_on_the_way(saver, network, step),
                    lambda step: self._sample(network, bundle, step),
                    self._pause,
                    lambda step: self._between_steps(step, settings.train_iterations),
                ),
            )
        return network, self._finish(network, saver, steps)

    def tell_effect(self, done: Done) -> None:
        """What the file that has been saved changes; no network of this run is attached any more."""
        assert done.path is not None
        run = self._run
        request = self._request(self._origin.usage.prompt, EFFECT_STEPS) if run.job.settings.effect_strip else None
        picture = run.host.folders.samples(run.job.name, run.job.created) / "effect.png"
        with suppress(Stopped):  # the LoRA is saved
            mode = run.job.settings.mode
        report(
            done.path, run.origin.bundle, request, picture, mode, control=run.control, emit=self._emit_and_let_others
        )

    # ---- the network and its file -----------------------------------------------------------------------------------

    def _network(self, bundle: Bundle, trains_text: bool) -> Network:
        settings, dtype = self._settings, self._run.precision.network
        targets = targets_of(bundle, settings, trains_text=trains_text)
        generator = torch.Generator().manual_seed(mixed_seed(settings.train_seed, _NETWORK_STREAM))
        make = builder(settings, dtype, self._run.host.device)
        if self._stored is None:
            return build(targets, make, generator)
        new = partial(make, generator=generator)
        network, note = resume.resumed_network(self._stored, bundle, targets, new, settings, dtype)
        self._stored = None
        self._run.emit(Warned(note))
        return network

    def _saver(self) -> Saver:
        run = self._run
        saved = run.precision.saved
        return Saver(run.job, run.host.folders, self._origin, run.hashing, saved, self._tell_host, self._plan.ending)

    def _tell_host(self, event: Event) -> None:
        if isinstance(event, Saved):
            self._run.host.saved(event.path)
        self._run.emit(event)

    def _save_on_the_way(self, saver: Saver, network: Network, step: int) -> None:
        if self._plan.saved:
            saver.on_the_way(network, step)

    def _finish(self, network: Network, saver: Saver, steps: int) -> Done:
        stopped = steps < self._settings.train_iterations
        if stopped and (steps == 0 or not self._run.control.asked_to_save):
            return Done(None, steps, stopped=True)
        if not stopped and not self._plan.saved:
            return Done(None, steps, stopped=False)
        self._phase("saving")
        path = saver.finished(network, steps)
        if stopped and self._plan.name:
            self._run.emit(Warned(f"Stopped in the {self._plan.name}: that one's network is all that was saved."))
        return Done(path, steps, stopped=stopped)

    # ---- between two steps ------------------------------------------------------------------------------------------

    def _request(self, prompt: str, steps: int = ImageRequest.steps) -> ImageRequest:
        settings = self._settings
        return ImageRequest(
            prompt=prompt,
            negative=settings.sample_negative,
            seed=settings.sample_seed,
            steps=steps,
            size=settings.size,
            model=settings.model,
            vae=settings.vae,
            velocity=settings.model_v_pred,
            strengths=settings.sample_strengths,
        )

    def _sample(self, network: Network, bundle: Bundle, step: int) -> None:
        """Pictures at every sample strength; a failure here is told and never ends the run.

        The strength is left as it is: a pass sets its own before every forward pass it differentiates.
        """
        run, settings = self._run, self._settings
        folder = run.host.folders.samples(run.job.name, run.job.created)
        try:
            as_host = run.host.draws_samples and not settings.base_loras and not settings.model_v_pred
            pictures = self._drawn(network) if as_host else self._sampled(network, bundle)
            for strength, picture in zip(settings.sample_strengths, pictures, strict=True):
                path = folder / f"{step:06d}_{strength:+g}{self._plan.ending}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
                run.emit(Sample(step, path))
        except Stopped:  # the loop sees it, too, and ends as it was asked to
            return
        except (RuntimeError, OSError, UserError) as error:
            run.emit(Warned(f"No sample picture at step {step}: {error}"))

    def _sampled(self, network: Network, bundle: Bundle) -> Iterator[Image.Image]:
        """By our own sampler, with the network as it is attached."""
        run, request = self._run, self._request(self._settings.sample_prompt)
        try:
            text_to(bundle, run.host.device)
            with run.alone():
                for strength in self._settings.sample_strengths:
                    network.strength = strength
                    yield from sample(bundle, [request], check=run.control.check)
        finally:
            if not network.parameters_of(TEXT_ENCODER):
                text_to(bundle, "cpu")

    def _drawn(self, network: Network) -> list[Image.Image]:
        """By the host's own generation, which wants a file."""
        run, settings = self._run, self._settings
        tensors = network.tensors(factor=settings.network_strength)
        request = self._request(settings.sample_prompt)
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            path = Path(folder) / "sample.safetensors"
            file.save(path, {name: tensor.to("cpu", run.precision.saved) for name, tensor in tensors.items()}, {})
            return run.host.draw(replace(request, lora=path), lambda _done, _total: run.control.check())

    def _pause(self, step: int, tensors: Sequence[Tensor]) -> None:
        run = self._run
        attached = [parameter for network in run.earlier for parameter in network.parameters()]
        pause(run.host, run.origin.bundle, [*tensors, *attached], step, run.control, run.emit)

    # ---- what is told -----------------------------------------------------------------------------------------------

    def _phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self._run.emit(Phase(f"{self._plan.name}: {name}" if self._plan.name else name, done, total))

    def _progress(self, name: str, done: int, total: int) -> None:
        self._run.control.check()
        self._phase(name, done, total)
        self._between(name, done, total)

    def _emit_and_let_others(self, event: Event) -> None:
        self._run.emit(event)
        if isinstance(event, Phase):
            self._between(event.name, event.done, event.total)

    def _between(self, name: str, done: int, total: int) -> None:
        for note in self._run.host.between_steps(f"{self._run.job.name}, {name}", done, total):
            self._run.emit(Warned(note))

    def _between_steps(self, step: int, steps: int) -> None:
        with suppress(Stopped):  # the loop sees it, too, and knows how far it was
            self._between("training", step, steps)

    def _detail(self, message: str) -> None:
        if self._run.job.settings.logging_verbose:
            self._run.emit(Detail(message))

    def _emit_and_log(self, event: Event) -> None:
        emit = self._run.emit
        if isinstance(event, Step):
            rates = ", ".join(f"{rate:.3g}" for rate in event.rates)
            self._detail(f"step {event.number}: loss {event.loss:.5f}, learning rate {rates}")
        for log in list(self._open_logs):
            try:
                log(event)
            except OSError as error:
                self._open_logs.remove(log)
                emit(Warned(f"{log.path}: the log ends here, it cannot be written any more ({error.strerror})."))
        emit(event)

    @contextmanager
    def _logs(self, bundle: Bundle, groups: int) -> Iterator[None]:
        job, folders, ending = self._run.job, self._run.host.folders, self._plan.ending
        paths = [folders.run_log(job.name, job.created, ending)]
        if self._settings.logging_save_csv:
            paths.append(folders.log(job.name, job.created, ending))
        self._open_logs = [CSVLog(path, self._settings, bundle.family.name, groups) for path in paths]
        try:
            yield
        finally:
            for log in self._open_logs:
                log.close()
