"""Images made for the page in a thread of their own, one sheet at a time."""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...engine.image_request import ImageRequest
from ...errors import Stopped, UserError
from ...paths import kept_traceback
from ...text.messages import Message, message

if TYPE_CHECKING:
    from PIL import Image

    from ...engine.host import Host

DRAWING, DONE, STOPPED, FAILED = "drawing", "done", "stopped", "failed"


@dataclass(frozen=True)
class LabelledRequest:
    """One request of a sheet.

    Attributes:
        labels: what each of its images is called, one for each strength.
    """

    request: ImageRequest
    labels: tuple[Message | str, ...]


@dataclass(frozen=True)
class SheetImage:
    """A finished image.

    Attributes:
        name: unique, also after a restart.
        png: the file's bytes.
        is_black: whether nothing is to be seen in it.
    """

    name: str
    label: Message | str
    prompt: str
    png: bytes
    is_black: bool = False


@dataclass(frozen=True)
class Sheet:
    """Images that belong together, as they are made.

    Attributes:
        title: what they show.
        state: ``drawing``, ``done``, ``stopped`` or ``failed``.
        done, total: steps; a total of 0 while the model is loading.
        message: why it failed, or why it was not begun, in which case the images are those of before; else None.
        unused: what of the LoRA is not used.
        ended: when, by the monotonic clock.
    """

    title: Message
    state: str = DRAWING
    done: int = 0
    total: int = 0
    message: Message | None = None
    images: tuple[SheetImage, ...] = ()
    unused: tuple[Message, ...] = ()
    ended: float = field(default=0.0, compare=False)

    @property
    def notes(self) -> list[Message]:
        """What is to be said of the images."""
        black = sum(image.is_black for image in self.images)
        return [*self.unused, *([message("draw.black", count=black)] if black else [])]


class ImageJobs:
    """Holds the latest sheet of each place on the page; any thread may ask and press."""

    def __init__(self, host: Callable[[], Host]) -> None:
        """Args:
        host: who makes the images; may take seconds, and is called in the jobs' own thread.
        """
        self._host = host
        self._lock = threading.Lock()
        self._sheets: dict[str, Sheet] = {}
        self._stop: threading.Event | None = None

    def begin(self, place: str, title: Message, requests: Sequence[LabelledRequest]) -> None:
        """Make a sheet, in place of the last one. Returns at once.

        Raises:
            UserError: another one is being made.
        """
        with self._lock:
            if self._stop is not None:
                raise UserError("web.images_running")
            stop = self._stop = threading.Event()
            before = self._sheets.get(place)
            self._sheets[place] = Sheet(title)
        args = (place, requests, stop, before)
        work = threading.Thread(target=self._work, args=args, name="trainyard-image_jobs", daemon=True)
        work.start()

    def refuse(self, place: str, title: Message, error: UserError) -> None:
        """Show in a sheet's place why none is made; one that is there or is being made stays."""
        with self._lock:
            sheet = self._sheets.get(place, Sheet(title, FAILED))
            if sheet.state != DRAWING:
                self._sheets[place] = replace(sheet, state=FAILED, message=error.whole, ended=time.monotonic())

    def stop(self) -> bool:
        """Stop after the current step. Returns whether anything was being made."""
        with self._lock:
            if self._stop is None:
                return False
            self._stop.set()
            return True

    def sheets(self) -> dict[str, Sheet]:
        """The latest sheet of each place."""
        with self._lock:
            return dict(self._sheets)

    def image(self, name: str) -> bytes | None:
        """The bytes of an image on one of the sheets, or None if there is no such image."""
        images = [image for sheet in self.sheets().values() for image in sheet.images]
        return next((image.png for image in images if image.name == name), None)

    # ---- inside the thread ------------------------------------------------------------------------------------------

    def _work(
        self, place: str, requests: Sequence[LabelledRequest], stop: threading.Event, before: Sheet | None
    ) -> None:
        state, message = DONE, None
        try:
            host = self._host()
            for number, labelled in enumerate(requests):
                self._note(place, _unused(labelled.request))
                drawn = host.draw(labelled.request, self._advancing(place, number, len(requests), stop))
                self._add(place, labelled, drawn)
        except Stopped:
            state = STOPPED
        except UserError as error:
            state, message = FAILED, error.whole
        except Exception as error:  # noqa: BLE001 - a bug of ours ends this sheet and nothing else
            state, message = FAILED, kept_traceback(error)
        with self._lock:
            sheet = self._sheets[place]
            if state == FAILED and before is not None and not sheet.images:
                sheet = before
            self._sheets[place] = replace(sheet, state=state, message=message, ended=time.monotonic())
            self._stop = None

    def _advancing(self, place: str, number: int, of: int, stop: threading.Event) -> Callable[[int, int], None]:
        def advance(done: int, total: int) -> None:
            if stop.is_set():
                raise Stopped
            with self._lock:
                self._sheets[place] = replace(self._sheets[place], done=number * total + done, total=of * total)

        return advance

    def _note(self, place: str, unused: Message | None) -> None:
        with self._lock:
            sheet = self._sheets[place]
            if unused is not None and unused not in sheet.unused:
                self._sheets[place] = replace(sheet, unused=(*sheet.unused, unused))

    def _add(self, place: str, labelled: LabelledRequest, drawn: Sequence[Image.Image]) -> None:
        from ...models.sample import is_black

        images = tuple(
            SheetImage(f"{secrets.token_hex(8)}.png", label, labelled.request.prompt, _png(image), is_black(image))
            for label, image in zip(labelled.labels, drawn, strict=True)
        )
        with self._lock:
            sheet = self._sheets[place]
            self._sheets[place] = replace(sheet, images=(*sheet.images, *images))


def _unused(request: ImageRequest) -> Message | None:
    """What of the LoRA's file is not used, as far as its header tells; what is wrong with it, drawing says."""
    from ...networks.files.read import unused_in

    try:
        return None if request.lora is None else unused_in(request.lora)
    except UserError:
        return None


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()
