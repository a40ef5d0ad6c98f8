"""All routes of the page: the API's, and those for data, pairs, variations, images and plots."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Depends, Request, Response

from ...config.schema import parse
from ...config.settings import Settings
from ...config.size import Size
from ...text.messages import message
from ..services import guide
from ..services.context import PageContext
from ..services.messages import value_problem
from ..services.uploads import MOST_BYTES, data_address, kept, small
from . import captioning, core, gallery, images, plots, sets

_PAIR = ("mode", "original_image", "target_image")


def mount(app: Any, context: PageContext) -> None:
    """Add all routes to a FastAPI application."""
    core.mount(app, context.worker, context.access, context.language, context.advisor.status)
    routes = _Routes(context)
    reading: core.Routes = {
        "/preview": routes.preview,
        "/preview/samples": routes.samples,
        "/preview/{name}/{place}": routes.image,
        "/variations": routes.variations,
        "/guide/{name:path}": routes.guide,
    }
    changing: core.Routes = {
        "/pictures": routes.keep,
        "/picture": routes.show,
        "/field": routes.field,
        "/pair": routes.pair,
        "/preview": routes.look,
        "/preview/{action}": routes.end_look,
        "/variations/{action}": routes.vary,
    }
    core.add_routes(app, context.access, context.language, reading, changing)
    images.mount(app, context)
    captioning.mount(app, context)
    gallery.mount(app, context)
    plots.mount(app, context)
    sets.mount(app, context)


async def _content(request: Request) -> bytes:
    """The body of a request; one that is too large is cut off just beyond the limit."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            break
    return bytes(content)


class _Routes:
    """One method a route; its answer is what JSON can carry, or an image."""

    def __init__(self, context: PageContext) -> None:
        self._uploads = context.folders.data / "pictures"
        self._preview = context.preview
        self._variations = context.variations

    def guide(self, name: str) -> Response:
        """A page of the documentation, as HTML, or one of its images: the name is its path, as in docs/page.md."""
        content, media_type = guide.page(name)
        return Response(content, media_type=media_type)

    def field(self, body: dict[str, Any]) -> dict[str, Any]:
        """What is wrong with the value of a field that was just left; empty if nothing is."""
        core.refuse_unknown(body, "name", "value")
        return {"problem": value_problem(str(body.get("name", "")), body.get("value")) or ""}

    # ---- the data of a folder ---------------------------------------------------------------------------------------

    def look(self, body: dict[str, Any]) -> dict[str, Any]:
        """Look at the data that these settings would train; answered at once, see GET.

        In the answer, "unknown" names the keys that are not known, which have no effect.
        """
        parsed = parse(body)
        self._preview.look(parsed.settings)
        return {**self._preview.state(), "unknown": parsed.warnings}

    def end_look(self, action: Literal["stop", "close"]) -> dict[str, Any]:
        """Stop looking, or forget also what was found."""
        if action == "stop":
            self._preview.stop()
        else:
            self._preview.close()
        return self._preview.state()

    def preview(self, known: str = "") -> dict[str, Any]:
        """How far looking at the data is, then buckets with counts, captions and problems by file name.

        These are left out where ``known`` is the look's name.
        """
        return self._preview.state(known)

    def samples(self, first: int = 0, count: int = 24, width: int = 0, height: int = 0) -> dict[str, Any]:
        """Some of the samples, each with its caption and crop; of one bucket if its size is given."""
        return self._preview.page(first, count, Size(width, height) if width and height else None)

    def image(self, name: str, place: int, target: bool = False, whole: bool = False) -> Response:
        """One of the samples exactly as it would be trained, small or at full size."""
        found = self._preview.image(name, place, target=target, whole=whole)
        if found is None:
            raise core.NotThereError("web.no_image_of_data")
        return Response(found[0], media_type=found[1], headers={"Cache-Control": "private, max-age=3600"})

    # ---- single images --------------------------------------------------------------------------------------------

    def keep(self, name: str = "", content: bytes = Depends(_content)) -> dict[str, Any]:
        """Keep the body of the request, an image, as a file; the answer is its path."""
        if len(content) > MOST_BYTES:
            raise core.TooLargeError("web.file_too_large", most=MOST_BYTES // 1_000_000)
        return {"path": str(kept(content, name or "image", self._uploads))}

    def show(self, body: dict[str, Any]) -> dict[str, Any]:
        """A small copy of the image at the body's path, as a data URL."""
        core.refuse_unknown(body, "path")
        return {"picture": data_address(small(str(body.get("path", ""))))}

    # ---- a pair -----------------------------------------------------------------------------------------------------

    def pair(self, body: dict[str, Any]) -> dict[str, Any]:
        """Where the images of a pair differ, and how much; the body: mode, original_image and target_image."""
        core.refuse_unknown(body, *_PAIR)
        return compared(parse(body).settings)

    # ---- variations -------------------------------------------------------------------------------------------------

    def variations(self) -> dict[str, Any]:
        """How far the writing of variations is, and its result."""
        return self._variations.state()

    def vary(self, action: Literal["show", "start", "stop"], body: dict[str, Any]) -> dict[str, Any]:
        """Show a few variations of an image or a folder, write them, or stop writing.

        The body: source, and optionally folder, name, fixed_side, number, most_angle, least_scale, seed, captions.
        """
        if action == "show":
            return self._variations.shown(body)
        return self._variations.start(body) if action == "start" else self._variations.stop()


def compared(settings: Settings) -> dict[str, Any]:
    """The sizes of a pair's images, and what differs if there are two.

    Raises:
        UserError: what a run would refuse them for.
    """
    from ...data.pairs.comparison import compare, heat
    from ...data.pairs.pair import open_pair
    from ...data.problems import FileProblem

    pair = open_pair(settings)
    problems = [FileProblem(each.path.name, *note) for each in pair.images for note in each.notes]
    notes = [message("error.problem", problem=problem.message) for problem in problems]
    answer: dict[str, Any] = {"sizes": [list(each.size) for each in pair.images], "notes": notes, "found": None}
    if pair.original is not None and pair.target is not None:
        found = compare(pair, settings)
        size = pair.target.size
        shift = [round(share * side) for share, side in zip(found.shift, size, strict=True)]
        answer["found"] = {
            "share": found.share,
            "mean": found.mean,
            "shift": shift,
            "overlay": data_address(heat(found)),
        }
    return answer
