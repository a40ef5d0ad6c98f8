"""The routes that have the images of a set described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...sets.library import Library
from ..services.captioning import Captioning
from ..services.context import PageContext
from . import core

_OWN = ("set", "names")


def mount(app: Any, context: PageContext) -> None:
    """Add them to a FastAPI application."""
    routes = _Routes(context.captioning, Library(context.folders))
    reading: core.Routes = {"/captioners": routes.captioners, "/captioning": routes.state}
    changing: core.Routes = {"/captioning/{action}": routes.act}
    core.add_routes(app, context.access, context.language, reading, changing)


class _Routes:
    def __init__(self, captioning: Captioning, library: Library) -> None:
        self._captioning, self._library = captioning, library

    def captioners(self) -> dict[str, Any]:
        """What can describe images: taggers and captioners that are found, and the WebUI's interrogators.

        "makes" is tags or text, "takes_prompt" whether one heeds a prompt and a detail, "problem" why one cannot
        be used; "folder" is where to put more.
        """
        return self._captioning.sources()

    def state(self) -> dict[str, Any]:
        """How far describing the images of a set is, and what came of it."""
        return self._captioning.state()

    def act(self, action: Literal["start", "stop"], body: dict[str, Any]) -> dict[str, Any]:
        """Describe the images of a "set", or of it those with these "names"; or stop.

        Besides, the body of start has what is asked for: captioner, mode (missing, append, prepend, replace), trigger,
        threshold, character_threshold, unwanted, rating, underscores, escape, prompt, detail, most_tokens,
        server_model, device (auto, cpu).
        """
        if action == "stop":
            return self._captioning.stop()
        number = str(body.get("set", ""))
        given = {key: value for key, value in body.items() if key not in _OWN}
        return self._captioning.start(number, self._library.find(number), given, _names(body))


def _names(body: Mapping[str, Any]) -> list[str] | None:
    names = body.get("names")
    return [str(each) for each in names] if isinstance(names, list) else None
