"""The gallery's routes: the LoRAs in the folder, their pictures, files and metadata, and two of them compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Query
from fastapi.responses import FileResponse, Response

from ...errors import UserError
from ...models.checkpoint.header import read_header
from ...networks.files import edit
from ...networks.files.edit import Texts
from ...text.messages import Message, message
from ..services import image_requests, run_images
from ..services.context import PageContext
from ..services.gallery import ORDERS, Item, inside, picture, short
from .core import NotThereError, Routes, add_routes, refuse_unknown

COMPARISON = "comparison"
"""The place on the page that shows two LoRAs."""
_LONGEST_VALUE = 4000
"""Letters of a value of the metadata in an answer; a count of tags may have hundreds of thousands."""
_SEARCH = Query(default="", max_length=200)


def mount(app: Any, context: PageContext) -> None:
    """Add the routes to a FastAPI application."""
    routes = _Routes(context)
    reading: Routes = {
        "/gallery": routes.page,
        "/gallery/one": routes.one,
        "/gallery/picture": routes.picture,
        "/gallery/file": routes.file,
    }
    changing: Routes = {
        "/gallery/edit": routes.edit,
        "/gallery/undo": routes.undo,
        "/drawings/comparison": routes.compare,
    }
    add_routes(app, context.access, context.language, reading, changing)


class _Routes:
    """One method a route."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._folders = context.folders
        self._backups = edit.backups_in(context.folders)

    def page(self, search: str = _SEARCH, order: str = "newest", first: int = 0, count: int = 60) -> dict[str, Any]:
        """Some of the LoRAs in which all words of "search" are, in an order.

        In the answer, "count" says how many there are in all, and "left" how many files are still to be read.
        """
        if order not in ORDERS:
            raise UserError("web.no_such_order", where="order", orders=ORDERS)
        items, total, left = self._context.gallery.page(search, order, first, count)
        return {"loras": [_item(each) for each in items], "first": max(0, first), "count": total, "left": left}

    def one(self, name: str) -> dict[str, Any]:
        """All that is known of a LoRA: its texts, its metadata, its card, and as "kept" what its run has left."""
        path = self._path(name)
        metadata = read_header(path).metadata
        card: Mapping[str, Any] = {}
        problem: Message | None = None
        try:
            card = edit.card_of(path)
        except UserError as error:
            problem = error.whole
        return {
            "name": name,
            "path": str(path),
            "texts": vars(edit.texts_of(metadata, card)),
            "metadata": {key: _cut(value) for key, value in sorted(metadata.items())},
            "card": {str(key): _cut(str(value)) for key, value in card.items()},
            "problem": problem or "",
            "can_undo": edit.last_backup(path, self._backups) is not None,
            "kept": run_images.as_json(run_images.of_lora(path, self._folders)),
        }

    def picture(self, name: str) -> Response:
        """A small picture of a LoRA, as JPEG: that beside its file, or what its run has left."""
        content = picture(self._path(name), self._folders)
        if content is None:
            raise NotThereError("web.image_gone")
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    def file(self, name: str) -> FileResponse:
        """The file of a LoRA, to be kept elsewhere."""
        path = self._path(name)
        return FileResponse(path, filename=path.name, media_type="application/octet-stream")

    def edit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Change "title", "trigger" and "description" of the LoRA with that "name", in its file and on its card.

        The file is written anew with the same tensors; what it said before is kept.
        """
        refuse_unknown(body, "name", *edit.KEYS)
        name, path = str(body.get("name", "")), self._path(body.get("name"))
        now = self.one(name)["texts"]
        edit.edit(path, Texts(**{key: str(body.get(key, now[key])) for key in edit.KEYS}), self._backups)
        return self._changed(name)

    def undo(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make the LoRA with that "name" what it was before its last change, byte for byte."""
        refuse_unknown(body, "name")
        edit.undo(self._path(body.get("name")), self._backups)
        return self._changed(str(body["name"]))

    def compare(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make images of two "loras" at the same strengths, from one prompt and one seed.

        The rest of the body is as for a strip.
        """
        names = body.get("loras")
        if not isinstance(names, list) or len(names) != 2:
            raise UserError("web.not_two_loras", where="loras")
        asked = {key: value for key, value in body.items() if key != "loras"}
        requests = image_requests.of_loras([str(self._path(each)) for each in names], asked, self._folders)
        title = message("draw.comparison", names=[str(each) for each in names], prompt=requests[0].request.prompt)
        self._context.image_jobs.begin(COMPARISON, title, requests)
        return {"begun": True}

    def _path(self, name: object) -> Path:
        path = inside(name, self._folders) if isinstance(name, str) else None
        if path is None:
            raise NotThereError("web.no_such_lora")
        return path

    def _changed(self, name: str) -> dict[str, Any]:
        """The LoRA as it is now; a WebUI and the gallery are told."""
        self._context.gallery.forget()
        host = self._context.worker.made_host
        if host is not None:
            host.saved(self._path(name))
        return self.one(name)


def _item(item: Item) -> dict[str, Any]:
    texts = {key: short(text) for key, text in vars(item.texts).items()}
    told = {key: value for key, value in vars(item).items() if key != "texts"}
    return {**told, **texts, "problem": item.problem or "", "ours": item.is_ours}


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 1]}…"
