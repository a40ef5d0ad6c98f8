"""The routes for images made for the page, and for LoRAs to try."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fastapi.responses import FileResponse, Response

from ...config.schema import parse
from ...config.settings import Settings
from ...engine.plan import IMAGE_STEPS
from ...errors import UserError
from ...networks.files.find import find_lora, lora_name, lora_names
from ...networks.files.settings import settings_of
from ...text.messages import message
from ..services import image_requests, run_images
from ..services.context import PageContext
from ..services.image_jobs import Sheet
from .core import NotThereError, Routes, add_routes, refuse_unknown

PROMPTS, STRIP, FILM = "prompts", "strip", "film"
"""The places on the page that show a sheet."""


def mount(app: Any, context: PageContext) -> None:
    """Add the routes to a FastAPI application."""
    routes = _Routes(context)
    reading: Routes = {
        "/drawings": routes.sheets,
        "/drawings/{name}": routes.image,
        "/loras": routes.loras,
        "/lora": routes.lora,
        "/samples/{day}/{run}/{name}": routes.sample,
    }
    changing: Routes = {
        "/drawings/stop": routes.stop,
        "/drawings/strip": routes.strip,
        "/drawings/prompts/{which}": routes.prompts,
        "/drawings/film": routes.film,
        "/samples/{day}/{run}/{name}/keep": routes.keep,
    }
    add_routes(app, context.access, context.language, reading, changing)


def draw_prompts(context: PageContext, settings: Callable[[], Settings], which: str, asked: dict[str, Any]) -> bool:
    """Start making images of iLECO's prompts; an error is shown in their place. Returns whether it started."""
    title = message(f"draw.{which}")
    try:
        requests = image_requests.of_prompts(settings(), which, asked)
        context.image_jobs.begin(PROMPTS, title, requests)
    except UserError as error:
        context.image_jobs.refuse(PROMPTS, title, error)
        return False
    return True


class _Routes:
    """One method a route."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def sheets(self) -> dict[str, Any]:
        """The images that are being made or were made last: iLECO's prompts, and a LoRA at several strengths.

        "age": seconds since its message.
        """
        return {place: self._sheet(sheet) for place, sheet in self._context.image_jobs.sheets().items()}

    def _sheet(self, sheet: Sheet) -> dict[str, Any]:
        images = [{"name": each.name, "label": each.label, "prompt": each.prompt} for each in sheet.images]
        return {
            "title": sheet.title,
            "state": sheet.state,
            "done": sheet.done,
            "total": sheet.total,
            "message": sheet.message or "",
            "notes": sheet.notes,
            "age": time.monotonic() - sheet.ended,
            "pictures": images,
        }

    def image(self, name: str) -> Response:
        """An image on a sheet, by its name there, as PNG."""
        content = self._context.image_jobs.image(name)
        if content is None:
            raise NotThereError("web.image_gone")
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})

    def loras(self) -> dict[str, Any]:
        """The LoRAs in the folder, newest first, the models, and the last run's LoRA, named as for a strip."""
        folder, run_status = self._context.folders.loras, self._context.worker.run_status
        path = None if run_status is None else run_status.snapshot().path
        latest = "" if path is None else lora_name(path, folder)
        return {"loras": lora_names(folder), "models": self._context.catalogue.models(), "latest": latest}

    def lora(self, name: str) -> dict[str, Any]:
        """What to try a LoRA with: prompt, model, size … as far as its file says.

        Also its "path", and as "kept" what its run has left: strip, prompt, whether it does what was asked, the latest
        images made during training.
        """
        folders, catalogue = self._context.folders, self._context.catalogue
        path = find_lora(name, folders.loras)
        found = image_requests.suited(path, catalogue.models(), catalogue.proposed())
        kept = run_images.of_lora(path, folders)
        if kept.prompt:
            found["prompt"] = kept.prompt  # with a caption, which the LoRA's file lacks
        return {**found, "path": str(path), "kept": run_images.as_json(kept)}

    def sample(self, day: str, run: str, name: str) -> FileResponse:
        """An image that a run has left, by the folder and the name in the answer for its LoRA."""
        path = run_images.image(day, run, name, self._context.folders)
        if path is None:
            raise NotThereError("web.image_gone")
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    def strip(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make images of a LoRA at several strengths.

        The body: "lora", "prompt", and optionally "strengths", "negative", "seed", "steps", "cfg",
        "size", "model", "vae", "prediction", "clip_skip".
        """
        labelled = image_requests.of_lora(body, self._context.folders)
        assert labelled.request.lora is not None
        title = message("draw.strip", name=labelled.request.lora.stem, prompt=labelled.request.prompt)
        self._context.image_jobs.begin(STRIP, title, [labelled])
        return self.sheets()

    def film(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make images of the LoRA of a step at several strengths, with what its own image was made with.

        The body: as "image" the folder and the name of that image, and optionally "strengths".
        """
        refuse_unknown(body, "image", "strengths")
        names, folders, catalogue = body.get("image"), self._context.folders, self._context.catalogue
        if not isinstance(names, list) or len(names) != 3:
            raise UserError("web.no_settings", where="image")
        day, run, name = map(str, names)
        lora, image = self._of_step(day, run, name), run_images.image(day, run, name, folders)
        settings = settings_of(lora).settings
        assert image is not None
        suited = image_requests.suited(lora, catalogue.models(), catalogue.proposed())
        asked = {**suited, "lora": str(lora), "seed": settings.sample_seed, "steps": IMAGE_STEPS}
        asked["prompt"] = run_images.prompt_of(image) or asked["prompt"]
        asked["strengths"] = body.get("strengths", list(image_requests.STRENGTHS))
        labelled = image_requests.of_lora(asked, folders)
        title = message(
            "draw.film", name=settings.save_lora_name, step=int(name.partition("_")[0]), prompt=labelled.request.prompt
        )
        self._context.image_jobs.begin(FILM, title, [labelled])
        return self.sheets()

    def keep(self, day: str, run: str, name: str) -> dict[str, Any]:
        """Save the LoRA of the step of an image among the others, under a free name.

        "before": whether it had been kept already; then nothing is written.
        """
        folders, lora = self._context.folders, self._of_step(day, run, name)
        before = run_images.kept_before(lora, folders)
        path = before or run_images.keep(lora, folders)
        self._context.gallery.forget()
        host = self._context.worker.made_host
        if host is not None:
            host.saved(path)
        return {"lora": lora_name(path, folders.loras), "path": str(path), "before": before is not None}

    def _of_step(self, day: str, run: str, name: str) -> Path:
        path = run_images.lora_of(day, run, name, self._context.folders)
        if path is None:
            raise NotThereError("web.step_gone")
        return path

    def prompts(self, which: Literal["original", "target", "both"], body: dict[str, Any]) -> dict[str, Any]:
        """Make images of iLECO's prompts without a LoRA. The body: "settings", and "seed", "steps", "cfg"."""
        refuse_unknown(body, "settings", "seed", "steps", "cfg")
        given = body.get("settings", {})
        if not isinstance(given, dict):
            raise UserError("web.no_settings", where="settings")
        parsed = parse(given)
        settings = parsed.settings
        asked: dict[str, Any] = {name: body[name] for name in ("seed", "steps", "cfg") if name in body}
        draw_prompts(self._context, lambda: settings, which, asked)
        return {**self.sheets(), "unknown": parsed.warnings}

    def stop(self, body: dict[str, Any]) -> dict[str, Any]:
        """Stop making images; the answer says whether any were being made."""
        del body
        return {"stopped": self._context.image_jobs.stop()}
