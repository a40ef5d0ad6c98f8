"""The routes of the data room: sets of images, their captions, and files on their way in and out."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any, Literal
from urllib.parse import quote

from fastapi import Depends, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from ...errors import UserError
from ...sets.masks import MOST_BYTES as MOST_MASK
from ...sets.packing import packed
from ..services.context import PageContext
from ..services.uploads import MOST_BYTES
from .core import NotThereError, Routes, TooLargeError, add_routes, refuse_unknown

_KEPT = {"Cache-Control": "private, max-age=604800"}
"""Of what is asked for by a version: another content has another address."""


def mount(app: Any, context: PageContext) -> None:
    """Add the routes to a FastAPI application."""
    routes = _Routes(context)
    reading: Routes = {
        "/sets": routes.sets,
        "/sets/items": routes.items,
        "/sets/thumbnail": routes.thumbnail,
        "/sets/image": routes.image,
        "/sets/duplicates": routes.duplicates,
        "/sets/zip": routes.zip,
        "/sets/mask": routes.mask,
    }
    changing: Routes = {
        "/sets": routes.open,
        "/sets/folders": routes.folders,
        "/sets/facts": routes.facts,
        "/sets/caption": routes.caption,
        "/sets/change": routes.change,
        "/sets/mask": routes.draw,
        "/sets/move/{where}": routes.move,
        "/sets/turn/{which}": routes.turn,
        "/sets/duplicates/{action}": routes.look,
        "/sets/incoming": routes.begin,
        "/sets/incoming/file": routes.take,
        "/sets/incoming/{action}": routes.end,
    }
    add_routes(app, context.access, context.language, reading, changing)


async def _body(request: Request) -> AsyncIterator[IO[bytes]]:
    """The body of a request as a file; one that is too large is cut off just beyond the limit."""
    with tempfile.TemporaryFile() as content:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            content.write(piece)
            if size > MOST_BYTES:
                break
        yield content


_SET: str = Query(alias="set")
_BODY: Any = Depends(_body)


class _Routes:
    """One method a route; its answer is what JSON can carry, or an image."""

    def __init__(self, context: PageContext) -> None:
        self._room = context.data_room

    def sets(self) -> dict[str, Any]:
        """The sets there are, those opened last first, each with the id that the other routes call it by."""
        return self._room.sets()

    def open(self, body: dict[str, Any]) -> dict[str, Any]:
        """Open a folder as a set, by "folder"; or make a new one, by "name"."""
        refuse_unknown(body, "folder", "name")
        return self._room.open(folder=_text(body, "folder") if "folder" in body else None, name=_text(body, "name"))

    def folders(self, body: dict[str, Any]) -> dict[str, Any]:
        """The folders inside the one at "path", or those to begin at."""
        refuse_unknown(body, "path")
        return self._room.inside(_text(body, "path"))

    def items(self, number: str = _SET, known: str = "") -> dict[str, Any]:
        """The images of a set with their captions, those that are set aside last; null where ``known`` is still their
        "version"."""
        return self._room.items(number, known)

    def facts(self, body: dict[str, Any]) -> dict[str, Any]:
        """The sizes of the images with these "names" in the "set", and what the "settings" would crop of them."""
        refuse_unknown(body, "set", "names", "settings")
        settings = body.get("settings")
        return self._room.facts(_text(body, "set"), _names(body), settings if isinstance(settings, dict) else {})

    def thumbnail(self, name: str, number: str = _SET, aside: bool = False) -> Response:
        """A small copy of an image."""
        try:
            content, kind = self._room.thumbnail(number, name, aside=aside)
        except UserError as error:
            raise NotThereError(error.whole) from error
        return Response(content, media_type=kind, headers=_KEPT)

    def image(self, name: str, number: str = _SET, aside: bool = False) -> Response:
        """An image at its full size."""
        try:
            found, kind = self._room.image(number, name, aside=aside)
        except UserError as error:
            raise NotThereError(error.whole) from error
        if isinstance(found, bytes):
            return Response(found, media_type=kind, headers=_KEPT)
        return FileResponse(found, media_type=kind, headers=_KEPT)

    def caption(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write the "caption" of the image "name"; refused if it is not "known" any more."""
        refuse_unknown(body, "set", "name", "caption", "known")
        known = body.get("known")
        text = _text(body, "caption")
        return self._room.write(
            _text(body, "set"), _text(body, "name"), text, known if isinstance(known, str) else None
        )

    def change(self, body: dict[str, Any]) -> dict[str, Any]:
        """Change the tags of a set, or of the images with these "names".

        "change" is one of add, front, remove, replace, replace_text, sort and tidy; "tags" what it is about, "by" what
        takes their place; "adds": whether front adds what is missing; "keep": how many tags sort leaves in front.
        """
        refuse_unknown(body, "set", "change", "tags", "by", "adds", "keep", "names")
        return self._room.change(_text(body, "set"), body)

    def move(self, where: Literal["aside", "back"], body: dict[str, Any]) -> dict[str, Any]:
        """Set the images with these "names" aside, or bring them back."""
        refuse_unknown(body, "set", "names")
        return self._room.move(_text(body, "set"), _names(body), back=where == "back")

    def turn(self, which: Literal["undo", "again"], body: dict[str, Any]) -> dict[str, Any]:
        """Undo the last change of a "set", or do once more what was undone last."""
        refuse_unknown(body, "set")
        return self._room.turn(_text(body, "set"), again=which == "again")

    def duplicates(self, number: str = _SET) -> dict[str, Any]:
        """How far the look for duplicates is, and what it found."""
        return self._room.duplicates(number)

    def look(self, action: Literal["start", "stop"], body: dict[str, Any]) -> dict[str, Any]:
        """Look for images of a "set" that are there more than once, or stop."""
        refuse_unknown(body, "set")
        number = _text(body, "set")
        return self._room.look_for_duplicates(number) if action == "start" else self._room.stop_looking(number)

    def zip(self, number: str = _SET) -> Response:
        """A set as a zip archive."""
        images = self._room.set_of(number)
        name = quote(f"{images.folder.name or 'images'}.zip", safe="")
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{name}", "Cache-Control": "no-store"}
        return StreamingResponse(packed(images), media_type="application/zip", headers=headers)

    def mask(self, name: str, number: str = _SET) -> Response:
        """The mask of an image, as a grey PNG: white counts in full, black not at all."""
        content = self._room.mask(number, name)
        if content is None:
            raise NotThereError("sets.no_mask", where=name)
        return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})

    def draw(self, name: str, number: str = _SET, content: Any = _BODY) -> dict[str, Any]:
        """Give an image the body of the request, a PNG of its shape, as its mask; white all over is none."""
        if content.tell() > MOST_MASK:
            raise TooLargeError("web.file_too_large", most=MOST_MASK // 1_000_000)
        content.seek(0)
        return self._room.draw(number, name, content.read())

    # ---- coming in --------------------------------------------------------------------------------------------------

    def begin(self, body: dict[str, Any]) -> dict[str, Any]:
        """Begin a batch of files for a "set"; the answer is its name, as "batch"."""
        refuse_unknown(body, "set")
        return self._room.begin(_text(body, "set"))

    def take(self, batch: str, name: str, content: Any = _BODY) -> dict[str, Any]:
        """Take the body of the request, a file of the batch by its path inside what was dropped; a zip is unpacked."""
        if content.tell() > MOST_BYTES:
            raise TooLargeError("web.file_too_large", most=MOST_BYTES // 1_000_000)
        content.seek(0)
        return self._room.take(batch, name, content)

    def end(self, action: Literal["end", "drop"], body: dict[str, Any]) -> dict[str, Any]:
        """Put the files of a "batch" in their places; the answer says what came in. Or forget them."""
        refuse_unknown(body, "batch")
        return self._room.end(_text(body, "batch"), drop=action == "drop")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    return value if isinstance(value, str) else ""


def _names(body: dict[str, Any]) -> list[str]:
    names = body.get("names")
    return [str(each) for each in names] if isinstance(names, list) else []
