"""The routes of pictures that are made for the page, below those of :mod:`trainer.api`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from fastapi import HTTPException
from fastapi.responses import FileResponse, Response

from ...config.schema import parse
from ...config.settings import Settings
from ...errors import UserError
from ...networks.files.find import find_lora, lora_name, lora_names
from ..services import image_requests, run_images
from ..services.context import Desk
from ..services.image_jobs import Sheet
from ..services.messages import said
from ..services.run_images import Keepsakes
from .core import Routes, add_routes

PROMPTS, STRIP = "prompts", "strip"
"""The places of the page that show a sheet."""


def mount(app: Any, desk: Desk) -> None:
    """Add the routes to a FastAPI application."""
    routes = _Routes(desk)
    reading: Routes = {
        "/drawings": routes.sheets,
        "/drawings/{name}": routes.picture,
        "/loras": routes.loras,
        "/lora": routes.lora,
        "/samples/{day}/{run}/{name}": routes.sample,
    }
    changing: Routes = {
        "/drawings/stop": routes.stop,
        "/drawings/strip": routes.strip,
        "/drawings/prompts/{which}": routes.prompts,
    }
    add_routes(app, desk.guard, reading, changing)


def draw_prompts(desk: Desk, settings: Callable[[], Settings], which: str, asked: dict[str, Any]) -> bool:
    """Begin to draw iLECO's prompts; what is wrong stands where the pictures would. Whether it began."""
    title = desk.say(f"draw.{which}")
    try:
        pieces = image_requests.of_prompts(settings(), which, asked, desk.say)
        desk.easel.begin(PROMPTS, title, pieces)
    except UserError as error:
        desk.easel.refuse(PROMPTS, title, error)
        return False
    return True


class _Routes:
    """One method a route."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def sheets(self) -> dict[str, Any]:
        """What is being drawn and was drawn last: iLECO's prompts, and a LoRA at several strengths.

        "age": seconds since a message came.
        """
        return {place: self._sheet(sheet) for place, sheet in self._desk.easel.sheets().items()}

    def _sheet(self, sheet: Sheet) -> dict[str, Any]:
        pictures = [{"name": each.name, "label": each.label, "prompt": each.prompt} for each in sheet.pictures]
        return {
            "title": sheet.title,
            "state": sheet.state,
            "done": sheet.done,
            "total": sheet.total,
            "message": said(sheet.message, self._desk.language),
            "age": time.monotonic() - sheet.ended,
            "pictures": pictures,
        }

    def picture(self, name: str) -> Response:
        """A picture by the name that a sheet gives it, as PNG."""
        content = self._desk.easel.picture(name)
        if content is None:
            raise HTTPException(404, "There is no such picture any more.")
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})

    def loras(self) -> dict[str, Any]:
        """The LoRAs of the folder, the newest first, the models, and the last run's LoRA, as a strip takes them."""
        folder, live = self._desk.folders.loras, self._desk.worker.live
        path = None if live is None else live.snapshot().path
        latest = "" if path is None else lora_name(path, folder)
        return {"loras": lora_names(folder), "models": self._desk.catalogue.models(), "latest": latest}

    def lora(self, name: str) -> dict[str, Any]:
        """What suits a LoRA to be tried with: prompt, model, size … as far as its file says.

        Then "path", and as "kept" the pictures that its run has left: strip, prompt, the latest made on the way.
        """
        folders, catalogue = self._desk.folders, self._desk.catalogue
        path = find_lora(name, folders.loras)
        found = image_requests.suited(path, catalogue.models(), catalogue.proposed())
        kept = run_images.of_lora(path, folders)
        if kept.prompt:
            found["prompt"] = kept.prompt  # with a caption, which the LoRA has not
        return {**found, "path": str(path), "kept": _kept(kept)}

    def sample(self, day: str, run: str, name: str) -> FileResponse:
        """A picture that a run has left, by the folder and the name that the LoRA's answer gives."""
        path = run_images.picture(day, run, name, self._desk.folders)
        if path is None:
            raise HTTPException(404, "There is no such picture any more.")
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    def strip(self, body: dict[str, Any]) -> dict[str, Any]:
        """Draw a LoRA at several strengths.

        The body: "lora", "prompt", and if it is to be otherwise "strengths", "negative", "seed", "steps", "cfg",
        "size", "model", "vae", "velocity".
        """
        piece = image_requests.of_lora(body, self._desk.folders, self._desk.say)
        assert piece.drawing.lora is not None
        title = self._desk.say("draw.strip", name=piece.drawing.lora.stem, prompt=piece.drawing.prompt)
        self._desk.easel.begin(STRIP, title, [piece])
        return self.sheets()

    def prompts(self, which: Literal["original", "target", "both"], body: dict[str, Any]) -> dict[str, Any]:
        """Draw iLECO's prompts without a LoRA. The body: the "settings", and "seed", "steps", "cfg"."""
        settings = parse(body.get("settings", {})).settings
        asked: dict[str, Any] = {name: body[name] for name in ("seed", "steps", "cfg") if name in body}
        draw_prompts(self._desk, lambda: settings, which, asked)
        return self.sheets()

    def stop(self, body: dict[str, Any]) -> dict[str, Any]:
        """End what is being drawn; the answer says whether there is something."""
        del body
        return {"stopped": self._desk.easel.stop()}


def _kept(kept: Keepsakes) -> dict[str, Any]:
    return {
        "folder": None if kept.folder is None else [kept.folder.parent.name, kept.folder.name],
        "strip": None if kept.strip is None else kept.strip.name,
        "prompt": kept.prompt,
        "pictures": [{"step": each.step, "name": each.path.name} for each in kept.pictures],
    }
