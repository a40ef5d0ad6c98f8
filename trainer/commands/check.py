"""``check``: what would be trained from a folder of images, and what is wrong with it. Loads no model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..config.schema import parse, parse_assignment
from ..config.settings import Settings, effective
from .words import columns, padded, told

if TYPE_CHECKING:
    from ..data.samples import CaptionCounts, Scan

_MOST_PROBLEMS = 100
_HEADINGS = ("folder", "images", "samples", "buckets", "captions", "trigger", "example", "ignored", "note")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("check", help=told("commands.check"), description=told("commands.check_description"))
    parser.add_argument("folder", metavar="FOLDER", help=told("commands.check_folder"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=told("commands.check_set"))
    parser.add_argument("--json", action="store_true", help=told("commands.json"))
    parser.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    changes: dict[str, Any] = {"lora_data_directory": options.folder}
    changes.update(parse_assignment(assignment) for assignment in options.set)
    settings = effective(parse(changes).settings)
    from tqdm import tqdm

    from ..data.pair_scan import scan_for_mode

    with tqdm(
        desc=told("commands.reading"), unit=told("commands.image"), file=sys.stderr, leave=False, disable=None
    ) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = scan_for_mode(settings, progress=show)
    if options.json:
        print(json.dumps(_as_json(found, settings), ensure_ascii=False, indent=2))
    else:
        _print(found, settings)
    found.require_usable()
    return 0


def _print(found: Scan, settings: Settings) -> None:
    _row("folder", str(found.folder))
    _row("images", _images(found))
    _row("samples", _samples(found, settings))
    for number, ((width, height), count) in enumerate(found.buckets):
        _row("" if number else "buckets", told("commands.check_bucket", width=width, height=height, count=count))
    _row("captions", _captions(found.captions))
    _row("trigger", settings.lora_trigger_word.strip() or told("commands.check_none"))
    for side in found.samples[0].sides() if found.samples else ():
        _row("example", told("commands.check_example", name=side.path.name, caption=side.caption))
    if found.others:
        from ..data.files import described_files

        _row("ignored", _joined(map(told, described_files(found.others))))
    for note in found.notes:
        _row("note", told(note))
    if found.problems:
        print()
        print(told("commands.check_problems", count=len(found.problems)))
    for problem in found.problems[:_MOST_PROBLEMS]:
        print(f"  {told(problem.message)}")
    if len(found.problems) > _MOST_PROBLEMS:
        print(told("commands.check_more", count=len(found.problems) - _MOST_PROBLEMS))


def _row(name: str, value: str) -> None:
    headings = {each: told(f"commands.check_row_{each}") for each in _HEADINGS}
    width = max(map(columns, headings.values())) + 1
    print(f"{padded(headings.get(name, ''), width)}{value}")


def _joined(parts: Iterable[str]) -> str:
    return told("commands.list_of", parts=list(parts))


def _images(found: Scan) -> str:
    trained = told("commands.check_trained", count=found.images)
    if found.pairs:
        trained = told("commands.check_trained_pairs", count=found.images, pairs=found.pairs)
    parts = [trained]
    if found.left_out:
        parts.append(told("commands.check_left_out", count=found.left_out))
    return _joined(parts)


def _samples(found: Scan, settings: Settings) -> str:
    """How many there are in a round, and why so many."""
    reasons = []
    if settings.sub_image_num:
        reasons.append(told("commands.check_smaller_sizes", count=settings.sub_image_num))
    if settings.image_mirroring:
        reasons.append(told("commands.check_mirrored"))
    if settings.image_num_multiply > 1:
        reasons.append(told("commands.check_repeated", count=settings.image_num_multiply))
    if not reasons:
        return told("commands.check_round", count=len(found.samples))
    return told("commands.check_round_because", count=len(found.samples), reasons=reasons)


def _captions(counts: CaptionCounts) -> str:
    parts = []
    if counts.files:
        encodings = [f"{count} {name}" for name, count in counts.encodings]
        parts.append(told("commands.check_from_files", count=counts.files, encodings=encodings))
    if counts.names:
        parts.append(told("commands.check_from_names", count=counts.names))
    if counts.class_words:
        parts.append(told("commands.check_from_folders", count=counts.class_words))
    if counts.empty:
        parts.append(told("commands.check_empty", count=counts.empty))
    if counts.missing:
        parts.append(told("commands.check_missing", count=counts.missing))
    return _joined(parts) if parts else told("commands.check_none")


def _as_json(found: Scan, settings: Settings) -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "usable": found.usable,
        "images": found.images,
        "left_out": found.left_out,
        "pairs": found.pairs,
        "samples": len(found.samples),
        "buckets": [{"width": width, "height": height, "samples": count} for (width, height), count in found.buckets],
        "captions": {
            "files": found.captions.files,
            "names": found.captions.names,
            "class_words": found.captions.class_words,
            "empty": found.captions.empty,
            "missing": found.captions.missing,
            "encodings": dict(found.captions.encodings),
        },
        "trigger_word": settings.lora_trigger_word.strip(),
        "problems": [
            {"file": problem.name, "what": told(problem.what), "done": told(problem.done)} for problem in found.problems
        ],
        "notes": list(map(told, found.notes)),
        "ignored": dict(found.others),
    }
