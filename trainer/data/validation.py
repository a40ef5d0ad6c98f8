"""Images that are not trained: their loss shows whether the LoRA learns, or learns the others by heart."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from ..config.settings import Settings
from ..errors import DataError
from ..text.messages import label
from .augmentation import not_augmented
from .samples import Sample, Scan, SubsetCounts


def split_off(scan: Scan, settings: Settings) -> tuple[Scan, Scan | None]:
    """What is trained, and the ``validation_split`` of the images, each sample of theirs once; None where that is 0.

    Regularisation images are all trained. Which of the others are chosen depends on the seed and on their names in
    their folders: it stays the same when the folder is moved, and nearly so when images are added.

    Raises:
        DataError: there is no image to spare.
    """
    if not settings.validation_split:
        return scan, None
    names = _names(scan)
    if len(names) < 2:
        raise DataError("data.too_few_to_validate", where=label("validation_split"), count=len(names))
    count = max(1, round(settings.validation_split * len(names)))
    in_order = sorted(names, key=lambda path: _mark(settings.train_seed, names[path]))
    chosen = frozenset(in_order[:count])
    trained = _part(scan, {sample.path for sample in scan.distinct} - chosen)
    return trained, _once(_part(scan, chosen))


def _names(scan: Scan) -> dict[Path, str]:
    """The images there are to choose from, with their names in their folders."""
    found = {}
    for sample in scan.distinct:
        subset = scan.subsets[sample.subset]
        if not subset.is_reg:
            inside = sample.path.is_relative_to(subset.folder)
            found[sample.path] = sample.path.relative_to(subset.folder).as_posix() if inside else sample.path.name
    return found


def _mark(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "replace")).hexdigest()


def _part(scan: Scan, paths: Collection[Path]) -> Scan:
    """The same with these images alone."""
    kept = [number for number, sample in enumerate(scan.distinct) if sample.path in paths]
    places = {number: place for place, number in enumerate(kept)}
    distinct = tuple(scan.distinct[number] for number in kept)
    epoch = tuple(places[number] for number in scan.epoch if number in places)
    images = len({sample.path for sample in distinct})
    return _with_epoch(replace(scan, distinct=distinct, images=images), epoch)


def _once(scan: Scan) -> Scan:
    """The same without repeats, and with images and captions that do not change."""
    distinct = tuple(map(_settled, scan.distinct))
    subsets = tuple(replace(subset, settings=not_augmented(subset.settings)) for subset in scan.subsets)
    return _with_epoch(replace(scan, distinct=distinct, subsets=subsets), tuple(range(len(distinct))))


def _settled(sample: Sample) -> Sample:
    target = None if sample.target is None else _settled(sample.target)
    return replace(sample, written=None, target=target)


def _with_epoch(scan: Scan, epoch: tuple[int, ...]) -> Scan:
    """The same with another epoch, and what is counted of it."""
    samples = [scan.distinct[place] for place in epoch]
    taken = Counter(sample.subset for sample in samples)
    counts = []
    for subset, before in zip(scan.subsets, scan.counts, strict=True):
        images = {side.path for sample in scan.distinct if sample.subset == subset.number for side in sample.sides()}
        counts.append(SubsetCounts(len(images), before.unused, taken[subset.number]))
    frames = Counter(sample.frame for sample in samples)
    return replace(scan, epoch=epoch, counts=tuple(counts), buckets=tuple(sorted(frames.items())))
