"""A run, from a job to a file: host → model → passes → loop → file → host; the model is always returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch

from ..claims import run_files
from ..config.check import check_for_family, check_for_run
from ..config.choices import MODES
from ..config.key_values import split_loras
from ..config.sample_prompts import SamplePrompt, sample_prompts
from ..config.schema import dump
from ..config.settings import STREAMING, Settings, effective, row_of
from ..data.cache import GB, DataCache, key_of, open_cache
from ..data.dataset_file import with_largest
from ..data.epochs import counted, with_steps
from ..data.latents import Dataset, encode_samples
from ..data.look import Look, look
from ..data.pairs.pair import Pair
from ..data.problems import summed_up
from ..data.samples import Scan
from ..data.validation import split_off
from ..diffusion.parameterisation import FLOW, VELOCITY
from ..errors import DivergedError, Problem, SettingsError, StateError, Stopped, UserError
from ..job import Control, Done, Failed, Job, Listener, TrainsOn
from ..models.base import Bundle, CaptionReading
from ..models.checkpoint.hashes import Hashing
from ..models.checkpoint.parts import VAE
from ..models.placement import broken_model, place_rest, place_vae, stored_types
from ..models.precision import Precision, choose_precision
from ..modes.base import PassSpec
from ..modes.registry import mode_of
from ..networks import resume as networks_resume
from ..networks.files.find import find_lora
from ..networks.files.metadata import Origin
from ..networks.files.read import network_from_file, refuse_unusable
from ..optim import optimizers, schedules, trial
from ..paths import RunFiles, write_whole
from ..reports import trackers
from ..reports.account import text_of
from ..text.messages import Message, label, message
from . import state
from .account import account_before
from .basis import Basis
from .context import RunContext
from .host import Host
from .keeper import StateKeeper
from .memory_fit import out_of_memory
from .passes import advice_on_rates, run_passes
from .plan import IMAGE_STEPS, is_filmed, makes_previews
from .processes import Processes
from .reporting import Reporter
from .saving import check_output, output_path

_MUCH_CACHED = 500_000_000
"""Bytes on the disk from which on a user should know of them."""
_TOLD = key_of("told")

# ---- before the run -------------------------------------------------------------------------------------------------


def check(job: Job, host: Host) -> Message:
    """Everything that can be found wrong before the device is touched; says what will be trained on.

    Raises:
        UserError: settings (all problems at once), a choice that is not built, the model, the output.
    """
    settings, loras = effective(job.settings), host.folders.loras
    problems = check_for_run(settings)
    if problems:
        raise SettingsError(problems, _wrong_with_model(settings, host))
    if settings.train_epochs:
        with open_cache(host.folders, settings.data_cache) as cache:
            settings = counted(settings, cache=cache)
        _refuse(check_for_run(replace(settings, train_epochs=0)))  # what depends on the number of steps
    trackers.require(settings)
    if makes_previews(settings):
        sample_prompts(settings)
    for name, _ in split_loras(settings.base_loras):
        find_lora(name, loras)
    specs = [training.spec for training in mode_of(settings.mode).passes(settings)]
    for spec in specs:
        _check_pass(spec, settings, host)
    model = host.check_model(settings)
    for name in [
        *(name for name, _ in split_loras(settings.base_loras)),
        *(spec.loaded for spec in specs if spec.loaded),
    ]:
        refuse_unusable(find_lora(name, loras), model.family)
    _refuse(check_for_family(settings, model.family))
    for spec in specs:
        networks_resume.check(spec.settings or settings, model.family, loras)
        if spec is specs[-1] or (spec.saved and not spec.loaded):
            check_output(output_path(job, host.folders, suffix=spec.suffix), job)
    return model.label


def _wrong_with_model(settings: Settings, host: Host) -> Message | None:
    """What is wrong with the model, so that it is said with all the rest."""
    try:
        host.check_model(settings)
    except UserError as error:
        return error.whole
    return None


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise SettingsError(problems)


def _check_pass(spec: PassSpec, settings: Settings, host: Host) -> None:
    """Problems that would stop a pass; reported with the pass's name where its settings are its own."""
    if spec.loaded:
        find_lora(spec.loaded, host.folders.loras)
        return
    own = spec.settings or settings
    try:
        optimizers.arguments(own)
        schedules.arguments(own)
        may_train_text = mode_of(settings.mode).trains_text_encoder(settings, ("a caption",))
        trial.try_out(own, host.device, (2, 1) if may_train_text else (1,))
    except UserError as error:
        if spec.name is None or not settings.use_2nd_pass_settings:
            raise
        raise error.at(message("config.of_pass", name=spec.name, label=error.where)) from error


# ---- the run --------------------------------------------------------------------------------------------------------


def run(
    job: Job,
    host: Host,
    control: Control,
    emit: Listener,
    *,
    resume: bool = False,
    again: bool = False,
    processes: Processes | None = None,
) -> Done:
    """Train ``job`` on ``host`` and save what comes of it.

    Events go to ``emit`` in the thread that calls; the last one is ``Done`` or ``Failed``.

    Args:
        again: the job has been run before: its log and its samples are written over.
        resume: continue from the state that an earlier run of the job has left; see :mod:`.state`.
        processes: that train the job together, of which this is one.

    Raises:
        StateError: the run cannot be continued from the state, or there is none. ``Failed`` has not been sent: the
            caller may start the job anew.
        UserError: after ``Failed`` has been sent with it.
    """
    try:
        with ExitStack() as stack:
            done = _run(job, host, control, emit, stack, processes, resume=resume, again=again)
    except StateError:
        raise
    except UserError as error:
        emit(Failed(error))
        raise
    except Exception as error:
        if not _is_out_of_memory(error):
            emit(Failed(UserError("engine.unexpected", kind=type(error).__name__, reason=str(error))))
            raise
        error.__traceback__ = None  # its frames hold the run's tensors
        failure = out_of_memory(job.settings, host)
        emit(Failed(failure))
        raise failure from error
    emit(done)
    return done


def _run(
    job: Job,
    host: Host,
    control: Control,
    emit: Listener,
    stack: ExitStack,
    processes: Processes | None,
    *,
    resume: bool,
    again: bool,
) -> Done:
    if not resume:  # or what the state has against the job is said first
        check(job, host)
    suffixes = [each.spec.suffix for each in mode_of(job.settings.mode).passes(effective(job.settings))]
    is_own = partial(state.is_of, job=job) if resume else None
    files = stack.enter_context(run_files(job, host.folders, suffixes, is_own, again=again))
    taken_up = None
    if resume:
        taken_up = state.read_for(job, files) if processes is None or processes.is_first else None
        taken_up = taken_up if processes is None else processes.same(taken_up)
        check(job, host)
    keeper = StateKeeper(job, files, host.device, emit, taken_up)
    del taken_up  # the keeper lets go of it when its pass begins
    stack.callback(host.give_back)
    stack.callback(keeper.close)
    try:
        run = _prepared(job, host, files, control, keeper, stack, processes)
        with _broken_model_named(run.bundle):
            return run_passes(run, mode_of(run.settings.mode).passes(run.settings))
    except Stopped:
        done = Done(None, 0, stopped=True)
        keeper.ended(done, control)
        return done
    except Exception:
        keeper.write_held()
        raise


def _prepared(
    job: Job,
    host: Host,
    files: RunFiles,
    control: Control,
    keeper: StateKeeper,
    stack: ExitStack,
    processes: Processes | None,
) -> RunContext:
    """Images, model and precision, in the order in which each can go wrong; ``stack`` undoes what has to be undone."""
    settings, emit = effective(job.settings), keeper.emit
    reporter = Reporter(job.name, host, control, emit, verbose=settings.logging_verbose)
    for advice in advice_on_rates(settings):
        reporter.warn(advice)
    if settings.save_as_json:
        write_whole(files.settings, [dump(job.settings).encode()], overwrite=True)
    prompts = _prompts(settings, reporter)
    cache = _cache(settings, host, stack)
    found = _look(settings, reporter, cache)
    images = found.images
    trained, validated = split_off(images, settings) if isinstance(images, Scan) else (images, None)
    settings = with_steps(settings, trained if isinstance(trained, Scan) else None)
    account = account_before(settings, found, host)
    if account.rows:
        write_whole(files.account, [text_of(account).encode()], overwrite=True)
        emit(account)
    keeper.begin(Basis(settings, [each.spec for each in mode_of(settings.mode).passes(settings)], images, host))
    bundle, precision = _model(settings, host, reporter)
    emit(TrainsOn(bundle.name))
    scan, settings = _scan(trained, settings, bundle, reporter)
    # Before the denoiser is on the device: with a large image, the VAE takes more there than a step that saves memory.
    encode = partial(_encoded, bundle=bundle, settings=settings, host=host, precision=precision, reporter=reporter)
    validation, data = encode(validated, cache), encode(scan, cache)
    _report_cache(cache, settings, reporter)
    _place_rest(settings, bundle, precision, host, reporter, stack)
    hashing = Hashing(bundle.path)  # now, so that it is done when the first file is saved
    stack.callback(hashing.cancel)
    keeper.hash_files(bundle.path, hashing)
    mode = mode_of(settings.mode)
    captions = [each for part in (scan, validated) if part is not None for each in part.all_captions()]
    _report_cut_captions(captions, bundle, settings, reporter)
    trains_text = mode.trains_text_encoder(settings, captions)
    reporter.detail(
        "engine.model_detail",
        model=bundle.name,
        family=bundle.family.label,
        predicts=bundle.diffusion.parameterisation.name,
        precision=precision.base,
    )
    validation_images = 0 if validated is None else validated.images
    usage = mode.usage(settings, captions)
    origin = Origin(settings, bundle, precision.base, usage, trains_text, scan, validation_images)
    if is_filmed(settings):
        prompts = (SamplePrompt(usage.prompt, steps=IMAGE_STEPS),)
    return RunContext(
        job, settings, host, files, control, emit, bundle, precision, origin,
        hashing, data, validation, keeper, prompts, cache, processes,
    )  # fmt: skip


# ---- images ---------------------------------------------------------------------------------------------------------


def _prompts(settings: Settings, reporter: Reporter) -> tuple[SamplePrompt, ...]:
    """Those of the previews, once for the whole run; what of their lines is not used is reported."""
    if not makes_previews(settings):
        return ()
    found = sample_prompts(settings)
    for note in found.notes:
        reporter.warn(note)
    return found.prompts


def _cache(settings: Settings, host: Host, stack: ExitStack) -> DataCache | None:
    """What earlier runs have kept of their images, for modes that learn from a folder; ``stack`` closes it."""
    if not MODES[settings.mode].learns_from_folder:
        return None
    return stack.enter_context(open_cache(host.folders, settings.data_cache))


def _report_cache(cache: DataCache | None, settings: Settings, reporter: Reporter) -> None:
    """Put on the disk what is kept so far, and say once that it takes room there."""
    if cache is None:
        return
    cache.flush()
    if cache.problem is not None:
        reporter.warn("engine.cache_unusable", path=cache.path, reason=cache.problem)
        return
    count, size = cache.size()
    reporter.detail("engine.cache_detail", hits=cache.hits, misses=cache.misses, count=count, size=f"{size / GB:.2f}")
    if size > _MUCH_CACHED and cache.get(_TOLD) is None:
        cache.put(_TOLD, b"told")
        named = {"folder": cache.path.parent, "most": f"{settings.data_cache:g}", "setting": label("data_cache")}
        reporter.warn("engine.cache_told", size=f"{size / GB:.1f}", **named)


def _look(settings: Settings, reporter: Reporter, cache: DataCache | None) -> Look:
    """Look at every image before the model is loaded; what is wrong with one of a folder is reported, not fatal."""
    looking = message("phase.looking_at_images")
    found = look(
        settings,
        check=reporter.control.check,
        progress=lambda done, total: reporter.phase(looking, done, total),
        cache=cache,
    )
    if isinstance(found.images, Scan):
        _report_problems(found.images, reporter)
    return found


def _scan(
    images: Scan | Pair | None, settings: Settings, bundle: Bundle, reporter: Reporter
) -> tuple[Scan | None, Settings]:
    """What is trained, and at which size: that of a pair may be the model's own, so it waits for the model, and a
    dataset file says its own."""
    if isinstance(images, Scan) and images.file is not None:
        return images, with_largest(settings, [subset.settings for subset in images.subsets])
    if not isinstance(images, Pair):
        return images, settings
    scan = images.placed(settings, bundle.family.default_size)
    for note in scan.notes:
        reporter.warn(note)
    _report_problems(scan, reporter)
    return scan, replace(settings, image_size=scan.distinct[0].frame)


def _encoded(
    scan: Scan | None,
    cache: DataCache | None,
    *,
    bundle: Bundle,
    settings: Settings,
    host: Host,
    precision: Precision,
    reporter: Reporter,
) -> Dataset | None:
    """Images as latents, for a denoiser that is to be on the host's device."""
    if scan is None:
        return None
    return encode_samples(scan, bundle, settings, reporter.progress, cache, device=host.device, dtype=precision.base)


def _report_problems(scan: Scan, reporter: Reporter) -> None:
    for problems in summed_up(scan.problems):
        reporter.warn(problems)


def _report_cut_captions(captions: Iterable[str], bundle: Bundle, settings: Settings, reporter: Reporter) -> None:
    most = settings.caption_max_tokens
    if most:
        long = [each for each in set(captions) if bundle.family.count_tokens(bundle, each, bundle.reading) > most]
        if long:
            setting = label("caption_max_tokens")
            reporter.warn("engine.captions_cut", count=len(long), most=most, setting=setting)


# ---- the model ------------------------------------------------------------------------------------------------------


_OFF_FOR_FLOW = (
    "train_debiased_estimation", "train_noise_offset", "train_adaptive_noise_scale", "train_multires_noise_iterations",
)  # fmt: skip
"""Settings that mean something for a diffusion whose noise hides an image in another way."""


@dataclass
class _Wait:
    """Called while the run waits for the host's lock, at first for the model and later for what others have of it.

    What the user wants saved is waited for; without a model, there is nothing to save.
    """

    reporter: Reporter
    has_model: bool = False
    is_reported: bool = False

    def __call__(self) -> None:
        if not (self.has_model or self.is_reported):
            self.is_reported = True
            self.reporter.phase(message("phase.waiting_for_webui"))
        if not (self.has_model and self.reporter.control.asked_to_save):
            self.reporter.control.check()


def _model(settings: Settings, host: Host, reporter: Reporter) -> tuple[Bundle, Precision]:
    """The model, and the precision it is to be computed in; the VAE has its own already."""
    reporter.phase(message("phase.loading_model"))
    wait = _Wait(reporter)
    bundle = host.take_model(settings, wait)
    wait.has_model = True
    bundle.clip_skip = settings.clip_skip
    bundle.reading = CaptionReading(settings.caption_weights, settings.caption_max_tokens)
    reporter.control.check()
    survives = bundle.family.vae_survives_half(bundle.vae_name)
    precision = choose_precision(
        settings, stored_types(bundle), host.device, vae_survives_half=survives, label=bundle.family.part_label
    )
    for note in bundle.notes:
        reporter.warn(note)
    if settings.train_scale_v_pred_loss and bundle.diffusion.parameterisation is not VELOCITY:
        reporter.warn("engine.no_velocity_to_scale", file=bundle.name, setting=label("train_scale_v_pred_loss"))
    if bundle.diffusion.parameterisation is FLOW:
        chosen = [label(name) for name in _OFF_FOR_FLOW if getattr(settings, name) != row_of(name).default]
        if chosen:
            reporter.warn("engine.off_for_flow", file=bundle.name, settings=chosen)
    for note in precision.notes:
        reporter.warn(note)
    passes = [each.spec for each in mode_of(settings.mode).passes(settings) if not each.spec.loaded]
    told = [note for spec in passes for note in trial.notes(spec.settings or settings, host.device)]
    for note in {str(note): note for note in told}.values():
        reporter.warn(note)
    place_vae(bundle, host.device, precision.parts[VAE])
    return bundle, precision


def _place_rest(
    settings: Settings, bundle: Bundle, precision: Precision, host: Host, reporter: Reporter, stack: ExitStack
) -> None:
    """Bring denoiser and text encoders to the device, in the precision they are computed in, with their LoRAs."""
    if MODES[settings.mode].images != "none":  # which have been encoded since the model was loaded
        reporter.phase(message("phase.loading_model"))
    streams = settings.train_memory_saving == STREAMING
    place_rest(bundle, host.device, precision.parts, codes=precision.codes, streams=streams)
    if bundle.streamed is not None:
        stack.callback(bundle.streamed.close)
    _attach_base_loras(settings, host, bundle, reporter, stack)


def _attach_base_loras(settings: Settings, host: Host, bundle: Bundle, reporter: Reporter, stack: ExitStack) -> None:
    """LoRAs that are part of the model for this run: frozen, and on whatever the trained network's strength is."""
    for name, strength in split_loras(settings.base_loras):
        path = find_lora(name, host.folders.loras)
        network = network_from_file(path, bundle, reporter.warn).requires_grad_(False)
        network.strength = strength
        stack.enter_context(network.attached())


# ---- what went wrong ------------------------------------------------------------------------------------------------


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


@contextmanager
def _broken_model_named(bundle: Bundle) -> Iterator[None]:
    """A loss of NaN is the model's fault where its weights hold any; only then are they all read."""
    try:
        yield
    except DivergedError as error:
        broken = broken_model(bundle)
        if broken is None:
            raise
        raise broken from error
