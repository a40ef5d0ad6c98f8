"""``train``: from settings to a LoRA."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..config.choices import CARDS, MODES
from ..config.key_values import split_lines, split_loras
from ..config.labels import help_of, section_of
from ..config.schema import Parsed, dump, parse, parse_assignment
from ..config.settings import FOUND, ROWS, SECOND_PASS_KEY, SECTIONS, Settings
from ..config.values import to_json_value
from ..errors import MemoryShortError, UserError
from ..jobs.ending import WITHIN, heard, on_console_close
from ..networks.files.find import find_lora
from ..networks.files.settings import load_settings
from ..reports.effect import lines_of
from ..text.language import language_of_machine
from ..text.messages import Message, message
from .bar import Bar
from .options import add_device, add_folders, bar_of_images, folders_of
from .shell import own_command, short
from .words import account_lines, phase_line, told

if TYPE_CHECKING:
    from ..engine.host import Host
    from ..engine.processes import Processes
    from ..engine.state import Summary
    from ..job import Account, Event, Job
    from ..paths import Folders


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "train",
        help=told("commands.train"),
        description=told("commands.train_description"),
        usage="python -m trainer train [SETTINGS] [--set KEY=VALUE ...] [--card GB] [--dry-run [--json]] "
        "[--any-setting VALUE ...]",
    )
    parser.add_argument("--resume", metavar="NAME", help=told("commands.resume"))
    parser.add_argument("--dry-run", action="store_true", help=told("commands.dry_run"))
    parser.add_argument("--json", action="store_true", help=told("commands.dry_run_json"))
    add_settings(parser)
    parser.set_defaults(command=_train)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """What :func:`read_settings` reads, device and folders included: a flag for every setting, by its section."""
    language = language_of_machine()
    parser.add_argument("settings", nargs="?", metavar="SETTINGS", help=told("commands.settings"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=told("commands.set"))
    parser.add_argument("--card", choices=CARDS, metavar="|".join(CARDS), help=told("commands.card"))
    add_device(parser)
    add_folders(parser, output=True)
    groups = {
        section: parser.add_argument_group(told("commands.settings_of", section=section_of(section, language)))
        for section in SECTIONS
    }
    for row in ROWS:
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if row.kind in ("bool", "three states") else {}
        groups[row.section].add_argument(
            f"--{row.name.replace('_', '-')}",
            dest=f"setting.{row.name}",
            metavar="VALUE",
            help=help_of(row.name, language).replace("%", "%%"),
            **switch,
        )


def read_settings(options: argparse.Namespace) -> Parsed:
    """The settings file, what ``--set`` changes, and the flags, in this order.

    Raises:
        UserError: any of them is wrong.
    """
    kept = Parsed(Settings(), ())
    if options.settings:
        kept = load_settings(options.settings, folders_of(options).presets)
    parsed = _by_hand(options, kept.settings)
    for line in (*kept.without(parsed.given).told(aligned=True), *kept.not_known()):
        print(told(line), file=sys.stderr)
    return replace(parsed, settings=_with_whole_paths(parsed.settings), given=parsed.given | kept.given)


def _by_hand(options: argparse.Namespace, base: Settings) -> Parsed:
    """What ``--set`` and the flags change."""
    changes = dict(parse_assignment(assignment) for assignment in options.set)
    flags = {
        name.removeprefix("setting."): value
        for name, value in vars(options).items()
        if name.startswith("setting.") and value is not None
    }
    return parse({**changes, **flags}, base=base)


def fitted(options: argparse.Namespace, settings: Settings, host: Host) -> Settings:
    """The settings as ``--card`` changes them, without those that are set on the command line; it says what it changed.

    Raises:
        MemoryShortError: nothing makes the run fit.
    """
    if options.card is None:
        return settings
    from ..engine.memory_fit import fit

    found = fit(settings, host, options.card, _by_hand(options, settings).given)
    if not found.fits:
        raise MemoryShortError(found.message)
    print(told(found.message), file=sys.stderr)
    return found.settings


def _with_whole_paths(settings: Settings) -> Settings:
    """Paths that exist from here, made whole: the LoRA carries them, and may be trained again from elsewhere."""
    paths = {row.name: getattr(settings, row.name) for row in ROWS if row.kind == "path"}
    whole: dict[str, Any] = {name: str(Path(path).resolve()) for name, path in paths.items() if _is_here(path)}
    return replace(settings, **whole)


def _is_here(path: str) -> bool:
    return bool(path) and Path(path).exists()


def _train(options: argparse.Namespace) -> int:
    if options.json and not options.dry_run:
        raise UserError("commands.json_of_dry_run", where="--json")
    from ..engine.processes import are_several

    if are_several() and not options.dry_run:
        return _train_together(options)
    if options.resume is not None:
        return _resume(options)
    parsed = read_settings(options)
    from ..config.settings import effective
    from ..engine.memory_fit import memory_advice
    from ..engine.run import check
    from ..hosts.standalone import Standalone
    from ..job import Job
    from ..models.precision import choose_device
    from ..optim import optimizers

    host = Standalone(choose_device(options.device), folders_of(options))
    settings = parsed.with_defaults(host.defaults(parsed.settings))
    job = Job.create(fitted(options, settings, host))
    if options.dry_run:
        model, account = check(job, host), _account(job, host)
        to = sys.stdout
        if options.json:
            print(dump(job.settings))  # alone on the standard output: a settings file as it stands
            to = sys.stderr
        print(_would_train(job, host, model), *account_lines(account), sep="\n", file=to)
        for advice in optimizers.advice(job.settings):
            print(told(advice), file=sys.stderr)
        if options.card is None:  # otherwise it is said already
            print(told(memory_advice(job.settings, host).message), file=to)
        if not options.json:
            print(*_settings_lines(effective(job.settings)), sep="\n")
        return 0
    _tell_broken_off(job, host, options)
    return _run(job, host, options, resume=False)


def _tell_broken_off(job: Job, host: Host, options: argparse.Namespace) -> None:
    """Say that an earlier run of this name could be continued, if there is one."""
    from ..jobs.states import States

    broken_off = States(host.folders).latest_named(job.name)
    if broken_off is not None:
        again = _resuming(job.name, options)
        _, where = broken_off
        steps = {"step": where.step, "steps": where.steps}
        print(told("commands.was_broken_off", **steps, **again), file=sys.stderr)


def _train_together(options: argparse.Namespace) -> int:
    """Train as one of the processes that a launcher has started; see :mod:`.engine.processes`."""
    from ..engine.processes import folders_for, joined, own_device
    from ..hosts.standalone import Standalone
    from ..models.precision import choose_device

    device = choose_device(own_device(options.device))
    with joined(device) as processes, folders_for(processes, folders_of(options)) as folders:
        host = Standalone(device, folders)
        job = processes.same(_job_of_all(options, host, processes) if processes.is_first else None)
        return _run(job, host, options, resume=options.resume is not None, processes=processes)


def _job_of_all(options: argparse.Namespace, host: Host, processes: Processes) -> Job:
    """The job that all processes train, from the first one's settings; one that is continued stays as it was."""
    from ..job import Job

    if options.resume is not None:
        return _continued(options, host.folders)
    parsed = read_settings(options)
    settings = fitted(options, parsed.with_defaults(host.defaults(parsed.settings)), host)
    whole = parse(json.loads(dump(processes.with_all(settings)))).settings  # which refuses too many batches
    job = Job.create(whole)
    _tell_broken_off(job, host, options)
    batches = whole.train_gradient_accumulation
    print(told("commands.trains_together", count=processes.count, batches=batches), file=sys.stderr)
    return job


def _would_train(job: Job, host: Host, model: Message) -> str:
    """What would be done, in a sentence."""
    from ..config.settings import effective
    from ..data.epochs import counted
    from ..engine.saving import output_path

    settings = effective(job.settings)
    has_own_size = MODES[settings.mode].images == "pair" and settings.image_size is None
    return told(
        "commands.would_train",
        mode=settings.mode,
        model=model,
        device=host.device,
        steps=counted(settings).train_iterations,
        batch=settings.train_batch_size,
        size=message("commands.own_size") if has_own_size else str(settings.size),
        path=output_path(job, host.folders),
    )


def _settings_lines(settings: Settings) -> Iterator[str]:
    """The settings that are not the table's defaults, as flags and ``--set`` name them, and where the others are."""
    yield f"\n{told('commands.not_the_default')}"
    for prefix, each in (("", settings), (f"{SECOND_PASS_KEY.replace(' ', '_')}.", settings.second_pass or Settings())):
        for row in ROWS:
            value = getattr(each, row.name)
            if value != row.default:
                shown = json.dumps(to_json_value(value, row), ensure_ascii=False).strip('"')
                yield f"  {prefix}{row.name} = {shown}"
    yield f"\n{told('commands.all_settings')}"


def _account(job: Job, host: Host) -> Account:
    """What the run would say of its data; raises what it would raise."""
    from ..config.settings import effective
    from ..data.cache import cache_path, open_cache
    from ..data.look import look
    from ..engine.account import account_before

    settings = effective(job.settings)
    size = settings.data_cache if cache_path(host.folders).is_file() else 0  # a dry run begins none
    with bar_of_images("commands.reading") as show, open_cache(host.folders, size) as cache:
        found = look(settings, progress=show, cache=cache)
    return account_before(settings, found, host)


def _resuming(name: str, options: argparse.Namespace) -> dict[str, str]:
    """What a command needs to continue a run of this one: its name, and the folders if they are not the usual."""
    given = {"--data-dir": options.data_dir, "--models-dir": options.models_dir, "--output-dir": options.output_dir}
    folders = [f' {option} "{path}"' for option, path in given.items() if path]
    return {"name": name, "folders": "".join(folders)}


def _resume(options: argparse.Namespace) -> int:
    """Continue a run that was broken off, with the settings it began with."""
    from ..hosts.standalone import Standalone
    from ..models.precision import choose_device

    folders = folders_of(options)
    job = _continued(options, folders)
    return _run(job, Standalone(choose_device(options.device), folders), options, resume=True)


def _continued(options: argparse.Namespace, folders: Folders) -> Job:
    """The job that ``--resume`` names; it says where it continues.

    Raises:
        UserError: there is none, or settings are given beside it.
    """
    settings = [name for name, value in vars(options).items() if name.startswith("setting.") and value is not None]
    if options.settings or options.set or settings or options.dry_run or options.card:
        raise UserError("commands.resume_alone", where="--resume")
    job, where = _broken_off(options.resume, folders)
    steps = {"step": where.step, "steps": where.steps}
    print(told("commands.continues_after", name=job.name, **steps), file=sys.stderr)
    return job


def _broken_off(name: str, folders: Folders) -> tuple[Job, Summary]:
    """The job of the latest run of that name that was broken off, and where it was.

    Raises:
        UserError: there is none, it is the queue's, or it cannot be read.
    """
    from ..engine.state import read
    from ..job import Job
    from ..jobs.states import States
    from ..jobs.store import Store

    kept = States(folders).latest_named(name)
    if kept is None:
        raise UserError("commands.no_run_named", where=name)
    state = read(kept[0])
    entry = Store(folders).named(name) if folders.queue.is_dir() else None
    if entry is not None and entry.created == state.summary.created:
        raise UserError("commands.resume_in_queue", where=name, number=entry.id)
    return Job(parse(json.loads(state.settings)).settings, state.summary.created), state.summary


def _run(job: Job, host: Host, options: argparse.Namespace, *, resume: bool, processes: Processes | None = None) -> int:
    from ..claims import tidy
    from ..engine.run import run
    from ..engine.state import find
    from ..job import Control
    from ..jobs.awake import awake

    tidy(host.folders)
    control = Control()
    if processes is not None and not processes.is_first:
        with Interrupt(control, "") as interrupt:
            run(job, host, control, _in_silence, resume=resume, processes=processes)
        return interrupt.code
    try:
        with Interrupt(control) as interrupt, Progress() as progress, awake():
            done = run(job, host, control, progress, resume=resume, processes=processes)
    finally:
        if find(job, host.folders) is not None:
            say_last(f"\n{told('commands.can_resume', **_resuming(job.name, options))}")
    say_last(told("commands.saved", path=done.path) if done.path else told("commands.stopped"))
    if done.path is not None:
        with suppress(UserError):  # what it was trained on is gone by now, and nothing can be drawn with it
            command = _drawing(job, host, done.path, progress.prompt)
            say_last(f"\n{told('commands.draw_with_it', command=command)}")
    return interrupt.code


def _in_silence(_event: Event) -> None:
    """Of several processes, the first one shows the events."""


def _drawing(job: Job, host: Host, lora: Path, prompt: str) -> str:
    """The command that draws an image without the LoRA and with it.

    Args:
        prompt: of the images of its effect; empty if there are none.
    """
    settings = job.settings
    trained = [settings.lora_trigger_word, *split_lines(settings.original_prompt)]
    model, *vae = map(short, host.files(settings))
    arguments = ["--model", model]
    arguments += ["--vae", *vae] if vae else []
    arguments += ["--prediction", settings.prediction] if settings.prediction != FOUND else []
    arguments += ["--clip-skip", str(settings.clip_skip)] if settings.clip_skip else []
    for name, strength in split_loras(settings.base_loras):
        arguments += ["--lora", f"{short(find_lora(name, host.folders.loras))}:{strength:g}"]
    strengths = "-1,0,1" if settings.slider_positive or settings.slider_negative else "0,1"
    arguments += ["--lora", f"{short(lora)}:{strengths}"]
    arguments += ["--prompt", prompt or next(filter(None, trained), told("commands.your_prompt"))]
    out = host.folders.data / "samples" / f"{lora.stem}.png"
    return own_command("sample", *arguments, "--out", short(out))


class Stoppable(Protocol):
    """What Ctrl-C stops: a run's control, or the queue."""

    def stop(self) -> object: ...
    def stop_and_save(self) -> object: ...
    def interrupt(self) -> object: ...


class Interrupt:
    """What ends a run from outside, while the block lasts.

    Ctrl-C: the first time stop and save, the second time stop without saving. A signal that ends programs, or a console
    that is closed: save and end, within ten seconds; if a step takes longer than that, the program ends without it.

    Attributes:
        code: the exit code that says what there was of it.
    """

    def __init__(self, control: Stoppable, text: str = "commands.interrupted") -> None:
        """Args:
        text: the key of what is printed the first time; empty to print nothing.
        """
        self.code = 0
        self._pressed = 0
        self._control = control
        self._text = text
        self._ended = threading.Event()
        self._undo = ExitStack()

    def __enter__(self) -> Interrupt:
        self._undo.enter_context(heard(self._press, [signal.SIGINT]))
        self._undo.enter_context(heard(self._end))
        self._undo.callback(on_console_close(self._end_and_wait))
        self._undo.callback(self._ended.set)
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def _press(self, number: int) -> None:
        self._pressed += 1
        self.code = self.code or 128 + number
        if self._pressed == 1:
            if self._text:
                say_last(f"\n{told(self._text)}")
            self._control.stop_and_save()
        elif self._pressed == 2:
            self._control.stop()
        else:
            raise KeyboardInterrupt

    def _end(self, number: int) -> None:
        self.code = 128 + number
        self._control.interrupt()
        threading.Thread(target=self._end_at_last, name="trainyard-end", daemon=True).start()
        if self._text:
            say_last(f"\n{told('commands.ending')}")

    def _end_at_last(self) -> None:
        if not self._ended.wait(WITHIN):
            os._exit(self.code)  # files are whole or absent, whenever that is

    def _end_and_wait(self) -> None:
        """Windows ends the program when this returns."""
        self._control.interrupt()
        self._ended.wait(WITHIN)


def say_last(line: str) -> None:
    """Print a line of a program that is about to end, unless nobody can read it any more."""
    try:
        print(line, file=sys.stderr if line.startswith("\n") else sys.stdout, flush=True)
    except (OSError, RuntimeError):  # the terminal is closed; or the signal came in the middle of another line
        return


class Progress:
    """Shows a run's events in a terminal: a line a phase, a bar for the steps."""

    def __init__(self) -> None:
        self.prompt = ""
        """What the images of the effect show, once there are some."""
        self._bar: Bar | None = None
        self._phase: Message | None = None
        self._is_seen = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._close()

    def __call__(self, event: Event) -> None:
        if not self._is_seen:
            return
        try:
            self._show(event)
        except OSError:  # a closed terminal must not end the run
            self._is_seen = False

    def _show(self, event: Event) -> None:
        from ..job import Account, Detail, Effect, Phase, Preview, Saved, Step, Warned

        if isinstance(event, Account):
            for line in account_lines(event):
                self._say(line)
        elif isinstance(event, Step):
            step, steps, loss = event.number, event.total, f"{event.loss:.4f}"
            self._bar = self._bar or Bar(steps, told("commands.training"))
            self._bar.at(step, told("commands.at_step", step=step, steps=steps, loss=loss), loss=loss)
        elif isinstance(event, Phase) and event.message not in (message("phase.training"), self._phase):
            self._close()
            self._phase = event.message
            self._say(phase_line(event.message))
        elif isinstance(event, Warned | Detail):
            self._say(told(event.message))
        elif isinstance(event, Preview):
            self._say(told("commands.preview_at", step=event.step, path=event.path))
        elif isinstance(event, Saved) and self._bar is not None:
            self._say(told("commands.saved_at", step=event.step, path=event.path))
        elif isinstance(event, Effect):
            self.prompt = event.prompt
            for line in lines_of(event, language_of_machine()):
                self._say(line)

    def _say(self, line: str) -> None:
        if self._bar is None:
            print(line, file=sys.stderr)
        else:
            self._bar.say(line)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
