"""What the page does with sets of images: lists them, shows them small, takes files in, and has captions changed."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from ...config.schema import parse
from ...config.settings import Settings, effective
from ...data.images.memory import DecodingMemory
from ...data.problems import FileError
from ...errors import SettingsError, UserError
from ...paths import Folders
from ...sets.image_set import Done, ImageSet, Item
from ...sets.library import Known, Library
from ...sets.tags import Change, written_tags
from ...text.messages import message
from .tasks import WORKING, Check, Progress, Task

if TYPE_CHECKING:
    from ...data.cache import DataCache
    from ...sets.duplicates import Looked
    from ...sets.incoming import Imported, Incoming

THUMBNAIL: Final = 320
"""Longest side, in pixels."""
_MOST_FACTS: Final = 200
_MOST_PROBLEMS: Final = 50
_MOST_BATCHES: Final = 50
_PIECE: Final = 2**20
_SHOWN_AS_THEY_ARE: Final = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}
"""Formats that every browser shows."""
_CACHE_GB: Final = 10.0


class DataRoom:
    """One for the page.

    Args:
        folders: where sets, their journals and small copies of images are.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._library = Library(folders)
        self._lock = threading.Lock()
        self._memory = DecodingMemory()
        self._batches: dict[str, Incoming] = {}
        self._look: Task[Looked] | None = None
        self._looked_at = ""
        self._cache: DataCache | None = None

    def close(self) -> None:
        """Stop looking, and write what is kept."""
        if self._look is not None:
            self._look.stop()
            self._look.join()
        with self._lock:
            if self._cache is not None:
                self._cache.close()
                self._cache = None

    # ---- which sets there are ---------------------------------------------------------------------------------------

    def sets(self) -> dict[str, Any]:
        return {"sets": [_known(each) for each in self._library.offered()]}

    def open(self, *, folder: str | None = None, name: str = "") -> dict[str, Any]:
        """Open a folder, or make a set of a name.

        Raises:
            UserError: there is no such folder, or no set can be called so.
        """
        return _known(self._library.make(name) if folder is None else self._library.open(folder))

    def inside(self, path: str) -> dict[str, Any]:
        """The folders inside one, or those to begin at.

        Raises:
            DataError: it is not one that is listed.
        """
        above, folders = self._library.inside(path)
        listed = [{"path": str(each), "name": each.name or str(each), "images": has} for each, has in folders]
        return {"path": path, "above": None if above is None else str(above), "folders": listed}

    def set_of(self, number: str) -> ImageSet:
        """Raises:
        DataError: there is no such set.
        """
        return self._library.find(number)

    # ---- what is in one ---------------------------------------------------------------------------------------------

    def items(self, number: str, known: str = "") -> dict[str, Any]:
        """Every image with its caption, and those that are set aside; left out where ``known`` is their version.

        Raises:
            DataError: there is no such set, or it cannot be read.
        """
        found = self._library.known_by(number)
        images = self._library.of(found.folder)
        listed = [_item(each) for each in (*images.items(), *images.items(aside=True))]
        undo, again = images.history()
        version = hashlib.sha256(json.dumps([listed, str(undo), str(again)], default=str).encode()).hexdigest()[:16]
        return {
            "set": _known(found),
            "version": version,
            "items": None if version == known else listed,
            "undo": undo or "",
            "again": again or "",
        }

    def facts(self, number: str, names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Of some images the size, and what of it is trained with these settings, as shares of width and height.

        Raises:
            DataError: there is no such set.
        """
        from ...data.buckets import frames_of, placements
        from ...data.images.decoding import size_of

        images = self.set_of(number)
        try:
            used = effective(parse(dict(settings)).settings)
        except SettingsError:  # marked beside its field
            used = effective(Settings(mode="LoRA"))
        frames = frames_of(used)
        found: dict[str, dict[str, Any]] = {}
        for name in list(names)[:_MOST_FACTS]:
            try:
                size = size_of(images.path_of(name))
            except FileError as error:
                found[name] = {"problem": error.problem}
                continue
            except UserError:  # gone since it was listed
                continue
            placed = placements(size, used, frames)
            found[name] = {"size": list(size), **(_crop(placed[0]) if placed else {"crop": None})}
        return {"facts": found}

    def thumbnail(self, number: str, name: str, *, aside: bool = False) -> tuple[bytes, str]:
        """A small copy, as the bytes of a file and their media type.

        Raises:
            UserError: there is no such image, or it cannot be read.
        """
        from ...data.cache import key_of
        from ...data.images.decoding import load_small, whole_files_only

        path = self.set_of(number).path_of(name, aside=aside)
        stat = path.stat()
        key = key_of("thumbnail", THUMBNAIL, str(path), stat.st_size, stat.st_mtime_ns)
        cache = self._opened_cache()
        kept = None if cache is None else cache.get(key)
        if kept is None:
            with whole_files_only():
                image = load_small(path, THUMBNAIL, memory=self._memory)
            content = io.BytesIO()
            image.save(content, "PNG" if image.mode == "RGBA" else "JPEG", quality=85)
            kept = content.getvalue()
            if cache is not None:
                cache.put(key, kept)
                cache.flush()
        return kept, "image/png" if kept.startswith(b"\x89PNG") else "image/jpeg"

    def image(self, number: str, name: str, *, aside: bool = False) -> tuple[Path | bytes, str]:
        """An image at its full size, as a file that a browser can show, or as the bytes of one.

        Raises:
            UserError: there is no such image, or it cannot be read.
        """
        from ...data.images.decoding import load_transparent

        path = self.set_of(number).path_of(name, aside=aside)
        kind = _SHOWN_AS_THEY_ARE.get(path.suffix.lower())
        if kind is not None:
            return path, f"image/{kind}"
        content = io.BytesIO()
        load_transparent(path, may_be_smaller=True).save(content, "PNG")
        return content.getvalue(), "image/png"

    def _opened_cache(self) -> DataCache | None:
        from ...data.cache import GB, DataCache, cache_path

        with self._lock:
            if self._cache is None:
                self._cache = DataCache(cache_path(self._folders), int(_CACHE_GB * GB))
            return self._cache

    # ---- changing ---------------------------------------------------------------------------------------------------

    def write(self, number: str, name: str, caption: str, known: str | None) -> dict[str, Any]:
        """Write one caption, as it is typed.

        Raises:
            UserError: it cannot be written; or somebody else has changed it since.
        """
        images = self.set_of(number)
        before = None if known is None else {name: known}
        done = images.write({name: caption}, message("sets.did_caption", name=name), known=before, apart=False)
        if done.left:
            raise UserError("sets.changed_elsewhere", where=name)
        return {"caption": images.item(name).caption, **self._history(images)}

    def change(self, number: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change the tags of all captions, or of those of some images.

        Raises:
            UserError: it is no change, or cannot be written.
        """
        images = self.set_of(number)
        text = str(body.get("tags", ""))
        kind = str(body.get("change", ""))
        tags = (text,) if kind == "replace_text" else written_tags(text)
        change = Change(kind, tags, str(body.get("by", "")), bool(body.get("adds")), _whole(body.get("keep")))  # type: ignore[arg-type]
        return self._told(images, images.change(change, _names(body)))

    def move(self, number: str, names: Sequence[str], *, back: bool) -> dict[str, Any]:
        """Set images aside, or bring them back.

        Raises:
            UserError: they cannot be moved.
        """
        images = self.set_of(number)
        return self._told(images, images.bring_back(names) if back else images.set_aside(names))

    def turn(self, number: str, *, again: bool) -> dict[str, Any]:
        """Undo the last change, or do once more what was undone.

        Raises:
            UserError: there is nothing of that kind.
        """
        images = self.set_of(number)
        return self._told(images, images.again() if again else images.undo())

    def mask(self, number: str, name: str) -> bytes | None:
        """The mask of an image as a grey PNG; None if it has none.

        Raises:
            DataError: there is no such image, or its mask cannot be read.
        """
        from ...sets.masks import mask_of

        return mask_of(self.set_of(number), name)

    def draw(self, number: str, name: str, content: bytes) -> dict[str, Any]:
        """Give an image a mask.

        Raises:
            UserError: it is none for it, or cannot be written.
        """
        from ...sets.masks import put_mask

        images = self.set_of(number)
        return self._told(images, put_mask(images, name, content))

    def _told(self, images: ImageSet, done: Done) -> dict[str, Any]:
        return {"count": done.count, "left": list(done.left), "what": done.what or "", **self._history(images)}

    def _history(self, images: ImageSet) -> dict[str, Any]:
        undo, again = images.history()
        return {"undo": undo or "", "again": again or ""}

    # ---- duplicates -------------------------------------------------------------------------------------------------

    def look_for_duplicates(self, number: str) -> dict[str, Any]:
        """Begin to look for images that are there more than once; another look is stopped.

        Raises:
            DataError: there is no such set.
        """
        from ...sets.duplicates import look_for_duplicates

        items = self.set_of(number).items()
        cache = self._opened_cache()

        def work(check: Check, progress: Progress) -> Looked:
            found = look_for_duplicates(items, cache=cache, check=check, progress=progress)
            if cache is not None:
                cache.flush()
            return found

        if self._look is not None:
            self._look.stop()
        self._look, self._looked_at = Task(work), number
        return self.duplicates(number)

    def duplicates(self, number: str) -> dict[str, Any]:
        """How far the look is, and what it found."""
        task = self._look
        if task is None or self._looked_at != number:
            return {"state": "none"}
        found = task.result
        groups = [] if found is None else [{"kind": each.kind, "names": list(each.names)} for each in found.groups]
        broken = [] if found is None else [{"name": name, "problem": error.problem} for name, error in found.broken]
        state = {"state": task.state, "done": task.done, "total": task.total, "problem": task.problem or ""}
        return {**state, "groups": groups, "broken": broken}

    def stop_looking(self, number: str) -> dict[str, Any]:
        if self._look is not None and self._look.state == WORKING:
            self._look.stop()
        return self.duplicates(number)

    # ---- in and out -------------------------------------------------------------------------------------------------

    def begin(self, number: str) -> dict[str, Any]:
        """Begin a batch of files for a set.

        Raises:
            DataError: there is no such set.
        """
        from ...sets.incoming import Incoming, tidy

        images = self.set_of(number)
        tidy(images.folder)
        batch = Incoming(images)
        with self._lock:
            self._batches[batch.token] = batch
            gone = [self._batches.pop(next(iter(self._batches))) for _ in range(len(self._batches) - _MOST_BATCHES)]
        for each in gone:
            each.drop()
        return {"batch": batch.token}

    def take(self, token: str, name: str, content: IO[bytes]) -> dict[str, Any]:
        """Take one file of a batch; a zip archive is unpacked into it.

        Raises:
            UserError: there is no such batch, or the file cannot be taken.
        """
        batch = self._batch(token)
        if name.lower().endswith(".zip") and "/" not in name.strip("/"):
            batch.unpack_open(content, name)
        else:
            batch.take(name, _pieces(content))
        return {"taken": name}

    def end(self, token: str, *, drop: bool = False) -> dict[str, Any]:
        """Put the files of a batch in their places, or forget them.

        Raises:
            UserError: there is no such batch, or a file cannot be put there.
        """
        batch = self._batch(token)
        with self._lock:
            self._batches.pop(token, None)
        if drop:
            batch.drop()
            return {"dropped": True}
        return _imported(batch.finish())

    def _batch(self, token: str) -> Incoming:
        batch = self._batches.get(token)
        if batch is None:
            raise UserError("sets.no_batch")
        return batch


def _known(each: Known) -> dict[str, Any]:
    return {"id": each.id, "name": each.name, "folder": str(each.folder), "own": each.own}


def _item(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "caption": item.caption,
        "written": item.caption_file is not None,
        "bytes": item.size,
        "version": f"{item.changed:x}-{item.size:x}",
        "mask": item.mask is not None,
        "problem": item.problem or "",
        "aside": item.is_aside,
    }


def _crop(placement: Any) -> dict[str, Any]:
    (left, top), scaled, frame = placement.crop, placement.scaled, placement.frame
    shares = [left / scaled.width, top / scaled.height, frame.width / scaled.width, frame.height / scaled.height]
    return {"crop": shares, "frame": list(frame)}


def _imported(found: Imported) -> dict[str, Any]:
    broken = [each for each in found.problems if each.what.key == "sets.no_image"]
    others = [each for each in found.problems if each not in broken]
    return {
        "images": found.images,
        "captions": found.captions,
        "masks": found.masks,
        "there": found.there,
        "renamed": [list(each) for each in found.renamed[:_MOST_PROBLEMS]],
        "no_images": [each.name for each in broken[:_MOST_PROBLEMS]],
        "no_images_in_all": len(broken),
        "problems": [{"name": each.name, "what": each.what, "done": each.done} for each in others[:_MOST_PROBLEMS]],
        "problems_in_all": len(others),
    }


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        yield piece


def _names(body: Mapping[str, Any]) -> list[str] | None:
    names = body.get("names")
    return [str(each) for each in names] if isinstance(names, list) else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value <= 1000 else 0
