"""``queue``: jobs that wait on disk, and the worker that runs them one after the other."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.schema import to_json
from ..errors import UserError
from ..jobs.store import ENDED, INTERRUPTED, RUNNING, WAITING, Entry, Store
from ..text.columns import columns, padded
from .options import add_device, add_folders, bar_of_images, folders_of
from .train import Interrupt, Progress, add_settings, fitted, read_settings, say_last
from .words import account_lines, told

if TYPE_CHECKING:
    from ..job import Done, Event, Failed

_Command = Callable[[argparse.Namespace], int]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("queue", help=told("commands.queue"), description=told("commands.queue_description"))
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    add = verbs.add_parser(
        "add",
        help=told("commands.queue_add"),
        description=told("commands.queue_add_description"),
        usage="python -m trainer queue add [SETTINGS] [--set KEY=VALUE ...] [--card GB] [--any-setting VALUE ...]",
    )
    add_settings(add)
    add.set_defaults(command=_add)
    listing = _verb(verbs, "list", _list, numbered=False)
    listing.add_argument("--json", action="store_true", help=told("commands.json"))
    run = _verb(verbs, "run", _run, numbered=False, output=True)
    run.add_argument("--watch", action="store_true", help=told("commands.queue_watch"))
    run.add_argument("--continue", action="store_true", dest="continues", help=told("commands.continues"))
    add_device(run)
    show = _verb(verbs, "show", _show)
    show.add_argument("--json", action="store_true", help=told("commands.json"))
    move = _verb(verbs, "move", _move)
    move.add_argument("position", type=int, metavar="POSITION", help=told("commands.queue_position"))
    _verb(verbs, "again", _again, output=True)
    resume = _verb(verbs, "resume", _resume, numbered=False, output=True)
    resume.add_argument("job", metavar="ID|NAME", help=told("commands.queue_id_or_name"))
    _verb(verbs, "duplicate", _duplicate, output=True)
    _verb(verbs, "delete", _delete)
    clear = _verb(verbs, "clear", _clear, numbered=False)
    clear.add_argument("--ended", action="store_true", help=told("commands.queue_ended"))


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: _Command,
    *,
    numbered: bool = True,
    output: bool = False,
) -> argparse.ArgumentParser:
    text = told(f"commands.queue_{name}")
    parser = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    if numbered:
        parser.add_argument("id", type=int, metavar="ID", help=told("commands.queue_id"))
    add_folders(parser, output=output)
    parser.set_defaults(command=command)
    return parser


def _opened(options: argparse.Namespace) -> Store:
    store = Store(folders_of(options))
    if store.notice is not None:
        print(told(store.notice), file=sys.stderr)
    return store


# ---- changing the queue ---------------------------------------------------------------------------------------------


def _add(options: argparse.Namespace) -> int:
    parsed = read_settings(options)
    from ..engine.run import check
    from ..hosts.standalone import Standalone
    from ..job import Job
    from ..jobs.admission import admitted
    from ..models.precision import choose_device

    host = Standalone(choose_device(options.device), folders_of(options))
    settings = fitted(options, parsed.with_defaults(host.defaults(parsed.settings)), host)
    job = Job.create(settings)
    check(job, host)  # now, and not at night when its run begins
    with bar_of_images("commands.reading") as show:
        account = admitted(job.settings, host.folders, host, progress=show)
    for line in account_lines(account):
        print(line, file=sys.stderr)
    _tell_place(_opened(options).add_job(job, is_drawn=settings.train_seed < 0))
    return 0


def _duplicate(options: argparse.Namespace) -> int:
    _tell_place(_opened(options).duplicate(options.id))
    return 0


def _again(options: argparse.Namespace) -> int:
    _tell_place(_opened(options).again(options.id))
    return 0


def _resume(options: argparse.Namespace) -> int:
    store, job = _opened(options), options.job
    entry = store.get(int(job)) if job.isdecimal() and len(job) < 19 else store.named(job)
    if entry is None:
        raise UserError("commands.no_job_named", where=job)
    _tell_place(store.resume(entry.id))
    return 0


def _move(options: argparse.Namespace) -> int:
    _tell_place(_opened(options).move(options.id, options.position))
    return 0


def _tell_place(entry: Entry) -> None:
    values = {"number": entry.id, "name": _printable(entry.name), "position": entry.position}
    print(told("commands.job_waits", **values))


def _delete(options: argparse.Namespace) -> int:
    _opened(options).delete(options.id)
    print(told("commands.job_deleted", number=options.id))
    return 0


def _clear(options: argparse.Namespace) -> int:
    store = _opened(options)
    count = store.clear(ENDED) if options.ended else store.clear()
    print(told("commands.jobs_deleted", count=count))
    return 0


# ---- looking at it --------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    entries = _opened(options).entries()
    if options.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        print(told("queue.empty"))
        return 0
    headings = [told(f"commands.column_{name}") for name in ("id", "status", "mode", "name", "model", "added")]
    rows = [(*headings, ""), *map(_row, entries)]
    widths = [max(columns(row[column]) for row in rows) for column in range(len(headings))]
    for row in rows:
        cells = [padded(cell, width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())
    return 0


def _row(entry: Entry) -> tuple[str, ...]:
    status = told(f"queue.is_{entry.status}")
    if entry.status == WAITING:
        status = f"{status} {entry.position}"
    elif entry.status == RUNNING:
        status = f"{status} {entry.step}/{entry.steps}"
    model = Path(entry.model).name
    last = str(entry.path or "") if entry.message is None else told(entry.message)
    if entry.can_continue:
        last = " ".join(part for part in (last, _goes_on(entry)) if part)
    cells = (str(entry.id), status, entry.mode, entry.name, model, f"{entry.created:%Y-%m-%d %H:%M}", last)
    return tuple(_printable(cell) for cell in cells)


def _goes_on(entry: Entry) -> str:
    return told("status.continue_at", step=entry.continue_at) if entry.continue_at else told("status.can_continue")


def _show(options: argparse.Namespace) -> int:
    store = _opened(options)
    entry = store.get(options.id)
    settings = to_json(store.job(options.id).settings)
    if options.json:
        print(json.dumps({**_as_json(entry), "settings": settings}, indent=2))
        return 0
    facts = {
        "job": str(entry.id),
        "status": _row(entry)[1],
        "name": entry.name,
        "mode": entry.mode,
        "added": f"{entry.created:%Y-%m-%d %H:%M:%S}",
        "started": _time(entry.started),
        "ended": _time(entry.ended),
        "steps": told("queue.step_of", step=entry.step, steps=entry.steps),
        "message": "" if entry.message is None else told(entry.message),
        "goes_on": _goes_on(entry) if entry.can_continue else "",
        "lora": str(entry.path or ""),
    }
    headings = {name: told(f"commands.job_{name}") for name in facts}
    width = max(map(columns, headings.values())) + 1
    for name, value in facts.items():
        if value:
            print(f"{padded(headings[name], width)}{_printable(value)}")
    print(json.dumps(settings, indent=4))
    return 0


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _as_json(entry: Entry) -> dict[str, Any]:
    path = None if entry.path is None else str(entry.path)
    message = "" if entry.message is None else told(entry.message)
    return {**vars(entry), "created": entry.created.isoformat(), "path": path, "message": message}


def _printable(text: str) -> str:
    """Text of a user's as it may go to a terminal: nothing in it moves the cursor or breaks the line."""
    return "".join(character if character.isprintable() else "�" for character in text)


# ---- running it -----------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    store = _opened(options)
    if options.continues:
        for entry in store.entries():
            if entry.status == INTERRUPTED and entry.can_continue:
                store.resume(entry.id)
    if not options.watch and not any(entry.status == WAITING for entry in store.entries()):
        print(told("commands.no_job_waits"))
        return 0
    from ..hosts.standalone import Standalone
    from ..jobs.worker import Worker
    from ..models.precision import choose_device

    host = Standalone(choose_device(options.device), folders_of(options))
    shown = _Shown()
    worker = Worker(store, lambda: host, shown)
    with Interrupt(_Stop(worker), "commands.interrupted_queue") as interrupt:
        worker.start(watch=options.watch)
        while not worker.join(0.2):  # not all at once, or Ctrl-C would not be heard on Windows
            pass
    worker.close()
    if worker.problem is not None:
        print(f"trainyard: {told(worker.problem)}", file=sys.stderr)
    say_last(shown.summary(store))
    if interrupt.code:
        return interrupt.code
    return 2 if shown.failed or worker.problem is not None else 0


class _Stop:
    """Ctrl-C ends the queue, not only the job."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def stop(self) -> None:
        self._worker.hold()
        self._worker.stop()

    def stop_and_save(self) -> None:
        self._worker.hold()
        self._worker.stop_and_save()

    def interrupt(self) -> None:
        self._worker.interrupt()


class _Shown:
    """Shows the running job as ``train`` does, and a line when each begins and ends."""

    def __init__(self) -> None:
        self.ended = 0
        self.failed = 0
        self._number = 0
        self._progress: Progress | None = None

    def __call__(self, entry: Entry, event: Event) -> None:
        from ..job import Done, Failed

        if entry.id != self._number:
            self._number = entry.id
            values = {"number": entry.id, "mode": entry.mode, "name": _printable(entry.name)}
            print(told("commands.job_begins", **values), flush=True)
        if self._progress is None:
            self._progress = Progress()
        self._progress(event)
        if isinstance(event, Done | Failed):
            self._progress.__exit__()
            self._progress = None
            self._number = 0
            self.ended += 1
            self.failed += isinstance(event, Failed)
            print(told("commands.job_ends", number=entry.id, end=_printable(_end(event))), flush=True)

    def summary(self, store: Store) -> str:
        waiting = sum(entry.status == WAITING for entry in store.entries())
        parts = [told("commands.jobs_run", count=self.ended)]
        if self.failed:
            parts.append(told("commands.jobs_failed", count=self.failed))
        if waiting:
            parts.append(told("commands.jobs_waiting", count=waiting))
        return told("commands.sentence_of", parts=parts)


def _end(event: Done | Failed) -> str:
    from ..job import Failed

    if isinstance(event, Failed):
        return told("commands.end_failed", error=event.error.whole)
    if event.path is None:
        return told("commands.end_stopped")
    return told("commands.end_stopped_and_saved" if event.stopped else "commands.end_saved", path=event.path)
