"""The passes of a run, one after the other on one model: network → loop with its previews and logs → file.

A pass trains its own network. The networks of the passes before it stay attached and frozen until the last one is
done; only that one is left when the effect of the finished LoRA is reported.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..config.choices import MODES
from ..config.settings import Settings
from ..diffusion.timesteps import Density, LogitNormal, Shifted, ShiftedBySize, Uniform
from ..errors import Stopped
from ..job import Done, Event, Phase, Step, Trained
from ..models.placement import text_to
from ..models.recompute import keeping_less
from ..modes.alike import same_words
from ..modes.base import Pass, PassContext, PassSpec
from ..modes.registry import mode_of
from ..networks.base import Network
from ..optim.early_stop import EarlyStop
from ..optim.groups import rate_groups
from ..optim.optimizers import advice
from ..reports.log import LogColumns
from ..reports.trackers import TensorBoard, Tracker, WeightsAndBiases
from ..text.messages import Message, message
from . import effect, space
from .asked.question import question_of
from .context import RunContext
from .film import Film
from .keeper import PassPosition, PassStart
from .loop import LoopHooks, train
from .pass_network import PassNetwork
from .pause import pause
from .plan import IMAGE_STEPS, Plan, is_filmed
from .previews import Previews, request_of
from .reporting import Reporter, StepLogs, growth_of, step_logs
from .trained import put_into, tensors_of
from .validation import Validation

_SAID = 3
"""Words that are named at most."""


def advice_on_rates(settings: Settings) -> list[Message]:
    """What to do where the learning rate of a pass does not suit its optimizer; of the settings in effect."""
    specs = [training.spec for training in mode_of(settings.mode).passes(settings)]
    return list(dict.fromkeys(each for spec in specs for each in advice(spec.settings or settings)))


def run_passes(run: RunContext, passes: list[Pass]) -> Done:
    """Take ``passes`` in turn, off the list, so that none of their objects is kept longer than needed.

    Returns:
        How the last one ended. If the user stops one, those after it do not start.
    """
    done, runner = Done(None, 0, stopped=False), None
    earlier: list[Network] = []
    with ExitStack() as attached:
        while passes and not done.stopped:
            training = passes.pop(0)
            count = len(earlier) + 1 + len(passes)
            runner = PassRunner(run, training.spec, earlier, count=count)
            if training.spec.loaded:
                network = runner.load()
            else:
                network, done = runner.train_or_take_up(training)
            if passes:
                attached.enter_context(network.requires_grad_(False).attached())
                network.strength = 1.0
                earlier.append(network)
            del training, network
        earlier.clear()
    run.keeper.ended(done, run.control)
    if runner is not None and done.path is not None and not run.control.is_interrupted:
        runner.report_effect(done)
    return done


class PassRunner:
    """Runs one pass.

    Args:
        earlier: the networks of the passes before it, attached and frozen.
        count: of the passes of the run.
    """

    def __init__(self, run: RunContext, spec: PassSpec, earlier: Sequence[Network], *, count: int) -> None:
        self._run = run
        self._spec = spec
        self._earlier = earlier
        self._count = count
        self._reporter = Reporter(
            run.job.name, run.host, run.control, run.emit, spec.name, verbose=run.settings.logging_verbose
        )
        self._network = PassNetwork(run, spec, self._reporter)
        self._settings = self._network.settings
        films = is_filmed(run.settings) and self._number == count
        shown = replace(self._settings, sample_strengths=(1.0,)) if films else self._settings
        self._previews = Previews(run, shown, self._reporter, earlier, spec.suffix)
        has_epochs = run.data is not None and MODES[run.settings.mode].learns_from_folder
        per_epoch = run.data.batches.per_epoch if has_epochs and run.data else 0
        self._plan = Plan(self._settings, per_epoch, is_filmed=films)
        self._film = Film(self._previews, self._save_beside_image, run.files.samples, self._reporter) if films else None
        patience = self._settings.early_stop_patience
        self._early_stop = EarlyStop(patience, validates=run.validation is not None) if patience else None

    def load(self) -> Network:
        """The network of a file in place of one that is trained; see :meth:`PassNetwork.load`."""
        self._reporter.phase(message("phase.loading_lora"))
        return self._network.load()

    def train_or_take_up(self, training: Pass) -> tuple[Network, Done]:
        """The pass's own network, trained and saved if the pass says so; one that has been is taken up as it was."""
        kept = self._run.keeper.earlier(self._number)
        if kept is None:
            return self._train(training)
        network = self._network.make()
        put_into(network, kept)
        return network, Done(None, self._settings.train_iterations, stopped=False)

    @property
    def _number(self) -> int:
        """The pass, counted from 1."""
        return len(self._earlier) + 1

    def _train(self, training: Pass) -> tuple[Network, Done]:
        run, settings, device = self._run, self._settings, self._run.host.device
        trains_text = run.origin.trains_text_encoder
        network = self._network.make()
        start = run.keeper.start_of(self._number)
        numbers = sum(parameter.numel() for parameter in network.parameters())
        for told in space.warnings(
            numbers, run.precision.saved, settings, self._plan, run.host.folders, saved=self._spec.saved,
            prompts=run.prompts,
        ):  # fmt: skip
            self._reporter.warn(told)
        self._reporter.detail(
            "engine.network_detail",
            modules=len(network),
            parameters=f"{numbers:,}",
            device=device,
            seed=settings.train_seed,
        )
        with (
            network.attached(),
            self._logs(2 if trains_text else 1, start) as log,
            keeping_less(run.bundle, settings),
        ):
            validation = self._prepare(training, network)
            done = 0 if start is None else start.step
            self._reporter.phase(message("phase.training"), done, settings.train_iterations)

            losses = array("d")

            def emit(event: Event) -> None:
                if isinstance(event, Step):
                    self._reporter.step_detail(event)
                    losses.append(event.loss)
                log(event)
                run.emit(event)

            hooks = LoopHooks(
                save=lambda step: self._save_while_training(network, step),
                preview=lambda step: self._preview(network, step),
                pause=self._pause,
                step_done=self._after_step,
                validate=lambda: None if validation is None else validation.loss(),
                failed=lambda step: self._save_after_error(network, step),
            )
            keeping = run.keeper.of_pass(self._position(log)) if run.writes else None
            if self._film is not None:
                self._film.begin(self._plan.film, done, settings.train_iterations)
            steps = train(
                training, network, settings, device=device, scale_loss=run.precision.scales_loss, control=run.control,
                emit=emit, hooks=hooks, plan=self._plan,
                groups=rate_groups(network, settings, run.bundle.family.block_of), early_stop=self._early_stop,
                keeping=keeping, start=None if start is None else start.loop, processes=run.processes,
            )  # fmt: skip
        growth = growth_of(losses)
        if growth is not None:
            self._reporter.warn("engine.loss_grew", **growth)
        return network, self._finish(network, steps)

    def report_effect(self, done: Done) -> None:
        """What the file that has been saved changes; no network of this run is attached any more."""
        assert done.path is not None
        run = self._run
        settings, usage = self._settings, self._network.usage
        request = request_of(settings, usage.prompt, IMAGE_STEPS) if run.settings.effect_strip else None
        question = question_of(usage, settings, run.data)
        path = run.files.samples / "effect.png"
        with suppress(Stopped):  # the LoRA is saved
            effect.report(
                done.path, run.bundle, request, path, settings, question,
                control=run.control, emit=self._emit_and_let_others,
            )  # fmt: skip

    # ---- parts of a pass --------------------------------------------------------------------------------------------

    def _prepare(self, training: Pass, network: Network) -> Validation | None:
        """Prepare a pass, and what measures its loss on the validation images."""
        run, bundle, device = self._run, self._run.bundle, self._run.host.device
        self._reporter.phase(message("phase.encoding_prompts"))
        if self._earlier:  # whose text encoder has left the device
            text_to(bundle, device)
        density = density_of(self._settings, bundle.diffusion.density)
        diffusion, progress = replace(bundle.diffusion.to(device), density=density), self._reporter.progress
        context = PassContext(
            self._settings, bundle, network, diffusion, run.data, progress, run.cache,
            looks_ahead=run.processes is None,
        )  # fmt: skip
        training.prepare(context)
        with network.off():
            self._tell_same_words()
        validation = None
        if run.validation is not None:
            another = mode_of(run.settings.mode).passes(run.settings)[self._number - 1]
            validation = Validation(another, replace(context, data=run.validation, looks_ahead=False), device)
        if run.cache is not None:
            run.cache.flush()
        run.control.check()
        if not (run.origin.trains_text_encoder or training.needs_text_encoder):
            text_to(bundle, "cpu")
        return validation

    def _tell_same_words(self) -> None:
        """Name the words that the model does not tell from others; no network is on."""
        same = same_words(self._run.bundle, self._network.usage.prompt_pairs)
        for prompt, words in list(same.items())[:_SAID]:
            self._reporter.warn("engine.same_words", prompt=prompt, words=[f'"{word}"' for word in words[:_SAID]])

    @contextmanager
    def _logs(self, groups: int, start: PassStart | None) -> Iterator[StepLogs]:
        run, settings, suffix = self._run, self._settings, self._spec.suffix
        paths = [run.files.run_log(suffix)]
        if settings.logging_save_csv:
            paths.append(run.files.log(suffix))
        columns = LogColumns(groups, validates=run.validation is not None)
        written = b"" if start is None else start.log
        with step_logs(paths, settings, run.bundle.family.name, columns, self._reporter, written) as log:
            for tracker in self._trackers(1 if start is None else start.step + 1):
                log.track(tracker)
            yield log

    def _trackers(self, first: int) -> Iterator[Tracker]:
        """The programs that are to record the steps beside the log, from the step ``first`` on."""
        run, settings, path = self._run, self._settings, self._run.files.run_log(self._spec.suffix)
        if not run.writes:
            return
        if settings.logging_tensorboard:
            yield TensorBoard(run.host.folders.data / "tensorboard" / path.parent.name / path.stem, first)
        if settings.logging_wandb:
            key = f"{run.job.id}{self._spec.suffix}"
            yield WeightsAndBiases(run.host.folders.data / "wandb", path.stem, key, settings)

    def _position(self, logs: StepLogs) -> PassPosition:
        """Which pass it is; the networks of those before it do not change any more, and are given as they are."""
        earlier = tuple(tensors_of(network) for network in self._earlier)
        return PassPosition(self._number, self._count, self._settings.train_iterations, earlier, logs)

    def _pause(self, step: int, tensors: Sequence[Tensor]) -> None:
        run, began = self._run, time.monotonic()
        attached = [parameter for network in self._earlier for parameter in network.parameters()]
        pause(run.host, run.bundle, [*tensors, *attached], step, run.control, run.emit)
        if self._film is not None:
            self._film.paused(time.monotonic() - began)

    def _after_step(self, step: int) -> None:
        with suppress(Stopped):  # the loop sees it, too, and knows how far it was
            self._reporter.let_others(message("phase.training"), step, self._settings.train_iterations)

    def _finish(self, network: Network, steps: int) -> Done:
        early = self._early_stop if self._early_stop is not None and self._early_stop.is_over else None
        stopped = steps < self._settings.train_iterations and early is None
        if stopped and (steps == 0 or not self._run.control.asked_to_save):
            return Done(None, steps, stopped=True)
        if not self._run.writes:
            return Done(None, steps, stopped=stopped)
        if not stopped and not self._spec.saved:
            self._network.discard()
            return Done(None, steps, stopped=False)
        self._reporter.phase(message("phase.saving"))
        if self._run.control.is_interrupted:
            self._run.hashing.cancel()  # what is not there by now would be waited for, and a program that ends cannot
        saved_step = steps
        if early is not None:
            self._tell_early_stop(early, steps)
            saved_step = early.best_step if early.weights else steps
        path = self._network.save_finished(network, saved_step, is_early=early is not None)
        if stopped or self._number == self._count:  # its LoRA is the job's
            self._run.emit(Trained(path, steps, stopped))
        if stopped and self._spec.name is not None:
            self._reporter.warn("engine.stopped_in_pass", pass_name=self._spec.name)
        return Done(path, steps, stopped=stopped)

    def _tell_early_stop(self, early: EarlyStop, step: int) -> None:
        key = "engine.stopped_early_at_best" if early.weights else "engine.stopped_early"
        patience = self._settings.early_stop_patience
        self._reporter.warn(key, step=step, patience=patience, best_step=early.best_step, loss=f"{early.best:.3g}")

    def _save_while_training(self, network: Network, step: int) -> None:
        if self._run.writes:
            self._network.save_while_training(network, step, self._plan.epoch_of(step))

    def _preview(self, network: Network, step: int) -> None:
        if not self._run.writes:
            return
        if self._film is not None:
            self._film.make(network, step)
        else:
            self._previews.make(network, step)

    def _save_beside_image(self, network: Network, step: int, path: Path) -> None:
        self._network.save_beside_image(network, step, self._plan.epoch_of(step), path)

    def _save_after_error(self, network: Network, steps: int) -> None:
        """Save what an error left of a pass, for it may be all that the user gets of it."""
        if steps and self._run.writes:
            self._reporter.phase(message("phase.saving"))
            self._network.save_finished(network, steps)
            self._reporter.warn("engine.saved_after_error", step=steps, steps=self._settings.train_iterations)

    def _emit_and_let_others(self, event: Event) -> None:
        self._run.emit(event)
        if isinstance(event, Phase):
            self._reporter.let_others(event.message, event.done, event.total)


def density_of(settings: Settings, own: Density) -> Density:
    """The density of timesteps that the settings ask for, or the model's own, shifted as they say."""
    chosen = {
        "uniform": Uniform(),
        "logit-normal": LogitNormal(settings.train_timestep_mean, settings.train_timestep_std),
    }.get(settings.train_timestep_density, own)
    shift = settings.train_timestep_shift
    if shift == 0:
        return ShiftedBySize(chosen)
    return chosen if shift == 1 else Shifted(chosen, shift)
