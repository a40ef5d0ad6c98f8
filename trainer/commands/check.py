"""``check``: what a folder of images would train, and what is wrong with it. Needs no model, and loads none."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ..config.schema import parse, parse_assignment
from ..config.settings import Settings

if TYPE_CHECKING:
    from ..data.samples import CaptionCounts, Scan

_MOST_PROBLEMS = 100


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check",
        help="say what a folder of images would train",
        description=(
            "Read every image and caption of a folder, and say what would be trained and what is wrong. With "
            "--set mode=Multi-ADDifT and --set diff_target_name=SUFFIX, pairs of images."
        ),
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder; its sub-folders are included")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in image_size=768; repeatable"
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    changes: dict[str, Any] = {"lora_data_directory": options.folder}
    changes.update(parse_assignment(assignment) for assignment in options.set)
    settings = parse(changes).settings
    from tqdm import tqdm

    from ..data.pair_scan import scan_for_mode

    with tqdm(desc="Reading", unit="image", file=sys.stderr, leave=False, disable=None) as bar:

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
    left_out = f", {found.left_out} left out" if found.left_out else ""
    print(f"Folder:   {found.folder}")
    pairs = f" in {_counted(found.pairs, 'pair')}" if found.pairs else ""
    print(f"Images:   {found.pictures} trained{pairs}{left_out}")
    print(f"Samples:  {len(found.samples)} in one round{_why_so_many(settings)}")
    for number, ((width, height), count) in enumerate(found.buckets):
        print(f"{'' if number else 'Buckets:':10}{width} x {height}: {_counted(count, 'sample')}")
    print(f"Captions: {_captions(found.captions)}")
    print(f"Trigger:  {settings.lora_trigger_word.strip() or 'none'}")
    for side in found.samples[0].sides() if found.samples else ():
        print(f'Example:  {side.path.name} is "{side.caption}"')
    if found.others:
        print(f"Ignored:  {', '.join(f'{count} {ending}' for ending, count in found.others)}")
    for note in found.notes:
        print(f"Note:     {note}")
    if found.problems:
        print(f"\n{_counted(len(found.problems), 'thing')} to know:")
    for problem in found.problems[:_MOST_PROBLEMS]:
        print(f"  {problem}")
    if len(found.problems) > _MOST_PROBLEMS:
        print(f"  … and {len(found.problems) - _MOST_PROBLEMS} more; all of them with --json")


def _why_so_many(settings: Settings) -> str:
    reasons = []
    if settings.sub_image_num:
        reasons.append(f"each in up to {settings.sub_image_num} smaller sizes too")
    if settings.image_mirroring:
        reasons.append("also mirrored")
    if settings.image_num_multiply > 1:
        reasons.append(f"{settings.image_num_multiply} times over")
    return f" ({', '.join(reasons)})" if reasons else ""


def _captions(counts: CaptionCounts) -> str:
    told = []
    if counts.files:
        told.append(f"{counts.files} from files ({', '.join(f'{count} {name}' for name, count in counts.encodings)})")
    if counts.names:
        told.append(f"{counts.names} from file names")
    if counts.empty:
        told.append(f"{counts.empty} of them empty")
    if counts.missing:
        told.append(_counted(counts.missing, "image") + " without")
    return ", ".join(told) or "none"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _as_json(found: Scan, settings: Settings) -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "usable": found.usable,
        "images": found.pictures,
        "left_out": found.left_out,
        "pairs": found.pairs,
        "samples": len(found.samples),
        "buckets": [{"width": width, "height": height, "samples": count} for (width, height), count in found.buckets],
        "captions": {
            "files": found.captions.files,
            "names": found.captions.names,
            "empty": found.captions.empty,
            "missing": found.captions.missing,
            "encodings": dict(found.captions.encodings),
        },
        "trigger_word": settings.lora_trigger_word.strip(),
        "problems": [{"file": problem.name, "what": problem.what, "done": problem.done} for problem in found.problems],
        "notes": list(found.notes),
        "ignored": dict(found.others),
    }
