"""``queue``: jobs that wait on disk, and the worker that runs them one after the other."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.schema import to_json
from ..jobs.store import ENDED, RUNNING, WAITING, Entry, Store
from .options import add_device, add_folders, folders_of
from .train import Interrupt, Progress, add_settings, read_settings

if TYPE_CHECKING:
    from ..job import Event

_Command = Callable[[argparse.Namespace], int]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "queue",
        help="keep jobs on disk and run them one after the other",
        description="Jobs wait in a queue on disk. A failed one does not stop the next.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    add = verbs.add_parser(
        "add",
        help="put a job at the end",
        description="Put a job at the end of the queue. Its settings are given as for train.",
        usage="python -m trainer queue add [SETTINGS] [--set KEY=VALUE ...] [--any-setting VALUE ...]",
    )
    add_settings(add)
    add.set_defaults(command=_add)
    listing = _verb(verbs, "list", _list, "list all jobs in their order", numbered=False)
    listing.add_argument("--json", action="store_true")
    run = _verb(verbs, "run", _run, "run the waiting jobs", numbered=False, output=True)
    run.add_argument("--watch", action="store_true", help="when none waits, wait for more")
    add_device(run)
    show = _verb(verbs, "show", _show, "show a job and its settings")
    show.add_argument("--json", action="store_true")
    move = _verb(verbs, "move", _move, "put a waiting job at another position")
    move.add_argument("position", type=int, metavar="POSITION", help="among the waiting jobs; 1 is next")
    _verb(verbs, "again", _again, "let a failed, stopped or interrupted job wait again", output=True)
    _verb(verbs, "duplicate", _duplicate, "put a copy of a job at the end, under a free name", output=True)
    _verb(verbs, "delete", _delete, "delete a job; its LoRA stays")
    clear = _verb(verbs, "clear", _clear, "delete the jobs that are done; their LoRAs stay", numbered=False)
    clear.add_argument("--ended", action="store_true", help="also those that failed, were stopped or interrupted")


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: _Command,
    text: str,
    *,
    numbered: bool = True,
    output: bool = False,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    if numbered:
        parser.add_argument("id", type=int, metavar="ID", help="the job's number; see: queue list")
    add_folders(parser, output=output)
    parser.set_defaults(command=command)
    return parser


def _opened(options: argparse.Namespace) -> Store:
    store = Store(folders_of(options))
    if store.notice:
        print(store.notice, file=sys.stderr)
    return store


# ---- changing the queue ---------------------------------------------------------------------------------------------


def _add(options: argparse.Namespace) -> int:
    parsed = read_settings(options)
    from ..engine.run import check
    from ..hosts.standalone import Standalone
    from ..job import Job
    from ..models.precision import choose_device

    host = Standalone(choose_device(options.device), folders_of(options))
    job = Job.create(parsed.with_defaults(host.defaults(parsed.settings)))
    check(job, host)  # a mistake is better told now than at night
    _tell_place(_opened(options).add_job(job))
    return 0


def _duplicate(options: argparse.Namespace) -> int:
    _tell_place(_opened(options).duplicate(options.id))
    return 0


def _again(options: argparse.Namespace) -> int:
    _tell_place(_opened(options).again(options.id))
    return 0


def _move(options: argparse.Namespace) -> int:
    _tell_place(_opened(options).move(options.id, options.position))
    return 0


def _tell_place(entry: Entry) -> None:
    print(f"Job {entry.id}, {_plain(entry.name)}, waits at position {entry.position}.")


def _delete(options: argparse.Namespace) -> int:
    _opened(options).delete(options.id)
    print(f"Job {options.id} is deleted.")
    return 0


def _clear(options: argparse.Namespace) -> int:
    store = _opened(options)
    count = store.clear(ENDED) if options.ended else store.clear()
    print(f"{count} {'job' if count == 1 else 'jobs'} deleted.")
    return 0


# ---- looking at it --------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    entries = _opened(options).entries()
    if options.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        print("The queue is empty.")
        return 0
    rows = [("ID", "STATUS", "MODE", "NAME", "MODEL", "ADDED", ""), *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())
    return 0


def _row(entry: Entry) -> tuple[str, ...]:
    status = entry.status
    if status == WAITING:
        status = f"waiting {entry.position}"
    elif status == RUNNING:
        status = f"running {entry.step}/{entry.steps}"
    model = Path(entry.model).name
    last = entry.message or str(entry.path or "")
    cells = (str(entry.id), status, entry.mode, entry.name, model, f"{entry.created:%Y-%m-%d %H:%M}", last)
    return tuple(_plain(cell) for cell in cells)


def _show(options: argparse.Namespace) -> int:
    store = _opened(options)
    entry = store.get(options.id)
    settings = to_json(store.job(options.id).settings)
    if options.json:
        print(json.dumps({**_as_json(entry), "settings": settings}, indent=2))
        return 0
    facts = {
        "Job": str(entry.id),
        "Status": _row(entry)[1],
        "Name": entry.name,
        "Mode": entry.mode,
        "Added": f"{entry.created:%Y-%m-%d %H:%M:%S}",
        "Started": _time(entry.started),
        "Ended": _time(entry.ended),
        "Steps": f"{entry.step} of {entry.steps}",
        "Message": entry.message,
        "LoRA": str(entry.path or ""),
    }
    for name, value in facts.items():
        if value:
            print(f"{name + ':':9}{_plain(value)}")
    print(json.dumps(settings, indent=4))
    return 0


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _as_json(entry: Entry) -> dict[str, Any]:
    times = {"created": entry.created.isoformat(), "path": None if entry.path is None else str(entry.path)}
    return {**asdict(entry), **times}


def _plain(text: str) -> str:
    """Text of a user's as it may go to a terminal: nothing in it moves the cursor or breaks the line."""
    return "".join(character if character.isprintable() else "�" for character in text)


# ---- running it -----------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    store = _opened(options)
    if not options.watch and not any(entry.status == WAITING for entry in store.entries()):
        print("No job is waiting.")
        return 0
    from ..hosts.standalone import Standalone
    from ..jobs.worker import Worker
    from ..models.precision import choose_device

    host = Standalone(choose_device(options.device), folders_of(options))
    shown = _Shown()
    worker = Worker(store, lambda: host, shown)
    interrupt = Interrupt(_Stop(worker), "The other jobs stay waiting.")
    worker.start(watch=options.watch)
    while not worker.join(0.2):  # in short turns, so that Ctrl-C is heard on Windows, too
        pass
    signal.signal(signal.SIGINT, signal.default_int_handler)
    worker.close()
    if worker.problem:
        print(f"trainyard: {worker.problem}", file=sys.stderr)
    print(shown.summary(store))
    if interrupt.pressed:
        return 130
    return 2 if shown.failed or worker.problem else 0


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
            print(f"Job {entry.id}: {entry.mode}, {_plain(entry.name)}", flush=True)
        if self._progress is None:
            self._progress = Progress()
        self._progress(event)
        if isinstance(event, Done | Failed):
            self._progress.__exit__()
            self._progress = None
            self._number = 0
            self.ended += 1
            self.failed += isinstance(event, Failed)
            print(f"Job {entry.id}: {_plain(_end(event))}", flush=True)

    def summary(self, store: Store) -> str:
        waiting = sum(entry.status == WAITING for entry in store.entries())
        failed = f", {self.failed} failed" if self.failed else ""
        left = f", {waiting} still waiting" if waiting else ""
        return f"{self.ended} {'job' if self.ended == 1 else 'jobs'} run{failed}{left}."


def _end(event: Any) -> str:
    from ..job import Failed

    if isinstance(event, Failed):
        return f"failed. {event.error}"
    if event.path is not None:
        return f"{'stopped, ' if event.stopped else ''}saved {event.path}"
    return "stopped. Nothing was saved."
