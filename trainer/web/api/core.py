"""The routes under ``/trainyard/v1/``, for the page's own JavaScript and for other programs.

Bodies and answers are plain JSON objects, not pydantic models: hosts have version 1 or 2 of it.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute

from ...config import presets
from ...config.choices import CARDS
from ...config.foreign import convert
from ...config.schema import describe, parse, to_json
from ...config.settings import Settings, row_of
from ...errors import MemoryShortError, SettingsError, UserError
from ...job import Account, Effect
from ...jobs.admission import admitted, require_model
from ...jobs.run_status import Point, Snapshot
from ...jobs.store import DONE, ENDED, WAITING, Entry
from ...jobs.worker import Worker
from ...networks.files.find import lora_name
from ...text.messages import Message, message
from ..services import run_images
from ..services.access import TOKEN_HEADER, Access, RefusedError
from ..services.messages import account_rows, in_words, problem_of

PREFIX = "/trainyard/v1"
MOST_POINTS = 240
"""Of the loss curve in one answer: as many as a small plot can show."""
Routes = Mapping[str, Callable[..., Any]]
"""Path below :data:`PREFIX` -> what answers there."""
_EARLIER: int | None = Query(default=None, ge=0)
_LATER: int | None = Query(default=None, ge=0)
_IMAGE_ENDINGS = (".png", ".jpg", ".webp")


class NotThereError(RefusedError):
    """What is asked for does not exist, or no longer."""

    status = 404


class TooLargeError(RefusedError):
    """The body of a request is larger than what it is for may be."""

    status = 413


def mount(
    app: Any,
    worker: Worker,
    access: Access,
    language: str = "en",
    also: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Add the routes to a FastAPI application.

    Args:
        language: of the answers, unless the caller asks for another one with ``?language=``.
        also: what the status holds besides the run and the queue.
    """
    routes = _Routes(worker, language, also)
    reading: Routes = {
        "/status": routes.status,
        "/jobs": routes.jobs,
        "/jobs/{number}": routes.job,
        "/presets": routes.presets,
        "/presets/{name}": routes.preset,
        "/settings": routes.settings,
        "/pictures/{name}": routes.image,
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
    add_routes(app, access, language, reading, changing)


def describe_routes(app: Any, access: Access, title: str, version: str) -> None:
    """Add the route that describes ours for programs (OpenAPI); a host describes its own elsewhere, or nothing."""

    def description() -> dict[str, Any]:
        """This description."""
        return get_openapi(title=title, version=version, routes=app.state.trainyard_routes)

    add_routes(app, access, "en", {"/openapi.json": description})


def add_routes(app: Any, access: Access, language: str, reading: Routes, changing: Routes | None = None) -> None:
    """Add routes to a FastAPI application: GET for those that only read, POST for those that change something.

    Args:
        language: see :func:`mount`.
    """
    for method, check, routes in (("GET", access.reading, reading), ("POST", access.changing, changing or {})):
        allowed = Depends(_allowing(access, check, language))
        router = APIRouter(prefix=PREFIX, tags=["Trainyard"], dependencies=[allowed], route_class=_route_in(language))
        for path, answer in routes.items():
            router.add_api_route(path, _answering(answer, language), methods=[method], response_model=None)
        app.include_router(router)
        # FastAPI does not promise to list them as they are here.
        app.state.trainyard_routes = [*getattr(app.state, "trainyard_routes", ()), *router.routes]


def _route_in(language: str) -> type[APIRoute]:
    """Routes that refuse a request of another form in a sentence.

    FastAPI answers with what it was sent, in which JSON may have NaN, and breaks on it.
    """

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def handled(request: Request) -> Any:
                try:
                    return await handle(request)
                except RequestValidationError as error:
                    found = [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]
                    said = message("web.wrong_request", reason=", ".join(each["msg"] for each in found))
                    wanted = _language_of(request, language)
                    return JSONResponse(_plain({"error": said, "detail": found}, wanted), status_code=422)

            return handled

    return Route


def refuse_unknown(body: Mapping[str, Any], *known: str) -> None:
    """Raises:
    UserError: the body of a request has other keys.
    """
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise UserError("web.unknown_keys", where=", ".join(key[:60] for key in unknown[:3]), known=known)


def _allowing(access: Access, check: Callable[[Request], None], language: str) -> Callable[[Request], None]:
    def allowed(request: Request) -> None:
        try:
            check(request)
        except RefusedError as error:
            # A program is told how. A page with an outdated token is not: the browser would ask its user each time.
            tells = error.status == 401 and access.reads_by_token and TOKEN_HEADER not in request.headers
            headers = {"WWW-Authenticate": "Basic"} if tells else None
            raise HTTPException(error.status, error.text(_language_of(request, language)), headers) from error

    return allowed


def _answering(answer: Callable[..., Any], language: str) -> Callable[..., Any]:
    """The same, with its answer as JSON in the caller's language, and an error as a message with status 400."""
    signature = inspect.signature(answer)
    caller = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)

    @functools.wraps(answer)
    def answered(*arguments: Any, request: Request, **named: Any) -> Any:
        wanted = _language_of(request, language)
        try:
            found = answer(*arguments, **named)
        except RefusedError as error:
            raise HTTPException(error.status, error.text(wanted)) from error
        except SettingsError as error:
            problems = [{"key": each.key, "label": each.label, "what": each.message} for each in error.problems]
            return JSONResponse(_plain({"error": error.whole, "problems": problems}, wanted), status_code=400)
        except UserError as error:
            return JSONResponse({"error": _plain(error.whole, wanted)}, status_code=400)
        return found if isinstance(found, Response) else JSONResponse(_plain(found, wanted))

    answered.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), caller]
    )
    return answered


def _language_of(request: Request, language: str) -> str:
    """The one the caller asks for with ``?language=``; else the page's."""
    return request.query_params.get("language") or language


class _Routes:
    """One method a route; its answer is what JSON can carry."""

    def __init__(self, worker: Worker, language: str, also: Callable[[], Mapping[str, Any]]) -> None:
        self._worker = worker
        self._language = language
        self._also = also
        self._store = worker.store

    def status(self) -> dict[str, Any]:
        """The current state: the run with its phase, step, loss and images, and the state of the queue.

        broken_off: while nothing runs, the job that ended last, if its program ended with it or if it can be continued.
        images_wait: whether no image can be generated until the run has ended or is paused.
        """
        worker = self._worker
        run_status, entry = worker.run_status, worker.entry
        run = None
        if run_status is not None and entry is not None:
            now = run_status.snapshot()
            trains = now.phase == message("phase.training")
            run = {"job": _entry(entry), **_snapshot(now), "trains": trains, "curve": _curve(run_status.curve())}
        return {
            "running": worker.is_running,
            "pausing": worker.is_pausing,
            "queue_started": worker.is_started,
            "queue_held": worker.is_held,
            "problem": worker.problem or self._store.notice or "",
            "run": run,
            "broken_off": None if worker.is_running else self._broken_off(),
            "images_wait": self._images_wait(),
            **self._also(),
        }

    def _images_wait(self) -> bool:
        """Whether a run has the device for itself. A host that lends its model generates images between the steps."""
        worker = self._worker
        host, run_status = worker.made_host, worker.run_status
        if not worker.is_running or host is None or host.lends_model:
            return False
        return run_status is None or run_status.snapshot().state != "paused"

    def _broken_off(self) -> dict[str, Any] | None:
        try:
            entry = self._store.broken_off()
        except UserError:  # the queue's own route says what is wrong
            return None
        return None if entry is None else _entry(entry)

    def jobs(self, earlier: int | None = _EARLIER, later: int | None = _LATER) -> dict[str, Any]:
        """The jobs of the queue in their order, each with the name of its LoRA while that is on the disk.

        earlier: at most how many to list before the first that has not ended; later: how many from that one on.
        In the answer, "earlier" and "later" say how many are left out, "waiting", "done" and "ended" how many of all
        are so.
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
            "ended": sum(entry.status in ENDED for entry in entries),
        }

    def _listed(self, entry: Entry) -> dict[str, Any]:
        path = entry.path
        lora = "" if path is None or not path.is_file() else lora_name(path, self._store.folders.loras)
        return {**_entry(entry), "lora": lora}

    def job(self, number: int) -> dict[str, Any]:
        """One job, with its settings, and as "warnings" what is said of keys that are not known."""
        settings = self._store.job(number).settings
        warnings = parse(to_json(settings)).warnings
        return {**_entry(self._store.get(number)), "settings": to_json(settings), "warnings": warnings}

    def presets(self) -> dict[str, Any]:
        """The names of the presets, as "presets", and as "for" what each of those that come with Trainyard is for."""
        folders = self._store.folders.presets
        names = presets.list_presets(folders)
        told = {name: presets.told_of(name, folders) for name in names}
        return {"presets": names, "for": {name: line for name, line in told.items() if line is not None}}

    def preset(self, name: str) -> dict[str, Any]:
        """The settings of one preset."""
        if name not in presets.list_presets(self._store.folders.presets):
            raise UserError("web.no_such_preset", where=name)
        return to_json(presets.load(name, self._store.folders.presets).settings)

    def settings(self, language: str = "") -> dict[str, Any]:
        """The table of settings, with labels and help in English (en) or Japanese (ja)."""
        return {"settings": describe(language or self._language)}

    def image(self, name: str) -> FileResponse:
        """An image of the current or the last run, by the name in its status."""
        run_status = self._worker.run_status
        for path in _images(run_status.snapshot()) if run_status is not None else ():
            if path.name == name and path.suffix.lower() in _IMAGE_ENDINGS and path.is_file():
                return FileResponse(path, headers={"Cache-Control": "no-cache"})
        raise NotThereError("web.no_image_of_run")

    def add(self, body: dict[str, Any], card: str = "") -> dict[str, Any]:
        """Add a job at the end of the queue. The body: its settings, as in a settings file or by short names; or those
        of another program, as its file has them.

        While a job runs, it begins by itself after that, unless the queue is held; otherwise it waits for a start.
        A job whose data or model could not be trained is refused. In the answer, "warnings" names the keys that are not
        known, which have no effect, and says what became of another program's settings; "account" says what its data
        is.

        card: a GPU that the job is made to fit, 6, 8, 12 or 24 for its memory in GB, or auto for the one that is here;
        "fitted" in the answer says what was changed. A job that nothing makes fit is refused.
        """
        parsed = convert.read(body)
        account = self._account_of(parsed.settings)
        settings, fitted = self._fitted(parsed.settings, card)
        entry = self._store.add(settings)
        self._worker.follow()
        return {**_entry(entry), "warnings": parsed.warnings, "account": account_rows(account), **fitted}

    def _fitted(self, settings: Settings, card: str) -> tuple[Settings, dict[str, Any]]:
        """The settings as they fit a card, and what there is to say of it; without a card nothing."""
        if not card:
            return settings, {}
        if card not in CARDS:
            raise UserError("web.no_such_card", where="card", cards=CARDS)
        host = self._worker.ready_host()
        from ...engine.memory_fit import fit

        found = fit(settings, host, card)
        if not found.fits:
            raise MemoryShortError(found.message)
        written = to_json(found.settings)
        changes = {row_of(name).key: written[row_of(name).key] for name in found.changed}
        return found.settings, {"fitted": {"message": found.message, "changes": changes}}

    def _account_of(self, settings: Settings) -> Account:
        account = admitted(settings, self._store.folders, self._worker.made_host)
        require_model(settings, self._worker.host())
        return account

    def clear(self, body: dict[str, Any]) -> dict[str, Any]:
        """Remove jobs that have ended: those that are done, or those with one of the body's "statuses"."""
        refuse_unknown(body, "statuses")
        statuses = body.get("statuses", [DONE])
        if not isinstance(statuses, list) or not set(map(str, statuses)) <= set(ENDED):
            raise UserError("web.wrong_statuses", where="statuses", statuses=ENDED)
        return {"cleared": self._store.clear(statuses)}

    def change(
        self, number: int, action: Literal["up", "down", "duplicate", "delete", "restore", "run", "continue"]
    ) -> dict[str, Any]:
        """Move a job, copy it, delete it or bring it back, run it next from its beginning, or continue it next where it
        was broken off; the answer to run and continue says whether it starts at once. The waiting jobs begin after it,
        unless the queue is held."""
        if action == "delete":
            self._store.delete(number, restorable=True)
            return {"deleted": number}
        if action == "restore":
            return _entry(self._store.restore(number))
        if action in ("run", "continue"):
            run = self._worker.run_now if action == "run" else self._worker.continue_now
            begins = run(number, and_queue=True)
            return {**_entry(self._store.get(number)), "begins": begins}
        if action == "duplicate":
            return _entry(self._store.duplicate(number))
        return _entry(self._store.shift(number, -1 if action == "up" else 1))

    def queue(self, action: Literal["start", "hold"]) -> dict[str, Any]:
        """Run the waiting jobs one after the other, or start no more after the running one."""
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
        """The page has been opened: start importing what a run needs. Answered at once."""
        self._worker.prepare()
        return {"prepares": True}

    def check(self, body: dict[str, Any], card: str = "") -> dict[str, Any]:
        """What is wrong with one setting's value, by "name" and "value"; empty if nothing is.

        With "settings" instead, as for a job, what its data is, as "account"; it is refused as the job would be. With
        a card as well, "fitted" says what would be changed.
        """
        if "settings" in body:
            refuse_unknown(body, "settings")
            if not isinstance(body["settings"], dict):
                raise UserError("web.no_settings", where="settings")
            parsed = convert.read(body["settings"])
            account = account_rows(self._account_of(parsed.settings))
            _, fitted = self._fitted(parsed.settings, card)
            return {"problem": "", "warnings": parsed.warnings, "account": account, **fitted}
        refuse_unknown(body, "name", "value")
        return {"problem": problem_of(str(body.get("name", "")), body.get("value")) or ""}


def _entry(entry: Entry) -> dict[str, Any]:
    told = {"created": entry.created.isoformat(), "path": _text(entry.path), "message": entry.message or ""}
    return {**vars(entry), **told}


def _snapshot(now: Snapshot) -> dict[str, Any]:
    return {
        **{name: value for name, value in vars(now).items() if name != "images"},
        "account": account_rows(now.account),
        "rates": list(now.rates),
        "warnings": list(now.warnings),
        "pictures": [run_images.described(each) for each in now.images],
        "folder": _folder_of(now),
        "saved": [{"step": each.step, "path": _text(each.path)} for each in now.saved],
        "effect": None if now.effect is None else _effect(now.effect),
        "path": _text(now.path),
        "message": now.message or "",
        "memory": None if now.memory is None else dataclasses.asdict(now.memory),
    }


def _folder_of(now: Snapshot) -> list[str] | None:
    """The day's folder and the run's in it, where its images lie."""
    latest = now.images[-1].path.parent if now.images else None
    return None if latest is None else [latest.parent.name, latest.name]


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "relative": effect.whole.relative,
        "strongest": [{"block": each.block, "relative": each.relative} for each in effect.strongest()],
        "strip": None if effect.strip is None else effect.strip.name,
        "prompt": effect.prompt,
        "differences": [list(each) for each in effect.differences],
        "asked": None if effect.asked is None else vars(effect.asked),
    }


def _curve(points: Sequence[Point]) -> list[list[float]]:
    """Step, loss and smoothed loss of at most :data:`MOST_POINTS` points, the last one included."""
    every = -(-len(points) // MOST_POINTS) or 1
    return [[each.step, each.loss, each.smoothed] for each in reversed(points[::-1][::every])]


def _images(now: Snapshot) -> list[Path]:
    strip = [now.effect.strip] if now.effect is not None and now.effect.strip is not None else []
    return [*(each.path for each in now.images), *strip]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _plain(value: Any, language: str) -> Any:
    """The same with messages in a language; with what JSON lacks, infinities and NaN, as null; with text as UTF-8 can
    carry it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Message | UserError):
        value = in_words(value, language)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {str(key): _plain(each, language) for key, each in value.items()}
    return [_plain(each, language) for each in value] if isinstance(value, (list, tuple)) else value
