"""What will be trained from a folder of pairs, found out before any model is loaded: as ``scan``, two by two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..config.choices import MODES
from ..config.settings import Settings
from ..config.size import Size
from ..errors import DataError
from . import buckets
from .captions import Caption
from .files import PictureFile, find_pictures, with_trigger
from .images import Picture
from .matching import PairFiles, match_pairs
from .pairs import differs, shapes_differ
from .samples import Sample, Scan, sample_of
from .scan import Index, Read, read_all, scan, shows_something


def scan_pairs(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Find, decode and place every pair of ``lora_data_directory``, the originals as samples with their targets.

    Args:
        settings: as for a scan of single pictures, and ``diff_target_name``.
        check: called between pictures; may raise to stop.
        progress: called with how many pictures are done, and how many there are.

    Raises:
        DataError: there is no folder, no picture or no pair in it. Pairs that cannot be trained are problems of the
            result, and so are pictures without a partner.
    """
    found = find_pictures(settings.lora_data_directory)
    matched = match_pairs(found, settings.diff_target_name)
    members = {picture for pair in matched.pairs for picture in (pair.original, pair.target)}
    chosen = [picture for picture in found.pictures if picture in members]
    reads: dict[PictureFile, Read] = {}
    for file, read in read_all(chosen, settings):
        reads[file] = read
        if check is not None:
            check()
        if progress is not None:
            progress(len(reads), len(chosen))
    index = _PairIndex(settings)
    for pair in matched.pairs:
        index.add_pair(pair, reads)
        if check is not None:
            check()
    for file, reason in matched.alone:
        index.leave_out(file, reason)
    return index.finished(found)


def scan_for_mode(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """The data directory as the mode learns from it: pairs, or pictures by themselves; see :func:`scan_pairs`."""
    find = scan_pairs if MODES[settings.mode].images == "folder of pairs" else scan
    return find(settings, check=check, progress=progress)


class _PairIndex(Index):
    """Grows a pair at a time into a :class:`Scan`."""

    def add_pair(self, pair: PairFiles, reads: dict[PictureFile, Read]) -> None:
        original, target = reads[pair.original], reads[pair.target]
        if isinstance(original.picture, DataError):
            self._leave_out_pair(pair, pair.original, original.picture.what)
            return
        if isinstance(target.picture, DataError):
            self._leave_out_pair(pair, pair.target, target.picture.what)
            return
        reason = _unfit(original.picture, target.picture)
        if reason:
            self._leave_out_pair(pair, pair.target, reason)
            return
        placed = self._placed(pair, original.picture, target.picture)
        if not placed:
            return
        self.pictures += 2
        for file, picture in ((pair.original, original.picture), (pair.target, target.picture)):
            for what, done in picture.notes:
                self.tell(file, what, done)
        captions = self._captions(pair, original.caption, target.caption)
        for sample in placed:
            assert sample.target is not None
            both = replace(sample, caption=captions[0], target=replace(sample.target, caption=captions[1]))
            self.samples.append(both)

    def _placed(self, pair: PairFiles, original: Picture, target: Picture) -> list[Sample]:
        """Where the pair goes, without captions; empty if nowhere, which is then told."""
        smaller = min(original.size, target.size, key=lambda size: size.area)
        frames = self.frames_for(smaller)
        if not frames:
            what = f"is smaller ({smaller}) than every size to train at, and image disable upscale is"
            self._leave_out_pair(pair, pair.original if smaller == original.size else pair.target, f"{what} set")
            return []
        samples = list(self._samples(original, target, frames))
        if not samples:
            self._leave_out_pair(pair, pair.target, f"and {pair.original.path.name} show nothing in their middle")
            return []
        if self.settings.diff_use_diff_mask:
            samples = [sample for sample in samples if differs(sample)]
            if not samples:
                self._leave_out_pair(pair, pair.target, f"does not differ from {pair.original.path.name}")
                return []
        self.tell_of_size(pair.original, original, buckets.place(original.size, frames[0]))
        return samples

    def _samples(self, original: Picture, target: Picture, frames: tuple[Size, ...]) -> Iterator[Sample]:
        for frame in frames:
            placements = [buckets.place(picture.size, frame) for picture in (original, target)]
            if not all(map(shows_something, (original, target), placements)):
                continue
            for mirrored in self.sides():
                first, second = (
                    sample_of(picture, placement, "", mirrored=mirrored)
                    for picture, placement in zip((original, target), placements, strict=True)
                )
                yield replace(first, target=second)

    def _captions(
        self, pair: PairFiles, original: Caption | DataError | None, target: Caption | DataError | None
    ) -> tuple[str, str]:
        """Each side's own, else the original's; file names are tags without the suffix, so the original's for both."""
        trigger = self.settings.lora_trigger_word
        own = self.caption(pair.original, original)
        if isinstance(target, DataError) and pair.target.caption is not None:
            self.tell(
                pair.target,
                f"has a caption file, {pair.target.caption.name}, that {target.what}",
                "used with the original's caption",
            )
        theirs = self.caption(pair.target, target) if isinstance(target, Caption) else own
        return with_trigger(trigger, own), with_trigger(trigger, theirs)

    def _leave_out_pair(self, pair: PairFiles, file: PictureFile, what: str) -> None:
        other = pair.target if file is pair.original else pair.original
        self.left_out += 2
        self.tell(file, what, f"left out with {other.path.name}")


def _unfit(original: Picture, target: Picture) -> str:
    """Why the target cannot go with the original; empty if it can."""
    if os.path.samefile(original.path, target.path):
        return f"is the same file as {original.path.name}"
    if shapes_differ(original.size, target.size):
        return f"has another shape than {original.path.name} ({target.size}, not {original.size})"
    for picture in (original, target):
        if picture.visible is not None and picture.visible[2:] == (0, 0):
            return "is fully transparent" if picture is target else f"belongs to {picture.path.name}, fully transparent"
    return ""
