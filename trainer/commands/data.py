"""``data``: what is done to the images and captions of a folder before training."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from ..errors import UserError
from ..text.messages import Message, message
from . import data_sets
from .options import add_device, add_folders, bar_of_images, folders_of, output_argument, path_argument
from .words import told

if TYPE_CHECKING:
    from ..captioning.work import Outcome

_MODES = ("missing", "append", "prepend", "replace")
_DETAILS = ("short", "long", "longest")
_MOST_NAMED = 3


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("data", help=told("commands.data"), description=told("commands.data_description"))
    inner = parser.add_subparsers(required=True, metavar="WHAT")
    _add_tag(inner)
    _add_caption(inner)
    _add_merge(inner)
    _add_fetch(inner)
    data_sets.add_commands(inner)


# ---- tags and captions ----------------------------------------------------------------------------------------------


def _add_tag(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "tag", help=told("commands.data_tag"), description=told("commands.data_tag_description")
    )
    _add_common(parser, "commands.data_tagger")
    parser.add_argument("--threshold", metavar="T", help=told("commands.data_threshold"))
    parser.add_argument("--character-threshold", metavar="T", help=told("commands.data_character_threshold"))
    parser.add_argument("--rating", action="store_true", help=told("commands.data_rating"))
    parser.add_argument("--underscores", action="store_true", help=told("commands.data_underscores"))
    parser.add_argument("--escape", action="store_true", help=told("commands.data_escape"))
    parser.set_defaults(command=_describe, anywhere=False)


def _add_caption(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "caption", help=told("commands.data_caption"), description=told("commands.data_caption_description")
    )
    _add_common(parser, "commands.data_captioner")
    parser.add_argument("--prompt", help=told("commands.data_prompt"))
    parser.add_argument("--detail", choices=_DETAILS, help=told("commands.data_detail"))
    parser.add_argument("--most-tokens", metavar="N", help=told("commands.data_tokens"))
    parser.add_argument("--server-model", metavar="NAME", help=told("commands.data_server_model"))
    parser.add_argument("--anywhere", action="store_true", help=told("commands.data_anywhere"))
    parser.set_defaults(command=_describe)


def _add_common(parser: argparse.ArgumentParser, model: str) -> None:
    parser.add_argument("folder", type=path_argument, metavar="FOLDER", help=told("commands.data_folder"))
    parser.add_argument("--with", dest="captioner", metavar="NAME", help=told(model))
    parser.add_argument("--mode", choices=_MODES, help=told("commands.data_mode"))
    parser.add_argument("--trigger", metavar="WORD", help=told("commands.data_trigger"))
    parser.add_argument("--unwanted", metavar="TAGS", help=told("commands.data_unwanted"))
    add_device(parser)
    add_folders(parser)


def _describe(options: argparse.Namespace) -> int:
    from ..captioning.opening import name_of_choice, open_captioner
    from ..captioning.request import CaptionRequest, request_from
    from ..captioning.work import Outcome, caption_set
    from ..hosts.standalone import Standalone
    from ..models.precision import choose_device
    from ..sets.library import Library

    folders = folders_of(options)
    library = Library(folders)
    images = library.of(library.open(str(options.folder)).folder)
    known = {each.name for each in fields(CaptionRequest)} - {"device"}
    request = request_from({name: value for name, value in vars(options).items() if name in known})
    host = Standalone(choose_device(options.device), folders)
    what = message("captioning.did", name=name_of_choice(request, folders, host))
    captioner = open_captioner(request, folders, host, anywhere=options.anywhere)
    outcome = Outcome()
    try:
        with bar_of_images("commands.describing") as show:
            caption_set(images, captioner, request.plan, what, outcome=outcome, check=lambda: None, progress=show)
    except BaseException:
        if outcome.written:
            _tell(outcome)
        raise
    finally:
        captioner.close()
    _tell(outcome)
    return 0


def _tell(outcome: Outcome) -> None:
    for problem in outcome.problems:
        print(told(problem.message))
    print(told("commands.data_described", written=outcome.written, kept=outcome.kept))
    if outcome.nothing:
        print(told("commands.data_nothing", count=outcome.nothing))


# ---- one file for many images ---------------------------------------------------------------------------------------


def _add_merge(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "merge", help=told("commands.data_merge"), description=told("commands.data_merge_description")
    )
    parser.add_argument("folder", type=path_argument, metavar="FOLDER", help=told("commands.data_folder"))
    parser.add_argument("--out", type=output_argument, required=True, metavar="F.json", help=told("commands.data_out"))
    parser.add_argument("--captions", default=".caption", metavar="ENDING", help=told("commands.data_captions"))
    parser.add_argument("--tags", default=".txt", metavar="ENDING", help=told("commands.data_tags_ending"))
    parser.add_argument("--unwanted", default="", metavar="TAGS", help=told("commands.data_unwanted"))
    parser.add_argument("--whole-paths", action="store_true", help=told("commands.data_whole_paths"))
    parser.add_argument("--as-they-are", action="store_true", help=told("commands.data_as_they_are"))
    parser.set_defaults(command=_merge)


def _merge(options: argparse.Namespace) -> int:
    from ..captioning.metadata import merge
    from ..captioning.tag_choice import unwanted_in

    for ending in (options.captions, options.tags):
        if not ending.startswith("."):
            raise UserError("commands.data_no_ending", where=ending)
    merged = merge(
        options.folder, options.out, captions=options.captions, tags=options.tags,
        unwanted=unwanted_in(options.unwanted), clean=not options.as_they_are, whole_paths=options.whole_paths,
    )  # fmt: skip
    for problem in merged.problems:
        print(told(problem.message))
    print(told("commands.data_merged", path=options.out, captions=merged.captions, tags=merged.tags))
    if merged.neither:
        few: list[str | Message] = [*merged.neither[:_MOST_NAMED]]
        if len(merged.neither) > _MOST_NAMED:
            few.append(message("data.and_more", count=len(merged.neither) - _MOST_NAMED))
        print(told("commands.data_neither", count=len(merged.neither), names=few))
    if merged.before is not None:
        print(told("commands.data_before", count=merged.kept, path=merged.before))
    return 0


# ---- from the internet ----------------------------------------------------------------------------------------------


def _add_fetch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "fetch", help=told("commands.data_fetch"), description=told("commands.data_fetch_description")
    )
    parser.add_argument("url", metavar="URL", help=told("commands.data_url"))
    parser.add_argument("--to", type=output_argument, required=True, metavar="FOLDER", help=told("commands.data_to"))
    parser.add_argument("--yes", action="store_true", help=told("commands.data_yes"))
    parser.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> int:
    from ..captioning.fetch import fetch, gallery_command, offered

    offer = offered(options.url)
    if offer is None:
        command = gallery_command(options.url, options.to)
        print(told("commands.fetch_gallery", url=options.url, folder=options.to))
        return _run(command) if options.yes or _agreed() else _left()
    unknown = told("commands.fetch_size_unknown")
    size = unknown if offer.size is None else f"{offer.size / 1e6:.1f} MB"
    print(told("commands.fetch_file", name=offer.name, size=size, host=offer.host, folder=options.to))
    if not options.yes and not _agreed():
        return _left()
    from tqdm import tqdm

    with tqdm(
        desc=told("commands.fetching"), total=offer.size, unit="B", unit_scale=True, file=sys.stderr, leave=False,
        disable=None,
    ) as bar:  # fmt: skip

        def show(done: int) -> None:
            bar.update(done - bar.n)

        path = fetch(offer, options.to, show)
    print(told("commands.saved", path=path))
    return 0


def _agreed() -> bool:
    """Whether somebody at the keyboard says yes; where nobody is, the answer is no."""
    try:
        return input(told("commands.fetch_ask")).strip().lower() == "yes"
    except EOFError:
        print()
        return False


def _left() -> int:
    print(told("commands.fetch_not"))
    return 2


def _run(command: Sequence[str]) -> int:
    code = subprocess.run(command, check=False).returncode
    if code:
        raise UserError("commands.fetch_failed", code=code)
    return 0
