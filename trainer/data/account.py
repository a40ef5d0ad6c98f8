"""The account of a run's data: in a few lines what there is and what becomes of it, and below what is odd about it.

It is made here and shown everywhere: before the first step, in the queue, on the page, by the API and by ``check``.
Each function below yields rows; a new kind of row is a new function in :data:`_OF_FOLDER` or :data:`_ODD`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ..config.settings import Settings
from ..config.size import Size
from ..job import Account, AccountRow
from ..text.messages import Message, label, message
from . import buckets
from .captions.variants import CaptionRules
from .dataset_file import ENDINGS as DATASET_FILES
from .epochs import with_steps
from .files import described_files
from .look import Look, Unfinished
from .pairs.pair import Pair
from .samples import Sample, Scan
from .subsets import Subset
from .validation import split_off

_MOST_NAMED = 3
_MOST_SIZES = 6
_MOST_SUBSETS = 8
_MUCH_CUT = 0.1
"""What share of an image has to be cut off to be told."""
_FINER: Final[Mapping[str, Any]] = MappingProxyType({"image_min_length": 256, "image_buckets_step": 64})
"""Buckets that most shapes fit."""
_TOO_SMALL, _TOO_LARGE = 0.6, 1.6
"""Times the side of what a model is made for: smaller or larger images it does not know how to make."""
_HARDLY = 0.0005
"""Of the area: two images that differ in less differ by noise."""
_ELSEWHERE = frozenset(
    (".avif", ".heic", ".heif", ".jxl", ".jfif", ".jpe", ".apng", ".tga", ".psd", ".svg", ".mp4", ".webm", ".zip")
)
"""Endings of images, which somebody may believe to be trained."""


def account_of(
    settings: Settings, found: Look | Unfinished, *, own_size: Size | None = None, notes: Iterable[Message] = ()
) -> Account:
    """The account of what was found.

    Args:
        settings: those in effect.
        own_size: what the model is made for, where that is known.
        notes: what else is to be known before the run, as of the model.
    """
    rows: list[AccountRow] = []
    facts: tuple[Message, ...] = ()
    if isinstance(found, Unfinished):
        rows += _unfinished(settings, found)
        facts = (message("data.fact_images", count=found.total),) if found.total else ()
    elif isinstance(found.images, Pair):
        rows += _of_pair(found.images, found.differing)
    elif found.images is not None:
        trained, validated = split_off(found.images, settings)
        folder = _Folder(with_steps(settings, trained), found, trained, validated)
        rows += [row for of_folder in _OF_FOLDER for row in of_folder(folder)]
        rows += [_odd(note) for odd in _ODD for note in odd(folder)]
        facts = tuple(_facts(folder))
    rows += [_odd(note) for note in _size_and_model(settings, found, own_size)]
    return Account((*rows, *map(_odd, notes)), facts)


def _row(heading: str, text: Message, *, is_odd: bool = False) -> AccountRow:
    return AccountRow(message(f"data.heading_{heading}"), text, is_odd)


def _more(text: Message, *, is_odd: bool = False) -> AccountRow:
    """A row that belongs to the one above it."""
    return _row("none", text, is_odd=is_odd)


def _odd(note: Message) -> AccountRow:
    return _row("note", note, is_odd=True)


# ---- images by themselves, and what took too long -------------------------------------------------------------------


def _unfinished(settings: Settings, found: Unfinished) -> Iterator[AccountRow]:
    given = (settings.dataset_config, settings.lora_data_directory, settings.original_image, settings.target_image)
    written = next((each.strip() for each in given if each.strip()), "")
    # A dataset file may be anywhere, also in a temporary folder: its images are not there.
    where = {"folder": Path(written).name if written.lower().endswith(DATASET_FILES) else written}
    if found.total:
        yield _row("images", message("data.account_unfinished", count=found.total, done=found.done, **where))
    else:
        yield _row("images", message("data.account_unanswered", **where))


def _of_pair(pair: Pair, differing: float | None) -> Iterator[AccountRow]:
    sides = [message("data.account_sized", name=image.path.name, size=str(image.size)) for image in pair.images]
    if len(sides) == 1:
        yield _row("images", sides[0])
        return
    yield _row("images", message("data.account_pair", original=sides[0], target=sides[1]))
    if differing is None:
        return
    if differing < _HARDLY:
        yield _odd(message("data.pair_hardly_differs"))
    else:
        yield _more(message("data.account_differing", percent=_percent(differing)))


# ---- a folder -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Folder:
    """What the rows of a folder are made from."""

    settings: Settings
    look: Look
    scan: Scan
    validated: Scan | None

    @cached_property
    def first_samples(self) -> list[Sample]:
        """Of each image of each subset one sample: as a whole, not mirrored."""
        found: dict[tuple[int, Path], Sample] = {}
        for sample in self.scan.distinct:
            found.setdefault((sample.subset, sample.path), sample)
        return list(found.values())

    @cached_property
    def images_of(self) -> Counter[int]:
        """How many each subset has, by its number; a pair counts as one."""
        return Counter(sample.subset for sample in self.first_samples)

    @cached_property
    def used(self) -> list[Subset]:
        """The subsets of which an image is trained."""
        return [subset for subset in self.scan.subsets if self.images_of[subset.number]]

    def of_kind(self, *, is_reg: bool) -> list[Sample]:
        """The first samples of the images to learn from, or of those that regularise."""
        return [sample for sample in self.first_samples if self.scan.subsets[sample.subset].is_reg is is_reg]

    def name(self, sample: Sample) -> str:
        """An image's path as :attr:`FileProblem.name` has it."""
        subset = self.scan.subsets[sample.subset]
        bases = [] if self.scan.file is not None else [self.scan.folder]
        bases += [subset.folder.parent, subset.folder]
        base = next((each for each in bases if each in sample.path.parents), sample.path.parent)
        return sample.path.relative_to(base).as_posix()

    def name_of(self, subset: Subset) -> str | Message:
        """A subset's folder so that no other can be meant: in the one that was given, or else as a whole."""
        scan = self.scan
        if scan.file is None:
            if subset.folder == scan.folder:
                return subset.name
            inside = scan.folder in subset.folder.parents
            return subset.folder.relative_to(scan.folder).as_posix() if inside else str(subset.folder)
        name = str(subset.metadata or subset.folder)
        if sum(str(each.metadata or each.folder) == name for each in scan.subsets) == 1:
            return name
        return message("data.account_in_dataset", name=name, dataset=subset.dataset + 1)


def _images(folder: _Folder) -> Iterator[AccountRow]:
    scan = folder.scan
    learned, reg = folder.of_kind(is_reg=False), folder.of_kind(is_reg=True)
    what = _placed("pairs" if scan.pairs else "images", learned, _base(folder, is_reg=False))
    if reg:
        what = message("data.account_and_reg", what=what, reg=_placed("reg_images", reg, _base(folder, is_reg=True)))
    if scan.left_out:
        what = message("data.account_left_out", what=what, count=scan.left_out)
    yield _row("images", what, is_odd=scan.left_out > 0)


def _base(folder: _Folder, *, is_reg: bool) -> Path | None:
    """The folder that images are said to be in; None where there is no one such."""
    folders = {subset.folder for subset in folder.used if subset.is_reg is is_reg}
    if folder.scan.file is None and not is_reg:
        return folder.scan.folder
    if len(folders) == 1:
        return folders.pop()
    above = {each.parent for each in folders}
    return above.pop() if len(above) == 1 and folder.scan.file is None else None


def _placed(kind: str, samples: Sequence[Sample], base: Path | None) -> Message:
    """How many images there are, and where they really are."""
    folders, count = {sample.path.parent for sample in samples}, len(samples)
    if base is None or any(base != each and base not in each.parents for each in folders):
        base = next(iter(folders)) if len(folders) == 1 else None
    if base is None:
        return message(f"data.account_{kind}_scattered", count=count, folders=len(folders))
    if len(folders) < 2:
        return message(f"data.account_{kind}", count=count, folder=str(base))
    return message(f"data.account_{kind}_of_folders", count=count, folders=len(folders), folder=str(base))


def _validation(folder: _Folder) -> Iterator[AccountRow]:
    if folder.validated is not None:
        count = folder.validated.images
        total = count + len(folder.of_kind(is_reg=False))
        yield _more(message("data.account_validation", validated=count, total=total))


def _subsets(folder: _Folder) -> Iterator[AccountRow]:
    subsets = folder.scan.subsets
    if len(subsets) == 1 and not subsets[0].is_reg:
        return
    for subset, counts in list(zip(subsets, folder.scan.counts, strict=True))[:_MOST_SUBSETS]:
        kind = "reg" if subset.is_reg else "subset"
        count = folder.images_of[subset.number]
        repeats = _amount(counts.taken / count) if count else "0"
        yield _more(message(f"data.account_{kind}", name=folder.name_of(subset), count=count, repeats=repeats))
    if len(subsets) > _MOST_SUBSETS:
        yield _more(message("data.account_more_subsets", count=len(subsets) - _MOST_SUBSETS))


def _captions(folder: _Folder) -> Iterator[AccountRow]:
    counts, parts = folder.scan.captions, []
    if counts.files:
        encodings = [f"{count} {name}" for name, count in counts.encodings]
        if len(encodings) == 1:
            encodings = [counts.encodings[0][0]]
        parts.append(message("data.account_caption_files", count=counts.files, encodings=encodings))
    if counts.class_words:
        parts.append(message("data.account_caption_folders", count=counts.class_words))
    if counts.written:
        parts.append(message("data.account_caption_lists", count=counts.written))
    if counts.names:
        parts.append(message("data.account_caption_names", count=counts.names))
    if counts.empty:
        parts.append(message("data.account_caption_empty", count=counts.empty))
    if counts.missing:
        parts.append(message("data.account_caption_missing", count=counts.missing))
    trigger = folder.settings.lora_trigger_word.strip()
    if trigger:
        parts.append(message("data.account_trigger", word=trigger))
    if parts:
        yield _row("captions", message("data.account_list", parts=parts))
    yield from map(_more, _by_subset(folder, _made_of_captions, "data.account_captions_unchanged"))


def _made_of_captions(settings: Settings) -> list[Message]:
    """What the settings make of each caption, in the order it is done."""
    rules, found = CaptionRules.of(settings), []
    if rules.lines != "first":
        found.append(message(f"data.account_lines_{rules.lines}"))
    for place in ("prefix", "suffix"):
        if getattr(rules, place):
            found.append(message(f"data.account_{place}", text=getattr(rules, place)))
    if rules.wildcards:
        found.append(message("data.account_wildcards"))
    if rules.shuffle:
        found.append(message("data.account_shuffled"))
    if rules.tag_dropout:
        found.append(message("data.account_tag_dropout", percent=_percent(rules.tag_dropout)))
    if (rules.shuffle or rules.tag_dropout) and rules.keep_separator:
        found.append(message("data.account_kept_before", separator=rules.keep_separator))
    if (rules.shuffle or rules.tag_dropout) and rules.keep:
        found.append(message("data.account_kept", count=rules.keep))
    if rules.secondary_separator:
        found.append(message("data.account_separator", one=rules.secondary_separator, other=rules.separator))
    if rules.dropout:
        found.append(message("data.account_dropout", percent=_percent(rules.dropout)))
    if rules.dropout_epochs:
        found.append(message("data.account_dropout_epochs", epochs=rules.dropout_epochs))
    if settings.caption_weights:
        found.append(message("data.account_weights"))
    if settings.caption_max_tokens:
        found.append(message("data.account_max_tokens", count=settings.caption_max_tokens))
    return found


def _by_subset(folder: _Folder, told: Callable[[Settings], list[Message]], without: str) -> Iterator[Message]:
    """What is told of all subsets, or where they differ of each; nothing where nothing is told of any.

    Args:
        without: the key of what is said of a subset of which nothing is told while something is of others.
    """
    groups: dict[tuple[Message, ...], list[str | Message]] = {}
    for subset in folder.used:
        groups.setdefault(tuple(told(subset.settings)), []).append(folder.name_of(subset))
    for parts, names in list(groups.items())[:_MOST_SUBSETS]:
        text = message("data.account_list", parts=parts) if parts else message(without)
        if len(groups) > 1:
            named = names[:_MOST_NAMED]
            if len(names) > _MOST_NAMED:
                named.append(message("data.account_more_subsets", count=len(names) - _MOST_NAMED))
            yield message("data.account_of_subsets", names=named, what=text)
        elif parts:
            yield text
    more = sum(map(len, list(groups.values())[_MOST_SUBSETS:]))
    if more:
        yield message("data.account_more_subsets", count=more)


def _example(folder: _Folder) -> Iterator[AccountRow]:
    shown = [side for sample in folder.first_samples[:1] for side in sample.sides() if side.caption]
    for number, side in enumerate(shown):
        text = message("data.account_example", name=folder.name(side), caption=side.caption)
        yield _more(text) if number else _row("example", text)


def _masks(folder: _Folder) -> Iterator[AccountRow]:
    if folder.scan.masks:
        yield _row("masks", message("data.account_masks", count=folder.scan.masks, images=folder.scan.images))


def _augmented(folder: _Folder) -> Iterator[AccountRow]:
    """What is drawn at random each time an image is used, in one subset or another."""
    texts = list(_by_subset(folder, _drawn_of_images, "data.account_unaugmented"))
    for number, text in enumerate(texts):
        yield _more(text) if number else _row("augmented", text)


def _drawn_of_images(settings: Settings) -> list[Message]:
    names = ("image_random_flip", "image_random_crop", "image_color_augmentation")
    return [message(f"data.account_{name}") for name in names if getattr(settings, name)]


def _sizes(folder: _Folder) -> Iterator[AccountRow]:
    counts = dict(folder.scan.buckets)
    if len(counts) <= _MOST_SIZES:
        each = [message("data.account_size", size=str(size), count=count) for size, count in counts.items()]
        if each:
            yield _row("sizes", message("data.account_list", parts=each))
        return
    most = max(counts, key=lambda size: counts[size])
    first, last = min(counts, key=_aspect), max(counts, key=_aspect)
    text = message(
        "data.account_sizes", count=len(counts), first=str(first), last=str(last), most=str(most), of_most=counts[most]
    )
    yield _row("sizes", text)


def _cropped(folder: _Folder) -> Iterator[AccountRow]:
    """How much of the images is cut off, where that is a tenth of one at least."""
    lost = [(sample.cut_off, sample) for sample in folder.first_samples]
    cut = [each for each in lost if each[0] >= _MUCH_CUT]
    if not cut:
        return
    worst, sample = max(cut, key=lambda each: each[0])
    values = {"name": folder.name(sample), "percent": _percent(worst), "frame": str(sample.frame)}
    yield _row("cropped", message("data.account_cropped", count=len(cut), **values), is_odd=True)
    advised = _finer_buckets(folder, [each for _, each in cut])
    if advised is not None:
        yield _more(advised, is_odd=True)


def _finer_buckets(folder: _Folder, cut: list[Sample]) -> Message | None:
    """What would keep more, if it would help half of those that lose much."""
    settings = folder.settings
    changes = {name: value for name, value in _FINER.items() if getattr(settings, name) > value}
    if not changes or settings.image_bucketing != buckets.TRAIN_TRAIN or folder.scan.file is not None:
        return None
    frames = buckets.frames_of(replace(settings, **changes))
    placements = [buckets.place(sample.size, buckets.choose_frames(sample.size, frames)[0]) for sample in cut]
    still = sum(1 - placement.kept() >= _MUCH_CUT for placement in placements)
    if still * 2 > len(cut):
        return None
    advised = [message("data.account_setting", setting=label(name), value=value) for name, value in changes.items()]
    return message("data.account_finer" if still else "data.account_finer_none", settings=advised, count=still)


def _epoch(folder: _Folder) -> Iterator[AccountRow]:
    scan, settings, reasons = folder.scan, folder.settings, []
    learned = [each for each in folder.used if not each.is_reg]
    reg = [each for each in folder.used if each.is_reg]
    if not learned:
        return
    if settings.sub_image_num:
        reasons.append(message("data.account_smaller_sizes", count=settings.sub_image_num))
    if settings.image_mirroring:
        reasons.append(message("data.account_mirrored"))
    if settings.image_num_multiply > 1:
        reasons.append(message("data.account_repeated", count=settings.image_num_multiply))
    steps = {"steps": scan.steps_per_epoch, "count": len(scan.samples)}
    what = message("data.account_epoch", **steps)
    if reasons:
        what = message("data.account_epoch_because", **steps, reasons=reasons)
    epochs = settings.train_iterations / scan.steps_per_epoch
    values = {"steps": settings.train_iterations, "epochs": _amount(epochs), "seen": _seen(folder, learned, epochs)}
    kind = "seen_pairs" if scan.pairs else "seen"
    if reg:
        kind, values["reg_seen"] = "seen_reg", _seen(folder, reg, epochs)
    yield _row("epoch", message(f"data.account_{kind}", what=what, **values))


def _seen(folder: _Folder, subsets: Sequence[Subset], epochs: float) -> Message:
    """How often each image of some subsets is seen in a run."""
    times = [epochs * folder.scan.counts[each.number].taken / folder.images_of[each.number] for each in subsets]
    least, most = _amount(min(times)), _amount(max(times))
    if least == most:
        return message("data.account_times", times=least)
    return message("data.account_times_between", least=least, most=most)


def _facts(folder: _Folder) -> Iterator[Message]:
    """Images, captions, trigger word and how often each image is seen, in a few words each."""
    scan, settings = folder.scan, folder.settings
    learned = folder.of_kind(is_reg=False)
    yield message("data.fact_pairs" if scan.pairs else "data.fact_images", count=len(learned))
    if not scan.pairs:
        yield message("data.fact_captions", count=sum(bool(sample.caption) for sample in learned))
    trigger = settings.lora_trigger_word.strip()
    if trigger and not scan.pairs:
        yield message("data.fact_trigger", word=trigger)
    subsets = [each for each in folder.used if not each.is_reg]
    if subsets:
        seen = _seen(folder, subsets, settings.train_iterations / scan.steps_per_epoch)
        yield message("data.fact_seen_pairs" if scan.pairs else "data.fact_seen", seen=seen)


def _others(folder: _Folder) -> Iterator[AccountRow]:
    others = folder.scan.others
    if others:
        is_odd = any(ending in _ELSEWHERE for ending, _ in others)
        yield _row("ignored", message("data.account_list", parts=described_files(others)), is_odd=is_odd)


_OF_FOLDER: Final[tuple[Callable[[_Folder], Iterator[AccountRow]], ...]] = (
    _images, _validation, _subsets, _captions, _example, _masks, _sizes, _cropped, _augmented, _epoch, _others,
)  # fmt: skip


# ---- what is odd ----------------------------------------------------------------------------------------------------


def _no_caption(folder: _Folder) -> Iterator[Message]:
    """Images trained with an empty prompt; pairs show what is to be learned without one."""
    if folder.scan.pairs:
        return
    learned = folder.of_kind(is_reg=False)
    without = sum(not sample.caption for sample in learned)
    if without:
        values = {"count": len(learned), "without": without, "setting": label("lora_trigger_word")}
        yield message("data.without_any_caption" if without == len(learned) else "data.without_caption", **values)


def _no_word_to_replace(folder: _Folder) -> Iterator[Message]:
    """Other words are to be held in the trigger word's place, and there is none."""
    settings = folder.settings
    weight, images = settings.train_self_reg, settings.train_self_reg_images
    if weight > 0 and images > 0 and not settings.lora_trigger_word.strip():
        named = {"trigger": label("lora_trigger_word"), "setting": label("train_self_reg_images")}
        yield message("data.no_word_to_replace", **named)


def _copies(folder: _Folder) -> Iterator[Message]:
    files = [path for path, _ in folder.scan.fingerprints]
    names = {sample.path: folder.name(sample) for sample in folder.first_samples}
    for kind, found in (("same", folder.look.copies.same), ("alike", folder.look.copies.alike)):
        # One file in two subsets is meant to be there twice.
        pairs = [(files[one], files[of]) for one, of in found if files[one] != files[of]]
        if pairs:
            named = [
                message("data.copy_of", name=names.get(one, one.name), other=names.get(of, of.name))
                for one, of in pairs[:_MOST_NAMED]
            ]
            key = f"data.copies_{kind}" if len(pairs) <= _MOST_NAMED else f"data.copies_{kind}_more"
            yield message(key, count=len(pairs), copies=named, more=len(pairs) - len(named))


def _counts(folder: _Folder) -> Iterator[Message]:
    """How many samples there are beside what the run takes of them."""
    scan, settings = folder.scan, folder.settings
    batch, repeats = settings.train_batch_size, settings.image_num_multiply
    if batch > len(scan.distinct) > 0:
        named = {"setting": label("train_batch_size"), "batch": batch}
        kind = "epoch" if batch > len(scan.samples) else "samples"
        yield message(f"data.batch_above_{kind}", count=len(scan.distinct), **named)
    taken = settings.train_iterations * batch * settings.train_gradient_accumulation
    if repeats > 1 and len(scan.samples) > taken:
        named = {"setting": label("image_num_multiply"), "repeats": repeats}
        yield message("data.more_samples_than_steps", count=len(scan.samples), taken=taken, **named)


def _equal_pairs(folder: _Folder) -> Iterator[Message]:
    if folder.scan.equal_pairs:
        yield message("data.equal_pairs", count=folder.scan.equal_pairs, pairs=folder.scan.pairs)


def _notes(folder: _Folder) -> Iterator[Message]:
    yield from folder.scan.notes


_ODD: Final[tuple[Callable[[_Folder], Iterator[Message]], ...]] = (
    _no_caption, _no_word_to_replace, _copies, _equal_pairs, _counts, _notes,
)  # fmt: skip


def _size_and_model(settings: Settings, found: Look | Unfinished, own_size: Size | None) -> Iterator[Message]:
    """A size that the model was never trained at. Modes without images do well with less, but not with more."""
    if own_size is None:
        return
    images = None if isinstance(found, Unfinished) else found.images
    if isinstance(images, Pair):
        sizes = {images.frame(settings, own_size)}
    elif isinstance(images, Scan):
        sizes = {subset.settings.size for subset in images.subsets}
    else:
        sizes = {settings.size}
    for size in sorted(sizes):
        times = (size.area / own_size.area) ** 0.5
        is_small = times < _TOO_SMALL and not (isinstance(found, Look) and images is None)
        if is_small or times > _TOO_LARGE:
            kind = "small" if times < 1 else "large"
            yield message(f"data.too_{kind}_for_model", size=str(size), own=str(own_size), setting=label("image_size"))


# ---- numbers --------------------------------------------------------------------------------------------------------


def _aspect(size: Size) -> float:
    return size.width / size.height


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"


def _amount(number: float) -> str:
    """To one place below ten, and as a whole above."""
    return f"{number:.0f}" if number >= 10 or abs(number - round(number)) < 0.05 else f"{number:.1f}"
