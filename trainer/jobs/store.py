"""The queue's jobs on disk: a table that outlives the program and may be used by several processes at once."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..config.check import check_for_run
from ..config.filenames import name_problem
from ..config.schema import parse, to_json
from ..config.settings import Settings, effective
from ..engine.state import Summary
from ..errors import SettingsError, UserError
from ..job import Job
from ..networks.files.settings import finished_file, is_finished, job_of
from ..paths import Folders
from ..text.messages import Message, from_json, label, message
from .database import BusyError, Database, Lease, is_leased
from .recovery import Found, Row, Value
from .states import Kept, Key, States

WAITING, RUNNING, DONE = "waiting", "running", "done"
FAILED, STOPPED, INTERRUPTED = "failed", "stopped", "interrupted"
STATUSES = (WAITING, RUNNING, DONE, FAILED, STOPPED, INTERRUPTED)
ENDED = (DONE, FAILED, STOPPED, INTERRUPTED)
_AGAIN = (FAILED, STOPPED, INTERRUPTED)

_RESTORABLE: Final = 20
"""How many of the deleted jobs can be restored."""
LOOK_SECONDS: Final = 10.0
"""As long as somebody who adds a job waits while its images are looked at."""
MIGRATIONS = (
    (
        """CREATE TABLE job (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            place INTEGER NOT NULL,
            status TEXT NOT NULL,
            name TEXT NOT NULL,
            mode TEXT NOT NULL,
            model TEXT NOT NULL,
            settings TEXT NOT NULL,
            created TEXT NOT NULL,
            started REAL,
            ended REAL,
            step INTEGER NOT NULL DEFAULT 0,
            steps INTEGER NOT NULL,
            message TEXT NOT NULL DEFAULT '',
            path BLOB,
            owner TEXT NOT NULL DEFAULT ''
        )""",
        "CREATE INDEX job_by_place ON job (status, place)",
    ),
    (
        "ALTER TABLE job ADD COLUMN resume INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN runs INTEGER NOT NULL DEFAULT 0",
    ),
    ("ALTER TABLE job ADD COLUMN drawn INTEGER NOT NULL DEFAULT 0",),  # whether its seed was -1
)
_FIRST_COLUMNS = (
    "id", "place", "status", "name", "mode", "model", "settings", "created", "started", "ended", "step", "steps",
    "message", "path", "owner",
)  # fmt: skip
"""Of every version's table, in their order."""
_COLUMNS = "id, status, name, mode, model, created, started, ended, step, steps, message, path, resume, runs"
_TO_COME = "SELECT name, status FROM job WHERE status IN (?, ?) AND id != ?"


@dataclass(frozen=True)
class Entry:
    """One job of the queue, without its settings.

    Attributes:
        id: its number; never used twice.
        status: one of :data:`STATUSES`.
        model: the model's name as in the settings; if that is empty, of the one that the run took.
        started, ended: seconds since 1970, or None.
        step: how many steps it has taken, as last recorded.
        message: why it failed, or how it ended; None where there is nothing to say.
        path: the LoRA, once there is one.
        resume: whether its run continues, or is to continue, the one that was broken off.
        runs: how many have been begun.
        position: its place among the waiting jobs, from 1; 0 if it is not waiting.
        can_continue: whether it has ended and could be continued where its run was broken off.
        continue_at: the step after which that would be, where it is known; else 0.
    """

    id: int
    status: str
    name: str
    mode: str
    model: str
    created: datetime
    started: float | None
    ended: float | None
    step: int
    steps: int
    message: Message | None
    path: Path | None
    resume: bool = False
    runs: int = 0
    position: int = 0
    can_continue: bool = False
    continue_at: int = 0


class Store:
    """The jobs in the order in which they will run.

    Every method raises ``BusyError``, ``DamagedError`` or ``OutputError`` if the file cannot be used.
    """

    def __init__(self, folders: Folders, *, timeout: float = 5.0) -> None:
        """Raises:
        UserError: the file was written by a newer version, is locked, or its folder cannot be written to.
        """
        self.folders = folders
        self._states = States(folders)
        self._deleted: dict[int, dict[str, Any]] = {}  # a whole row each, the latest last
        self._database = Database(folders.queue / "queue.db", MIGRATIONS, _look, _restore, timeout=timeout)

    @property
    def notice(self) -> Message | None:
        """What the user should know of how the file was opened; mostly None."""
        return self._database.notice

    def close(self) -> None:
        self._forget_deleted(0)
        self._database.close()

    # ---- looking ----------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All jobs in their order."""
        self.recover()
        states, position, found = self._states.all(), 0, []
        for row in self._database.read(f"SELECT {_COLUMNS} FROM job ORDER BY place"):
            position += row["status"] == WAITING
            found.append(self._entry(row, position if row["status"] == WAITING else 0, states))
        return found

    def named(self, name: str) -> Entry | None:
        """The latest job of that name."""
        return next((entry for entry in reversed(self.entries()) if entry.name == name), None)

    def broken_off(self) -> Entry | None:
        """The job that ended last, if its program ended with it or if it can be continued; else None."""
        self.recover()
        rows = self._database.read(f"SELECT {_COLUMNS} FROM job WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT 1")
        entry = self._entry(rows[0], 0, self._states.all()) if rows else None
        return entry if entry is not None and (entry.status == INTERRUPTED or entry.can_continue) else None

    def get(self, number: int) -> Entry:
        """Raises:
        UserError: there is no such job.
        """
        self.recover()
        return self._one(number)

    def job(self, number: int) -> Job:
        """The job with its settings, as it is run.

        Raises:
            UserError: there is no such job, or this version cannot read its settings.
        """
        return self._job_and_drawn(number)[0]

    def given(self, number: int) -> Settings:
        """A job's settings as they were given: a seed that was drawn is -1. Raises as :meth:`job` does."""
        job, is_drawn = self._job_and_drawn(number)
        return replace(job.settings, train_seed=-1) if is_drawn else job.settings

    def _job_and_drawn(self, number: int) -> tuple[Job, bool]:
        rows = self._database.read("SELECT name, settings, created, drawn FROM job WHERE id = ?", (_known(number),))
        if not rows:
            raise _missing()
        try:
            settings = parse(json.loads(rows[0]["settings"])).settings
        except (SettingsError, ValueError) as error:
            reason = error.whole if isinstance(error, UserError) else error
            raise UserError("jobs.settings_unusable", where=rows[0]["name"], reason=reason) from error
        return Job(settings, datetime.fromisoformat(rows[0]["created"])), bool(rows[0]["drawn"])

    def proposed_name(self, name: str) -> str:
        """``name`` with a number that makes it unique among jobs and LoRA files."""
        stem = re.sub(r"_\d{1,6}$", "", name) or name
        taken = {_folded(row["name"]) for row in self._database.read("SELECT name FROM job")}
        number = 2
        while True:
            ending = f"_{number}"
            while name_problem(stem + ending) and len(stem) > 1:
                stem = stem[:-1]
            if _folded(stem + ending) not in taken and not self.folders.lora(stem + ending).exists():
                return stem + ending
            number += 1

    def require_free_name(self, settings: Settings, but: int = 0) -> None:
        """Ask of settings what is asked of a job that is added, or of the job ``but`` when it gets them: a free name.

        Raises:
            UserError: the name is taken by a job or a file; or there is no job ``but``.
        """
        job = Job.create(settings, self._one(but).created if but else None)
        self._refuse_taken(self._database.read(_TO_COME, (WAITING, RUNNING, but)), job)

    # ---- changing ---------------------------------------------------------------------------------------------------

    def add(self, settings: Settings) -> Entry:
        """A new job at the end; a seed of -1 is replaced by a random one now. Raises as :meth:`add_job` does."""
        return self.add_job(Job.create(settings), is_drawn=settings.train_seed < 0)

    def add_job(self, job: Job, *, is_drawn: bool = False) -> Entry:
        """Args:
            is_drawn: whether nobody chose the seed.

        Raises:
            UserError: the settings would not train, or the name is taken by a job or a file.
        """
        _require_runnable(job.settings)
        steps = _steps_of(job.settings)
        self.recover()
        with self._database.transaction() as connection:
            self._require_free(connection, job)
            place = connection.execute("SELECT coalesce(max(place), 0) + 1 FROM job").fetchone()[0]
            values = {**_written(job, steps, is_drawn), "place": place, "status": WAITING}
            values["created"] = job.created.isoformat()
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            number = connection.execute(f"INSERT INTO job ({names}) VALUES ({marks})", list(values.values())).lastrowid
        assert number is not None
        return self._one(number)

    def edit(self, number: int, settings: Settings) -> Entry:
        """Give a job other settings; one that failed, was stopped or was interrupted waits again.

        Raises:
            UserError: it is running or done, or as for :meth:`add`.
        """
        _require_runnable(settings)
        steps = _steps_of(settings)
        self.recover()
        with self._database.transaction() as connection:
            row = self._row(connection, number)
            if row["status"] in (RUNNING, DONE):
                raise UserError("jobs.cannot_edit", where=row["name"], status=_status(row))
            job = Job.create(settings, datetime.fromisoformat(row["created"]))
            self._require_free(connection, job, but=number)
            self._update(connection, number, **_written(job, steps, settings.train_seed < 0), **_fresh())
        self._states.remove(row["name"], job.created)  # of other settings
        return self._one(number)

    def duplicate(self, number: int) -> Entry:
        """A copy at the end, under a free name; with a seed of its own, unless one was chosen."""
        settings = self.given(number)
        name = self.proposed_name(settings.save_lora_name or "untitled")
        return self.add(replace(settings, save_lora_name=name))

    def again(self, number: int) -> Entry:
        """Let a job that failed, was stopped or was interrupted wait again; a waiting one stays as it is.

        Raises:
            UserError: it is running or done, or its name has been taken since.
        """
        self.recover()
        job = self.job(number)
        with self._database.transaction() as connection:
            row = self._row(connection, number)
            status = row["status"]
            if status in _AGAIN:
                self._require_free(connection, job, but=number)
                place = connection.execute("SELECT max(place) + 1 FROM job").fetchone()[0]
                self._update(connection, number, **_fresh(place=place, model=job.settings.model))
            elif status != WAITING:
                raise UserError("jobs.cannot_run_again", where=row["name"], status=_status(row))
        return self._one(number)

    def resume(self, number: int) -> Entry:
        """Let a job wait, first of all, to be continued where its run was broken off.

        Raises:
            UserError: it has not ended, there is no state of it, or its name has been taken since.
        """
        self.recover()
        job = self.job(number)
        with self._database.transaction() as connection:
            row = self._row(connection, number)
            if row["status"] not in _AGAIN:
                raise UserError("jobs.cannot_continue", where=row["name"], status=_status(row))
            if self._states.of(job.name, job.created) is None:
                raise UserError("jobs.nothing_to_continue", where=row["name"])
            self._require_free(connection, job, but=number)
            place = connection.execute("SELECT max(place) + 1 FROM job").fetchone()[0]
            self._update(connection, number, **_fresh(place=place, resume=1))
        return self.move(number, 1)

    def move(self, number: int, position: int) -> Entry:
        """Put a waiting job at ``position`` among the waiting ones, from 1; beyond the end means last.

        Raises:
            UserError: it is not waiting.
        """
        return self._reorder(number, lambda _now: position)

    def shift(self, number: int, by: int) -> Entry:
        """Move a waiting job ``by`` places down, or up if it is negative."""
        return self._reorder(number, lambda now: now + by)

    def delete(self, number: int, *, restorable: bool = False) -> None:
        """Delete a job.

        Args:
            restorable: whether it may be brought back while it is among the last ones and the program runs.

        Raises:
            UserError: it is running, or there is no such job.
        """
        self.recover()
        with self._database.transaction() as connection:
            row = self._row(connection, number)
            if row["status"] == RUNNING:
                raise UserError("jobs.cannot_delete", where=row["name"])
            whole = dict(connection.execute("SELECT * FROM job WHERE id = ?", (number,)).fetchone())
            connection.execute("DELETE FROM job WHERE id = ?", (number,))
        self._deleted[number] = whole
        self._forget_deleted(_RESTORABLE if restorable else 0)

    def restore(self, number: int) -> Entry:
        """Bring a job back that was deleted, to its place.

        Raises:
            UserError: it was not, too long ago, or its name has been taken since.
        """
        whole = self._deleted.get(number)
        if whole is None:
            raise _missing()
        job = Job(parse(json.loads(whole["settings"])).settings, datetime.fromisoformat(whole["created"]))
        with self._database.transaction() as connection:
            if whole["status"] == WAITING:
                self._require_free(connection, job)
            names, marks = ", ".join(whole), ", ".join("?" * len(whole))
            connection.execute(f"INSERT INTO job ({names}) VALUES ({marks})", list(whole.values()))
        self._deleted.pop(number, None)
        return self._one(number)

    def _forget_deleted(self, most: int) -> None:
        """Delete what the first of the deleted jobs could be continued from, but for so many."""
        while len(self._deleted) > most:
            whole = self._deleted.pop(next(iter(self._deleted)))
            self._states.remove(whole["name"], datetime.fromisoformat(whole["created"]))

    def clear(self, statuses: Iterable[str] = (DONE,)) -> int:
        """Delete the jobs with these statuses, all of them of jobs that have ended; their LoRAs stay.

        Returns:
            How many there were.
        """
        chosen = [status for status in statuses if status in ENDED]
        marks = ", ".join("?" * len(chosen))
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT name, created FROM job WHERE status IN ({marks})", chosen).fetchall()
            connection.execute(f"DELETE FROM job WHERE status IN ({marks})", chosen)
        gone = {(row["name"], datetime.fromisoformat(row["created"])) for row in rows}
        self._states.tidy(lambda summary: (summary.name, summary.created) in gone)
        return len(rows)

    # ---- for who runs them ------------------------------------------------------------------------------------------

    def lease(self) -> Lease:
        """What a worker claims jobs with."""
        return Lease(self.folders.queue)

    def claim(self, lease: Lease, number: int | None = None) -> Entry | None:
        """Take the next waiting job, or this one; None if no such job waits. No two claims get the same."""
        with self._database.transaction() as connection:
            chosen, values = ("AND id = ?", (number,)) if number is not None else ("", ())
            query = f"SELECT id, resume, runs FROM job WHERE status = '{WAITING}' {chosen} ORDER BY place LIMIT 1"
            row = connection.execute(query, values).fetchone()
            if row is None:
                return None
            begun = _fresh(RUNNING, owner=lease.token, started=time.time(), resume=row["resume"], runs=row["runs"] + 1)
            self._update(connection, row["id"], **begun)
        return self._one(row["id"])

    def note_step(self, number: int, lease: Lease, step: int, steps: int | None = None) -> None:
        """Record how far a job is, unless someone else is writing: it is not worth waiting for.

        Args:
            steps: of how many, where that is known by now.
        """
        change = "UPDATE job SET step = ?, steps = coalesce(?, steps) WHERE id = ? AND owner = ?"
        try:
            with self._database.transaction(wait=False) as connection:
                connection.execute(change, (step, steps, number, lease.token))
        except BusyError:
            return

    def note_model(self, number: int, lease: Lease, model: str) -> None:
        """Record what a claimed job is trained on that leaves it to its host."""
        with self._database.transaction() as connection:
            change = "UPDATE job SET model = ? WHERE id = ? AND owner = ? AND model = ''"
            connection.execute(change, (model, number, lease.token))

    def note_result(self, number: int, lease: Lease, path: Path, *, message: Message | None = None) -> None:
        """Record the LoRA of a claimed job as soon as it is on the disk: from then on the job is done, or stopped as
        ``message`` says, even if the program is killed while the job's run still looks at it."""
        with self._database.transaction() as connection:
            change = "UPDATE job SET path = ?, message = ? WHERE id = ? AND owner = ?"
            connection.execute(change, (os.fsencode(path), _stored(message), number, lease.token))

    def finish(
        self,
        number: int,
        lease: Lease,
        status: str,
        *,
        message: Message | None = None,
        path: Path | None = None,
        step: int = 0,
    ) -> None:
        """Record how a claimed job ended."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT owner FROM job WHERE id = ?", (number,)).fetchone()
            if row is not None and row["owner"] == lease.token:
                blob = None if path is None else os.fsencode(path)
                ended = {
                    "status": status,
                    "message": _stored(message),
                    "path": blob,
                    "step": step,
                    "owner": "",
                }
                self._update(connection, number, **ended, ended=time.time())

    def recover(self) -> int:
        """Find the jobs that were running when their process died. Returns how many there were."""
        running = self._database.read(f"SELECT id, owner, path, message FROM job WHERE status = '{RUNNING}'")
        dead = [row for row in running if not is_leased(self.folders.queue, row["owner"])]
        if not dead:
            return 0
        now, ended = time.time(), [(*self._end_of(row), row["id"], row["owner"]) for row in dead]
        change = "UPDATE job SET status = ?, message = ?, path = ?, ended = ?, owner = '' WHERE id = ? AND owner = ?"
        with self._database.transaction() as connection:  # by its owner, as it may have ended meanwhile
            connection.executemany(change, [(*end, now, number, owner) for *end, number, owner in ended])
        return len(dead)

    def _end_of(self, row: sqlite3.Row) -> tuple[str, str, bytes | None]:
        """Status, message and path of a job whose process died: if its LoRA was on the disk by then, it is done."""
        if row["path"] is not None:
            return _status_told(row["message"]), row["message"], row["path"]
        try:
            job = self.job(row["id"])
            path = finished_file(self.folders.lora(job.name), job.id)
        except UserError:  # whoever runs it again is told
            path = None
        if path is not None:  # it died in between
            return DONE, "", os.fsencode(path)
        return INTERRUPTED, _stored(message("jobs.program_ended")), None

    def forget_state(self, job: Job) -> None:
        """Delete what a job could be continued from: it begins anew."""
        self._states.remove(job.name, job.created)

    def tidy(self) -> int:
        """Delete the states of jobs that are done, whose program was killed before it could, and the leases of dead
        programs. Returns how many states there were."""
        self.recover()
        for path in self.folders.queue.glob("*.lock"):
            is_leased(self.folders.queue, path.stem)
        query = f"SELECT name, created FROM job WHERE status = '{DONE}'"
        done = {(row["name"], datetime.fromisoformat(row["created"])) for row in self._database.read(query)}
        return self._states.tidy(lambda summary: (summary.name, summary.created) in done or self._is_trained(summary))

    def _is_trained(self, summary: Summary) -> bool:
        """Whether the LoRA of a run without the queue is on the disk."""
        return is_finished(self.folders.lora(summary.name), summary.created)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _one(self, number: int) -> Entry:
        rows = self._database.read(f"SELECT {_COLUMNS}, place FROM job WHERE id = ?", (_known(number),))
        if not rows:
            raise _missing()
        before = f"SELECT count(*) FROM job WHERE status = '{WAITING}' AND place <= ?"
        position = self._database.read(before, (rows[0]["place"],))[0][0] if rows[0]["status"] == WAITING else 0
        return self._entry(rows[0], position, self._states.all())

    def _entry(self, row: sqlite3.Row, position: int, states: dict[Key, Kept]) -> Entry:
        entry = _entry(row, position)
        kept = self._states.of(entry.name, entry.created, states) if entry.status in _AGAIN else None
        if kept is None:
            return entry
        return replace(entry, can_continue=True, continue_at=kept.summary.step if kept.summary else 0)

    @staticmethod
    def _row(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
        row = connection.execute("SELECT name, status, created FROM job WHERE id = ?", (_known(number),)).fetchone()
        if row is None:
            raise _missing()
        assert isinstance(row, sqlite3.Row)
        return row

    @staticmethod
    def _update(connection: sqlite3.Connection, number: int, **values: object) -> None:
        changes = ", ".join(f"{name} = ?" for name in values)
        connection.execute(f"UPDATE job SET {changes} WHERE id = ?", [*values.values(), number])

    def _require_free(self, connection: sqlite3.Connection, job: Job, but: int = 0) -> None:
        self._refuse_taken(connection.execute(_TO_COME, (WAITING, RUNNING, but)), job)

    def _refuse_taken(self, rows: Iterable[sqlite3.Row], job: Job) -> None:
        """No job to come and no file but its own may have the name, in upper or lower case, as on Windows and macOS."""
        for row in rows:
            if _folded(row["name"]) == _folded(job.name):
                status = _status(row)
                raise UserError("jobs.name_of_job", where=label("save_lora_name"), name=row["name"], status=status)
        path = self.folders.lora(job.name)
        if path.exists() and not job.settings.save_overwrite and job_of(path) != job.id:
            overwrite = label("save_overwrite")
            raise UserError("jobs.file_exists", where=label("save_lora_name"), name=path.name, overwrite=overwrite)

    def _reorder(self, number: int, find: Callable[[int], int]) -> Entry:
        with self._database.transaction() as connection:
            moved = self._row(connection, number)
            if moved["status"] != WAITING:
                raise UserError("jobs.cannot_move", where=moved["name"], status=_status(moved))
            query = f"SELECT id, place FROM job WHERE status = '{WAITING}' ORDER BY place"
            rows = connection.execute(query).fetchall()
            order = [row["id"] for row in rows]
            now = order.index(number)
            order.insert(min(max(find(now + 1), 1), len(order)) - 1, order.pop(now))
            places = [(row["place"], each) for row, each in zip(rows, order, strict=True) if row["id"] != each]
            connection.executemany("UPDATE job SET place = ? WHERE id = ?", places)
        return self._one(number)


# ---- from a damaged file --------------------------------------------------------------------------------------------


def _look(connection: sqlite3.Connection) -> None:
    for status, created in connection.execute("SELECT status, created FROM job"):
        datetime.fromisoformat(created)
        STATUSES.index(status)


def _restore(connection: sqlite3.Connection, found: Found) -> tuple[int, list[str]]:
    """Put the jobs that were read of a damaged file into a new one. Returns their number, and who is missing."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(job)")]
    jobs = {row.id: values for row in found.rows if (values := _as_job(row, names))}
    for number, values in jobs.items():
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO job (id, {columns}) VALUES (?, {marks})", [number, *values.values()])
    return len(jobs), _missing_jobs(jobs.keys(), found)


def _as_job(row: Row, names: Sequence[str]) -> dict[str, Value] | None:
    """A row's columns by name, if it is a whole job. Versions before this one had fewer columns."""
    values = dict(zip(names, row.values, strict=False))
    values.pop("id", None)
    try:
        whole = isinstance(json.loads(str(values["settings"])), dict) and values["status"] in STATUSES
        datetime.fromisoformat(str(values["created"]))
        text = all(isinstance(values[name], str) for name in ("name", "mode", "model", "message", "owner"))
        numbers = all(isinstance(values[name], int) for name in ("place", "step", "steps"))
    except (KeyError, ValueError):
        return None
    return values if whole and text and numbers and 0 < row.id < 2**63 else None


def _missing_jobs(known: Collection[int], found: Found) -> list[str]:
    """Jobs that are not whole any more, by name where that is left, and those of which only the index tells."""
    status, name = _FIRST_COLUMNS.index("status"), _FIRST_COLUMNS.index("name")
    told = {
        row.id: str(row.values[name])
        for row in (*found.broken, *found.rows)
        if len(row.values) > name and (row.values[status] in STATUSES or len(row.values) >= len(_FIRST_COLUMNS))
    }
    indexed = {entry[-1] for entry in found.entries if len(entry) == 3 and entry[0] in STATUSES}
    lost = {*told, *(number for number in indexed if isinstance(number, int))} - set(known)
    return [told.get(number, f"#{number}") for number in sorted(lost)]


def _fresh(status: str = WAITING, **values: object) -> dict[str, object]:
    """The columns of a job that has not ended."""
    blank = {"message": "", "path": None, "step": 0, "owner": "", "started": None, "ended": None, "resume": 0}
    return {"status": status, **blank, **values}


def _steps_of(settings: Settings) -> int:
    """The steps a job will take, as far as its images are there by now; its run says what is wrong with them."""
    if not settings.train_epochs:
        return settings.train_iterations
    from ..data.epochs import counted  # which looks at images, and brings what reads them
    from ..data.look import Unfinished, within

    try:
        found = within(LOOK_SECONDS, lambda check, _progress: counted(effective(settings), check=check))
    except UserError:
        return settings.train_iterations
    return settings.train_iterations if isinstance(found, Unfinished) else found.train_iterations


def _written(job: Job, steps: int, is_drawn: bool) -> dict[str, object]:
    settings = job.settings
    return {
        "name": job.name,
        "mode": settings.mode,
        "model": settings.model,
        "settings": json.dumps(to_json(settings), ensure_ascii=False),
        "steps": steps,
        "drawn": int(is_drawn),
    }


def _entry(row: sqlite3.Row, position: int) -> Entry:
    values = dict(zip(row.keys(), row, strict=True))
    values.pop("place", None)
    values["resume"] = bool(values["resume"])
    values["created"] = datetime.fromisoformat(values["created"])
    values["path"] = None if values["path"] is None else Path(os.fsdecode(values["path"]))
    values["message"] = from_json(values["message"]) if values["message"] else None
    return Entry(**values, position=position)


def _stored(text: Message | None) -> str:
    """A message as its column has it. Versions before this one wrote it in English; that is read as it is."""
    return "" if text is None else text.as_json().encode("utf-8", "replace").decode()


def _status_told(stored: str) -> str:
    """The status of a job that has a LoRA, by what is said of its end."""
    if not stored:
        return DONE
    return INTERRUPTED if from_json(stored).key == "jobs.program_closed_and_saved" else STOPPED


def _status(row: sqlite3.Row) -> Message:
    """The status of a job in words."""
    return message(f"queue.is_{row['status']}")


def _require_runnable(settings: Settings) -> None:
    parse(to_json(settings))  # refuse now what could not be read back
    problems = check_for_run(settings)
    if problems:
        raise SettingsError(problems)


def _missing() -> UserError:
    return UserError("jobs.no_such_job")


def _known(number: int) -> int:
    if not 0 < number < 2**63:  # SQLite's numbers end there
        raise _missing()
    return number


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
