"""``check``: what would be trained from a folder of images, and what is wrong with it. Loads no model."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ..config.schema import parse, parse_assignment
from ..config.settings import Settings, effective
from .options import bar_of_images
from .words import account_lines, told

if TYPE_CHECKING:
    from ..data.samples import Scan
    from ..job import Account


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
    from ..data.account import account_of
    from ..data.look import look_over
    from ..data.pairs.scan import scan_for_mode

    with bar_of_images("commands.reading") as show:
        found = scan_for_mode(settings, progress=show)
        account = account_of(settings, look_over(found))
    if options.json:
        print(json.dumps(_as_json(found, account, settings), ensure_ascii=False, indent=2))
    else:
        _print(found, account)
    found.require_usable()
    return 0


def _print(found: Scan, account: Account) -> None:
    from ..data.problems import summed_up

    for line in account_lines(account):
        print(line)
    problems = summed_up(found.problems)
    if problems:
        print()
        print(told("commands.check_problems", count=len(problems)))
    for problem in problems:
        print(f"  {told(problem)}")
    if len(problems) < len(found.problems):
        print(told("commands.check_each"))


def _as_json(found: Scan, account: Account, settings: Settings) -> dict[str, Any]:
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
            "written": found.captions.written,
            "empty": found.captions.empty,
            "missing": found.captions.missing,
            "encodings": dict(found.captions.encodings),
        },
        "trigger_word": settings.lora_trigger_word.strip(),
        "problems": [
            {"file": problem.name, "what": told(problem.what), "done": told(problem.done)} for problem in found.problems
        ],
        "notes": list(map(told, found.notes)),
        "account": [{"heading": told(row.heading), "text": told(row.text), "odd": row.is_odd} for row in account.rows],
        "ignored": dict(found.others),
    }
