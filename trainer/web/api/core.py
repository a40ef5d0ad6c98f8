"""The routes under ``/trainyard/v1/``: what the page's own JavaScript asks, and programs may ask as well.

Bodies and answers are plain JSON objects, no models of pydantic: hosts have its version 1 or 2.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from ...config import presets
from ...config.schema import describe, parse, to_json
from ...config.settings import ROWS
from ...config.values import read_value
from ...errors import SettingsError, UserError, WrongValue
from ...job import Effect
from ...jobs.run_status import Point, Snapshot
from ...jobs.store import DONE, ENDED, WAITING, Entry
from ...jobs.worker import Worker
from ...networks.files.find import lora_name
from ...text.messages import Message

PREFIX = "/trainyard/v1"
TOKEN_HEADER = "X-Trainyard-Token"
MOST_POINTS = 240
"""Of the loss curve in one answer: what a small picture of it can show."""
Routes = Mapping[str, Callable[..., Any]]
"""What answers at which path below :data:`PREFIX`."""
_EARLIER: int | None = Query(default=None, ge=0)
_LATER: int | None = Query(default=None, ge=0)
_HERE = ("localhost", "127.0.0.1", "::1")
_PICTURES = (".png", ".jpg", ".webp")


@dataclass(frozen=True)
class Guard:
    """Who may ask. Reading: this machine, or everybody if the page is open to others. Changing: who has the token."""

    open_to_others: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """The page carries it; a page of somebody else's in the same browser cannot read it."""

    def reading(self, request: Request) -> None:
        """Raises:
        HTTPException: 403, the caller is not on this machine, or asks for it by a foreign name.
        """
        caller = request.client.host if request.client else ""
        # A name of this machine that others made up, in a page of theirs, shows in the Host header.
        named = (request.url.hostname or "").strip("[]")
        if not self.open_to_others and not (caller in _HERE and named in _HERE):
            raise HTTPException(403, "Trainyard answers this machine only; start it with --listen for others.")

    def changing(self, request: Request) -> None:
        """Raises:
        HTTPException: 403, as for reading, or without the token.
        """
        self.reading(request)
        if not secrets.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            raise HTTPException(403, f"The header {TOKEN_HEADER} is not the page's; reload the page.")


def mount(
    app: Any,
    worker: Worker,
    guard: Guard,
    also: Callable[[], Mapping[str, Any]] = dict,
    said: Callable[[str], str] = str,
) -> None:
    """Add the routes to a FastAPI application.

    Args:
        also: what the status tells beside the run and the queue.
        said: warnings and reasons in the language of whoever looks at the status and the jobs.
    """
    routes = _Routes(worker, also, said)
    reading: Routes = {
        "/status": routes.status,
        "/jobs": routes.jobs,
        "/jobs/{number}": routes.job,
        "/presets": routes.presets,
        "/presets/{name}": routes.preset,
        "/settings": routes.settings,
        "/pictures/{name}": routes.picture,
    }
    changing: Routes = {
        "/jobs": routes.add,
        "/jobs/clear": routes.clear,
        "/jobs/{number}/{action}": routes.change,
        "/queue/{action}": routes.queue,
        "/run/{action}": routes.press,
        "/check": routes.check,
        "/prepare": routes.prepare,
    }
    add_routes(app, guard, reading, changing)


def add_routes(app: Any, guard: Guard, reading: Routes, changing: Routes | None = None) -> None:
    """Add routes that are asked with GET, and such that change something, with POST, to a FastAPI application."""
    for method, allowed, routes in (("GET", guard.reading, reading), ("POST", guard.changing, changing or {})):
        router = APIRouter(prefix=PREFIX, tags=["Trainyard"], dependencies=[Depends(allowed)])
        for path, answer in routes.items():
            router.add_api_route(path, _telling(answer), methods=[method], response_model=None)
        app.include_router(router)


def _telling(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The same, its answer as JSON, and a mistake answered as such: status 400 and the sentence."""

    @functools.wraps(answer)
    def told(*arguments: Any, **named: Any) -> Any:
        try:
            found = answer(*arguments, **named)
        except SettingsError as error:
            problems = [
                {"key": each.key, "label": str(each.label), "what": str(each.message)} for each in error.problems
            ]
            return JSONResponse({"error": str(error), "problems": problems}, status_code=400)
        except UserError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return found if isinstance(found, Response) else JSONResponse(_plain(found))

    return told


class _Routes:
    """One method a route; its answer is what JSON can carry."""

    def __init__(self, worker: Worker, also: Callable[[], Mapping[str, Any]], said: Callable[[str], str]) -> None:
        self._worker = worker
        self._said = said
        self._also = also
        self._store = worker.store

    def status(self) -> dict[str, Any]:
        """What is being done: the run with its phase, step, loss and pictures, and the state of the queue."""
        worker = self._worker
        live, entry = worker.live, worker.entry
        run = None
        if live is not None and entry is not None:
            now = live.snapshot()
            now = replace(now, message=self._said(now.message), warnings=tuple(map(self._said, now.warnings)))
            run = {"job": _entry(entry), **_snapshot(now), "curve": _curve(live.curve())}
        return {
            "running": worker.is_running,
            "pausing": worker.is_pausing,
            "queue_started": worker.is_started,
            "problem": self._said(worker.problem or self._store.notice),
            "run": run,
            **self._also(),
        }

    def jobs(self, earlier: int | None = _EARLIER, later: int | None = _LATER) -> dict[str, Any]:
        """The jobs of the queue in their order, each with the name of its LoRA while that is on the disk.

        earlier: how many are listed, at most, before the first that has not ended; later: how many from that one on.
        The answer's "earlier" and "later" say how many are left out, "waiting" and "done" how many of all are so.
        """
        entries = self._store.entries()
        now = next((place for place, entry in enumerate(entries) if entry.status not in ENDED), len(entries))
        first = 0 if earlier is None else max(0, now - earlier)
        end = len(entries) if later is None else min(len(entries), now + later)
        return {
            "jobs": [self._listed(entry) for entry in entries[first:end]],
            "earlier": first,
            "later": len(entries) - end,
            "waiting": sum(entry.status == WAITING for entry in entries),
            "done": sum(entry.status == DONE for entry in entries),
        }

    def _listed(self, entry: Entry) -> dict[str, Any]:
        path, message = entry.path, entry.message and self._said(entry.message)
        lora = "" if path is None or not path.is_file() else lora_name(path, self._store.folders.loras)
        return {**_entry(entry), "message": message, "lora": lora}

    def job(self, number: int) -> dict[str, Any]:
        """One job, with its settings."""
        return {**_entry(self._store.get(number)), "settings": to_json(self._store.job(number).settings)}

    def presets(self) -> dict[str, Any]:
        """The names of the presets."""
        return {"presets": presets.list_presets(self._store.folders.presets)}

    def preset(self, name: str) -> dict[str, Any]:
        """The settings of one preset."""
        if name not in presets.list_presets(self._store.folders.presets):
            raise UserError("there is no such preset", where=name)
        return to_json(presets.load(name, self._store.folders.presets).settings)

    def settings(self, language: str = "en") -> dict[str, Any]:
        """The table of settings: what there is to set, with labels and help in English (en) or Japanese (ja)."""
        return {"settings": describe(language)}

    def picture(self, name: str) -> FileResponse:
        """A picture of the run that goes on or was the last one, by the name that its status gives."""
        live = self._worker.live
        for path in _pictures(live.snapshot()) if live is not None else ():
            if path.name == name and path.suffix.lower() in _PICTURES and path.is_file():
                return FileResponse(path, headers={"Cache-Control": "no-cache"})
        raise HTTPException(404, "There is no such picture of the last run.")

    def add(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new job at the end of the queue. The body: its settings, as in a settings file or by short names."""
        return _entry(self._store.add(parse(body).settings))

    def clear(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take the jobs off that have ended: those that are done, or those of the body's "statuses"."""
        statuses = body.get("statuses", [DONE])
        if not isinstance(statuses, list) or not set(map(str, statuses)) <= set(ENDED):
            raise UserError(f"must be a list of {', '.join(ENDED)}", where="statuses")
        return {"cleared": self._store.clear(statuses)}

    def change(self, number: int, action: Literal["up", "down", "duplicate", "delete", "run"]) -> dict[str, Any]:
        """Move a job, copy it, delete it, or run it next; the answer to run says whether it begins at once."""
        if action == "delete":
            self._store.delete(number)
            return {"deleted": number}
        if action == "run":
            begins = self._worker.run_now(number)
            return {**_entry(self._store.get(number)), "begins": begins}
        if action == "duplicate":
            return _entry(self._store.duplicate(number))
        return _entry(self._store.shift(number, -1 if action == "up" else 1))

    def queue(self, action: Literal["start", "hold"]) -> dict[str, Any]:
        """Run the waiting jobs one after the other, or take no more after the one that runs."""
        if action == "start":
            self._worker.start()
        else:
            self._worker.hold()
        return {"queue_started": self._worker.is_started}

    def press(self, action: Literal["stop", "stop_and_save", "pause", "continue"]) -> dict[str, Any]:
        """The buttons of the running job; the answer says whether there is one."""
        buttons = {
            "stop": self._worker.stop,
            "stop_and_save": self._worker.stop_and_save,
            "pause": self._worker.pause,
            "continue": self._worker.go_on,
        }
        return {"pressed": buttons[action]()}

    def prepare(self) -> dict[str, Any]:
        """The page has been opened: what a run needs is loaded meanwhile. Answered at once."""
        self._worker.prepare()
        return {"prepares": True}

    def check(self, body: dict[str, Any]) -> dict[str, Any]:
        """What is wrong with one setting's value, in a sentence that is empty if nothing is."""
        return {"problem": str(problem_of(str(body.get("name", "")), body.get("value")) or "")}


def problem_of(name: str, value: Any) -> Message | None:
    """What is wrong with a value of the setting with this short name; None if nothing is.

    Raises:
        UserError: there is no such setting.
    """
    row = next((each for each in ROWS if each.name == name), None)
    if row is None:
        raise UserError("there is no such setting", where=name)
    try:
        read_value(value, row)
    except WrongValue as error:
        return error.message
    return None


def _entry(entry: Entry) -> dict[str, Any]:
    return {**vars(entry), "created": entry.created.isoformat(), "path": _text(entry.path)}


def _snapshot(now: Snapshot) -> dict[str, Any]:
    return {
        **{each.name: getattr(now, each.name) for each in dataclasses.fields(now)},
        "rates": list(now.rates),
        "warnings": list(now.warnings),
        "pictures": [{"step": each.step, "name": each.path.name} for each in now.pictures],
        "saved": [{"step": each.step, "path": _text(each.path)} for each in now.saved],
        "effect": None if now.effect is None else _effect(now.effect),
        "path": _text(now.path),
        "memory": None if now.memory is None else dataclasses.asdict(now.memory),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "relative": effect.whole.relative,
        "strongest": [{"block": each.block, "relative": each.relative} for each in effect.strongest()],
        "strip": None if effect.strip is None else effect.strip.name,
        "prompt": effect.prompt,
        "differences": [list(each) for each in effect.differences],
    }


def _curve(points: Sequence[Point]) -> list[list[float]]:
    """Step, loss and smoothed loss, so many points that a small picture is full, the last one among them."""
    every = -(-len(points) // MOST_POINTS) or 1
    return [[each.step, each.loss, each.smoothed] for each in reversed(points[::-1][::every])]


def _pictures(now: Snapshot) -> list[Path]:
    strip = [now.effect.strip] if now.effect is not None and now.effect.strip is not None else []
    return [*(each.path for each in now.pictures), *strip]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _plain(value: Any) -> Any:
    """The same with what JSON lacks, infinities and what is no number, as null; and text that UTF-8 can carry."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
