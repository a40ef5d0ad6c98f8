"""What a run is made from beside its settings: the files of model, LoRAs and images, the captions and crops.

A state carries it, and a run is continued only where it is still the same. A file is the same if its size and its time
are; where only the time differs, its content decides.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.key_values import split_loras
from ..config.settings import ROWS, Settings
from ..data.augmentation import Augmentation
from ..data.pairs.pair import Pair
from ..data.samples import Sample, Scan
from ..models.checkpoint.folders import model_folder
from ..models.checkpoint.hashes import sha256_of
from ..modes.base import PassSpec
from ..networks import resume
from ..networks.files.find import find_lora
from ..text.messages import Message, message
from .host import Host


@dataclass(frozen=True)
class FileMark:
    """A file as it was: its size in bytes, its time in nanoseconds and, once it has been read, its hash."""

    path: str
    size: int
    time: int
    sha256: str | None = None

    @staticmethod
    def of(path: Path) -> FileMark:
        """That of a file that is not there has a size of -1: whoever needs the file says so."""
        try:
            found = path.stat()
        except OSError:
            return FileMark(str(path), -1, 0)
        return FileMark(str(path), found.st_size, found.st_mtime_ns)

    def is_as_now(self) -> bool:
        """Whether size and time of the file are still these."""
        now = FileMark.of(Path(self.path))
        return (now.size, now.time) == (self.size, self.time)

    def is_same(self, now: FileMark) -> bool:
        """Whether the file marked ``now`` has the content this one had."""
        if self.size != now.size:
            return False
        if self.time == now.time and self.path == now.path:
            return True
        try:
            return self.sha256 is not None and self.sha256 == (now.sha256 or sha256_of(Path(now.path)))
        except OSError:
            return False


class Basis:
    """The files of a run, marked now.

    Attributes:
        model: of the model and its VAE; every file of a folder.
        others: of LoRAs and images.
    """

    def __init__(self, settings: Settings, specs: Iterable[PassSpec], images: Scan | Pair | None, host: Host) -> None:
        specs, loras = list(specs), host.folders.loras
        names = [name for name, _ in split_loras(settings.base_loras)]
        names += [name for spec in specs for name in (spec.loaded, resume.wanted(spec.settings or settings)) if name]
        self.model = tuple(_marks(path for chosen in host.files(settings) for path in _files_in(chosen)))
        self.others = tuple(_marks([*(find_lora(name, loras) for name in names), *_images(images)]))
        self._captions = _captions(images)
        self._layout = _layout(images)
        self._subsets = _subsets(images, settings)

    def changed_meanwhile(self) -> list[str]:
        """The names of the files of the model that are others now than when the run began."""
        return [Path(mark.path).name for mark in self.model if not mark.is_as_now()]

    def content(self, hashes: Mapping[str, str]) -> dict[str, Any]:
        """What of it a state holds; see :func:`difference`."""
        marks = {"model": self.model, "others": self.others}
        hashed = {
            name: [asdict(mark) | {"sha256": hashes.get(mark.path)} for mark in found] for name, found in marks.items()
        }
        return {**hashed, "captions": self._captions, "layout": self._layout, "subsets": self._subsets}

    def difference(self, kept: Mapping[str, Any]) -> Message | None:
        """What is no longer as it was when a state was written, or None.

        Args:
            kept: what :meth:`content` was then.
        """
        for name, found in (("model", self.model), ("others", self.others)):
            before = [FileMark(**each) for each in kept[name]]
            differs = _other_files(before, found)
            if differs is not None:
                return differs
        for path, caption in self._captions.items():
            if kept["captions"].get(path) != caption:
                return message("engine.state_other_caption", file=Path(path).name)
        if kept["layout"] != self._layout:
            return message("engine.state_other_layout")
        return None if kept.get("subsets", []) == self._subsets else message("engine.state_other_subsets")


def _other_files(before: list[FileMark], now: tuple[FileMark, ...]) -> Message | None:
    if len(before) == len(now) == 1:  # one that was moved is the same
        return None if before[0].is_same(now[0]) else message("engine.state_other_file", file=_name(now[0]))
    here, there = ({mark.path: mark for mark in marks} for marks in (now, before))
    for path, mark in there.items():
        if path not in here:
            return message("engine.state_file_gone", file=_name(mark))
        if not mark.is_same(here[path]):
            return message("engine.state_other_file", file=_name(mark))
    for path, mark in here.items():
        if path not in there:
            return message("engine.state_file_new", file=_name(mark))
    return None


def _name(mark: FileMark) -> str:
    return Path(mark.path).name


def _marks(paths: Iterable[Path]) -> Iterator[FileMark]:
    for path in dict.fromkeys(paths):
        yield FileMark.of(path)


def _files_in(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(each for each in model_folder(path).rglob("*") if each.is_file())


def _sides(images: Scan | Pair | None) -> list[Sample]:
    return [side for sample in images.distinct for side in sample.sides()] if isinstance(images, Scan) else []


def _images(images: Scan | Pair | None) -> list[Path]:
    if isinstance(images, Pair):
        return [image.path for image in images.images]
    sides = _sides(images)
    return [*(side.path for side in sides), *(side.mask for side in sides if side.mask is not None)]


def _captions(images: Scan | Pair | None) -> dict[str, str]:
    """The captions' hashes by image, which may be in several subsets; those of a pair are in the settings."""
    found: dict[str, dict[str, None]] = {}
    for side in _sides(images):
        found.setdefault(str(side.path), {})[side.written or side.caption] = None
    return {
        path: hashlib.sha256("\n".join(captions).encode("utf-8", "replace")).hexdigest()
        for path, captions in found.items()
    }


def _subsets(images: Scan | Pair | None, settings: Settings) -> list[str]:
    """Of each subset, a hash of what holds for it alone; empty where the run's settings hold for all of them."""
    if not isinstance(images, Scan):
        return []
    found = []
    for subset in images.subsets:
        own = [(row.name, getattr(subset.settings, row.name)) for row in ROWS]
        told = subset.dataset, subset.is_reg, [each for each in own if each[1] != getattr(settings, each[0])]
        found.append(repr(told))
    if set(found) == {repr((0, False, []))}:
        return []
    return [hashlib.sha256(each.encode("utf-8", "replace")).hexdigest() for each in found]


def _layout(images: Scan | Pair | None) -> str:
    """A hash of what is trained of each image, and in which order."""
    whole = hashlib.sha256()
    if isinstance(images, Scan):
        augmentations = [Augmentation.of(subset.settings) for subset in images.subsets]
        if any(augmentations):
            whole.update(repr(augmentations).encode())
        for sample in images.samples:
            for side in sample.sides():
                told = (str(side.path), tuple(side.frame), tuple(side.scaled), side.crop, side.mirrored, side.has_alpha)
                whole.update(repr(told if side.mask is None else (*told, str(side.mask))).encode("utf-8", "replace"))
    return whole.hexdigest()


class BasisHashing:
    """Hashes a run's files in its own thread, once training has begun; it holds nothing but the files.

    Args:
        without: a file that somebody else reads.
    """

    def __init__(self, basis: Basis, without: Path | None) -> None:
        self.hashes: dict[str, str] = {}
        """By path, as far as it has come."""
        self._marks = [mark for mark in (*basis.others, *basis.model) if mark.path != str(without)]
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._work, name="trainyard-basis", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Stop reading; what is there by then is what there is."""
        self._cancelled.set()

    def _work(self) -> None:
        for mark in self._marks:
            try:
                found = sha256_of(Path(mark.path), self._cancelled)
            except OSError:
                continue  # it is told where it is used, and its size and time are known
            if found is None:
                return
            if mark.is_as_now():
                self.hashes[mark.path] = found
