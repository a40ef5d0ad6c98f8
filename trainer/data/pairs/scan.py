"""What will be trained from a folder of pairs, found out before any model is loaded: as ``scan``, two by two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ...config.choices import MODES
from ...config.settings import Settings
from ...config.size import Size
from ...text.messages import Message, message
from .. import buckets
from ..cache import DataCache
from ..captions.text_files import Caption
from ..files import Found, ImageFile
from ..images.decoding import ImageInfo
from ..known import kept_answer
from ..problems import FileError, FileProblem
from ..samples import Sample, Scan, sample_of
from ..scan import Index, Read, finished, read_all, scan, shows_something, sorted_out, too_small
from ..subsets import find_subsets
from .matching import PairFiles, match_pairs
from .pair import differs


def scan_pairs(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: DataCache | None = None,
) -> Scan:
    """Find, decode and place every pair of ``lora_data_directory``, the originals as samples with their targets.

    Args:
        settings: as for a scan of single images, and ``diff_target_name``.
        check: called between images and while one is waited for; may raise to stop.
        progress: called with how many images are done, and how many there are.
        cache: what is known of images from earlier.

    Raises:
        DataError: there is no folder, no image or no pair in it. Pairs that cannot be trained are problems of the
            result, and so are images without a partner.
    """
    layout = sorted_out(find_subsets(settings, check=check), check)
    found = Found(layout.folder, tuple(image for part in layout.parts for image in part.found.images))
    matched = match_pairs(found, settings.diff_target_name)
    members = {image for pair in matched.pairs for image in (pair.original, pair.target)}
    chosen = [image for image in found.images if image in members]
    reads: dict[ImageFile, Read] = {}
    for file, read in read_all(chosen, settings, check, cache):
        reads[file] = read
        if check is not None:
            check()
        if progress is not None:
            progress(len(reads), len(chosen))
    indexes = [_PairIndex(part, cache=cache) for part in layout.parts]
    of_image = {image: index for index in indexes for image in index.part.found.images}
    for pair in matched.pairs:
        of_image[pair.original].add_pair(pair, reads)
        if check is not None:
            check()
    for file, reason in matched.alone:
        of_image[file].leave_out(file, reason)
    return finished(layout, indexes)


def scan_for_mode(
    settings: Settings,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: DataCache | None = None,
) -> Scan:
    """The data directory as the mode learns from it: pairs, or single images; see :func:`scan_pairs`."""
    find = scan_pairs if MODES[settings.mode].images == "folder of pairs" else scan
    return find(settings, check=check, progress=progress, cache=cache)


@dataclass
class _PairIndex(Index):
    """Grows a pair at a time into a :class:`Scan`."""

    cache: DataCache | None = None

    def add_pair(self, pair: PairFiles, reads: dict[ImageFile, Read]) -> None:
        original, target = reads[pair.original], reads[pair.target]
        if isinstance(original.image, FileError):
            self._leave_out_pair(pair, pair.original, original.image.problem)
            return
        if isinstance(target.image, FileError):
            self._leave_out_pair(pair, pair.target, target.image.problem)
            return
        reason = _unfit(original.image, target.image)
        if reason is not None:
            self._leave_out_pair(pair, pair.target, reason)
            return
        placed = self._placed(pair, original.image, target.image)
        if not placed:
            return
        self.remember(original.image)
        if is_copy(original.image, target.image):
            self.equal += 1
            what = message("data.same_pixels", other=pair.original.path.name)
            self.report(pair.target, what, message("data.used_for_nothing"))
        for file, image in ((pair.original, original.image), (pair.target, target.image)):
            self.count(file, image)
            for what, done in image.notes:
                self.report(file, what, done)
        captions = self._captions(pair, original.caption, target.caption)
        for sample in placed:
            assert sample.target is not None
            (caption, written), (target_caption, target_written) = captions
            theirs = replace(sample.target, caption=target_caption, written=target_written)
            self.samples.append(replace(sample, caption=caption, written=written, target=theirs))

    def _placed(self, pair: PairFiles, original: ImageInfo, target: ImageInfo) -> list[Sample]:
        """Where the pair goes, without captions; empty if nowhere, which is then reported."""
        smaller = min(original.size, target.size, key=lambda size: size.area)
        placements = self.placed(smaller)
        if not placements:
            side = pair.original if smaller == original.size else pair.target
            self._leave_out_pair(pair, side, too_small(smaller))
            return []
        samples = list(self._samples(original, target, [placement.frame for placement in placements]))
        if not samples:
            what = message("data.pair_transparent_middle", other=pair.original.path.name)
            self._leave_out_pair(pair, pair.target, what)
            return []
        if self.settings.diff_use_diff_mask:
            samples = [
                sample for sample in samples if kept_answer(self.cache, [sample], "differs", partial(differs, sample))
            ]
            if not samples:
                what = message("data.no_difference", other=pair.original.path.name)
                self._leave_out_pair(pair, pair.target, what)
                return []
        self.report_size(pair.original, original, buckets.place(original.size, placements[0].frame))
        return samples

    def _samples(self, original: ImageInfo, target: ImageInfo, frames: Sequence[Size]) -> Iterator[Sample]:
        for frame in frames:
            placements = [buckets.place(image.size, frame) for image in (original, target)]
            if not all(map(shows_something, (original, target), placements)):
                continue
            for mirrored in self.sides():
                first, second = (
                    sample_of(image, placement, "", mirrored=mirrored, subset=self.subset.number)
                    for image, placement in zip((original, target), placements, strict=True)
                )
                yield replace(first, target=second)

    def _captions(
        self, pair: PairFiles, original: Caption | FileError | None, target: Caption | FileError | None
    ) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
        """Each side's own, else the original's; file names are tags without the suffix, so the original's for both."""
        own = self.caption(pair.original, original)
        if isinstance(target, FileError) and pair.target.caption is not None:
            what = message("data.caption_unusable", file=pair.target.caption.name, problem=target.problem)
            self.report(pair.target, what, message("data.used_with_original_caption"))
        theirs = self.caption(pair.target, target) if isinstance(target, Caption) else own
        return self.made(own), self.made(theirs)

    def _leave_out_pair(self, pair: PairFiles, file: ImageFile, what: Message) -> None:
        other = pair.target if file is pair.original else pair.original
        self.left_out += 2
        done = message("data.left_out_with", other=other.path.name)
        self.problems.append(FileProblem(file.name, what, done, left_out=True))


def is_copy(image: ImageInfo, of: ImageInfo) -> bool:
    """Whether two images have the same pixels, as far as they were decoded."""
    prints = [each.fingerprint and each.fingerprint.pixels for each in (image, of)]
    return prints[0] is not None and prints[0] == prints[1]


def _unfit(original: ImageInfo, target: ImageInfo) -> Message | None:
    """Why the target cannot go with the original; None if it can."""
    name = original.path.name
    if os.path.samefile(original.path, target.path):
        return message("data.same_file", other=name)
    if buckets.shapes_differ(original.size, target.size):
        return message("data.other_shape", other=name, size=str(target.size), other_size=str(original.size))
    if original.is_invisible:
        return message("data.original_transparent", other=name)
    return message("data.transparent") if target.is_invisible else None
