"""The LoRAs in the folder with what their files and cards say of them: listed, found, sorted; and a small picture.

Nothing is kept on the disk: what is known is read again from the files after a restart, and of a file that has
changed. Reading goes on in a thread of its own, and whoever asks gets what is known so far.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ...errors import UserError
from ...models.checkpoint.header import read_header
from ...networks.files.edit import Texts, card_of, texts_of
from ...networks.files.find import ENDING, lora_files, lora_name
from ...networks.files.picture import is_made, picture_of
from ...networks.files.settings import KEY as SETTINGS_KEY
from ...paths import Folders, is_file, open_file, path_problem
from ...text.messages import Message
from . import run_images

if TYPE_CHECKING:
    from PIL import Image

_HOLDS = 2.0
"""Seconds after which the folder is looked at again."""
_PATIENCE = 0.7
"""Seconds that a question waits for files that are just being read."""
MOST_IN_A_PAGE = 120
SHOWN = 480
"""Longest side of a small picture, in pixels."""
_LONGEST = 400
"""Letters of a description in a list."""


@dataclass(frozen=True)
class Item:
    """One LoRA.

    Attributes:
        name: as :func:`~trainer.networks.files.find.lora_names` has it.
        size: in bytes.
        changed: when the file or its card was written, in seconds since 1970.
        written: when the file was. What it says of the beginning of its training is when its job was made, which may
            have waited in the queue while others were trained.
        mode: of Trainyard; empty for LoRAs of other programs.
        base: the model it was trained on, or else what it is for.
        family: what it is for, in a word.
        rank, steps: as the file has them; may be empty.
        problem: why its file cannot be read.
    """

    name: str
    size: int
    changed: float
    written: float
    texts: Texts = field(default_factory=Texts)
    mode: str = ""
    base: str = ""
    family: str = ""
    rank: str = ""
    steps: str = ""
    problem: Message | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the file has the settings it was trained with."""
        return bool(self.mode)

    def has(self, words: Iterable[str]) -> bool:
        """Whether all words are somewhere in what is said of it."""
        said = "\n".join((self.name, *vars(self.texts).values(), self.mode, self.base, self.family)).casefold()
        return all(word in said for word in words)


_ORDERS: Final[Mapping[str, Callable[[Item], Any]]] = MappingProxyType(
    {
        "newest": lambda item: (-item.written, item.name.casefold()),
        "oldest": lambda item: (item.written, item.name.casefold()),
        "name": lambda item: item.name.casefold(),
        "largest": lambda item: (-item.size, item.name.casefold()),
        "base": lambda item: (item.base.casefold(), item.name.casefold()),
        "mode": lambda item: (not item.mode, item.mode, -item.written),
    }
)
ORDERS: Final = tuple(_ORDERS)


class Gallery:
    """One for the page. Any thread may ask."""

    def __init__(self, folders: Folders, clock: Callable[[], float] = time.monotonic) -> None:
        self._folders = folders
        self._clock = clock
        self._changed = threading.Condition()
        self._items: dict[Path, Item] = {}
        self._left = 0
        self._thread: threading.Thread | None = None
        self._looked = -_HOLDS

    def page(self, search: str, order: str, first: int, count: int) -> tuple[list[Item], int, int]:
        """Some of the LoRAs in which all words of ``search`` are, how many there are in all, and how many files are
        still to be read, as far as that is known: one at least while the folder is being looked at.

        Args:
            order: one of :data:`ORDERS`.
        """
        self._look()
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None, _PATIENCE)
            items, left = list(self._items.values()), self._left or int(self._thread is not None)
        words = search.casefold().split()
        found = sorted((item for item in items if item.has(words)), key=_ORDERS[order])
        first = max(0, first)
        return found[first : first + min(max(0, count), MOST_IN_A_PAGE)], len(found), left

    def all(self) -> list[Item]:
        """Every LoRA, the newest first, once all are read."""
        self._look()
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None)
            return sorted(self._items.values(), key=_ORDERS["newest"])

    def forget(self) -> None:
        """Look again at the next question: something was written."""
        with self._changed:
            self._looked = -_HOLDS

    def _look(self) -> None:
        with self._changed:
            if self._thread is not None or self._clock() - self._looked < _HOLDS:
                return
            self._thread = threading.Thread(target=self._work, name="trainyard-gallery", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            files = dict(_files(self._folders.loras))
            with self._changed:
                self._items = {path: item for path, item in self._items.items() if path in files}
                before = dict(self._items)
            stale = [path for path, stat in files.items() if path not in before or _stamp(before[path]) != stat]
            for at, path in enumerate(stale):
                item = _read(path, self._folders.loras, *files[path])
                with self._changed:
                    self._items[path], self._left = item, len(stale) - at - 1
        finally:
            with self._changed:
                self._looked, self._thread, self._left = self._clock(), None, 0
                self._changed.notify_all()


def _files(folder: Path) -> Iterable[tuple[Path, tuple[int, float, float]]]:
    """The LoRA files below a folder, with their size, the later of the times of file and card, and the file's own."""
    for path in lora_files(folder):
        try:
            stat = path.stat()
            card = path.with_suffix(".json")
            changed = max(stat.st_mtime, card.stat().st_mtime if card.is_file() else 0.0)
        except OSError:  # deleted in the meantime
            continue
        yield path, (stat.st_size, changed, stat.st_mtime)


def _stamp(item: Item) -> tuple[int, float, float]:
    return item.size, item.changed, item.written


def _read(path: Path, folder: Path, size: int, changed: float, written: float) -> Item:
    from ...networks.files.read import made_for_family  # with torch

    item = Item(lora_name(path, folder), size, changed, written)
    try:
        told, family = read_header(path).metadata, made_for_family(path) or ""
    except UserError as error:
        return replace(item, problem=error.whole)
    try:
        card = card_of(path)
    except UserError:  # a WebUI does not show it, either
        card = {}
    return replace(
        item,
        texts=texts_of(told, card),
        mode=_mode_of(told.get(SETTINGS_KEY, "")),
        base=told.get("ss_sd_model_name", "") or str(card.get("sd version") or "") or family,
        family=family,
        rank=told.get("ss_network_dim", ""),
        steps=told.get("ss_steps", ""),
    )


def _mode_of(settings: str) -> str:
    try:
        found = json.loads(settings) if settings else {}
    except (ValueError, RecursionError):
        return ""
    return str(found.get("mode") or "") if isinstance(found, dict) else ""


# ---- one LoRA --------------------------------------------------------------------------------------------------------


def inside(name: str, folders: Folders) -> Path | None:
    """The LoRA of the gallery with that name; None if there is none. The name may come from anyone."""
    parts = name.split("/")
    if path_problem(name) or "\\" in name or any(part in ("", ".", "..") for part in parts) or ":" in name:
        return None
    path = folders.loras.joinpath(*parts[:-1], parts[-1] + ENDING)
    return path if is_file(path) else None


def picture(lora: Path, folders: Folders) -> bytes | None:
    """A small picture of a LoRA, as a JPEG: the user's own beside it, the strip of its run, that made by itself, or the
    latest of its film."""
    from PIL import Image

    beside = picture_of(lora)
    is_own = beside is not None and not is_made(beside)
    kept = run_images.RunImages() if is_own else run_images.of_lora(lora, folders)
    path = kept.strip or beside or (kept.images[-1].path if kept.images else None)
    if path is None:
        return None
    try:
        with open_file(path) as file, Image.open(file) as opened:
            image: Image.Image = _first_row(opened) if path == kept.strip else opened
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((SHOWN, SHOWN))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=85)
    return content.getvalue()


def _first_row(strip: Image.Image) -> Image.Image:
    """The LoRA at all strengths, without what is measured below."""
    from ...engine.effect import ROW_KEY  # with torch

    height = str(strip.info.get(ROW_KEY, ""))
    return strip.crop((0, 0, strip.width, min(int(height), strip.height))) if height.isdecimal() else strip


def short(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
