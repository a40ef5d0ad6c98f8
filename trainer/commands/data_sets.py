"""``data tags``, ``data unzip``, ``data clean`` and ``data prepare``: a set of images, changed as on the page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..paths import path_of
from .options import add_folders, folders_of, path_argument
from .words import told

if TYPE_CHECKING:
    from ..sets.image_set import Done, ImageSet
    from ..sets.incoming import Imported
    from ..sets.library import Library
    from ..sets.tags import Change

_MOST_NAMED = 20


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Among those of ``data``."""
    tags = _verb(commands, "tags", _tags)
    tags.add_argument("folder", metavar="FOLDER|SET", help=told("commands.data_set"))
    for name in ("with", "without"):
        metavar, help_ = told("commands.data_tag_metavar"), told(f"commands.data_tags_{name}")
        tags.add_argument(f"--{name}", dest=f"{name}_tags", action="append", default=[], metavar=metavar, help=help_)
    for name in ("add", "front", "remove"):
        tags.add_argument(f"--{name}", metavar="TAGS", help=told(f"commands.data_tags_{name}"))
    for name in ("replace", "replace-text"):
        help_ = told(f"commands.data_tags_{name.replace('-', '_')}")
        tags.add_argument(f"--{name}", action="append", default=[], metavar="OLD=NEW", help=help_)
    tags.add_argument("--sort", action="store_true", help=told("commands.data_tags_sort"))
    tags.add_argument("--keep", type=int, default=0, metavar="N", help=told("commands.data_tags_keep"))
    tags.add_argument("--tidy", action="store_true", help=told("commands.data_tags_tidy"))
    tags.add_argument("--undo", action="store_true", help=told("commands.data_tags_undo"))
    tags.add_argument("--redo", action="store_true", help=told("commands.data_tags_redo"))
    tags.add_argument("--json", action="store_true", help=told("commands.json"))
    unzip = _verb(commands, "unzip", _unzip)
    prepare = _verb(commands, "prepare", _prepare)
    for parser in (unzip, prepare):
        parser.add_argument("source", type=path_argument, metavar="ZIP|FOLDER|IMAGE", help=told("commands.data_source"))
        parser.add_argument("--name", default="", metavar="SET", help=told("commands.data_name"))
        parser.add_argument("--into", default="", metavar="FOLDER|SET", help=told("commands.data_into"))
    clean = _verb(commands, "clean", _clean)
    clean.add_argument("folder", metavar="FOLDER|SET", help=told("commands.data_set"))
    for parser in (clean, prepare):
        parser.add_argument("--duplicates", action="store_true", help=told("commands.data_duplicates"))
    clean.add_argument("--dry-run", action="store_true", help=told("commands.data_dry_run"))
    for parser in (tags, unzip, clean, prepare):
        add_folders(parser)


def _verb(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    description = told(f"commands.data_{name}_description")
    parser = commands.add_parser(name, help=told(f"commands.data_{name}"), description=description)
    parser.set_defaults(command=command)
    return parser


def _library(options: argparse.Namespace) -> Library:
    from ..sets.library import Library

    return Library(folders_of(options))


def _opened(library: Library, written: str) -> ImageSet:
    """A folder by its path, or a set of ours by its name."""
    if not path_of(written).is_dir() and any(each.own and each.id == written for each in library.known()):
        return library.find(written)
    return library.of(library.open(written).folder)


# ---- tags -----------------------------------------------------------------------------------------------------------


def _tags(options: argparse.Namespace) -> int:
    images = _opened(_library(options), options.folder)
    changes = list(_changes(options))
    if options.undo or options.redo:
        done = images.undo() if options.undo else images.again()
        print(told("commands.data_undone" if options.undo else "commands.data_redone", what=done.what or ""))
        _tell_left(done)
        return 0
    names = _chosen(images, options)
    for change in changes:
        done = images.change(change, names)
        print(told("commands.data_changed", count=done.count, what=done.what or ""))
    if not changes:
        _list_tags(images, names, as_json=options.json)
    return 0


def _changes(options: argparse.Namespace) -> Iterator[Change]:
    """In the order in which they are done, whatever order they were written in."""
    from ..sets.tags import Change, written_tags

    for kind in ("replace_text", "replace"):
        for pair in getattr(options, kind):
            old, sign, new = pair.partition("=")
            if not sign:
                raise UserError("commands.data_no_pair", where=pair)
            yield (
                Change("replace", written_tags(old), new) if kind == "replace" else Change("replace_text", (old,), new)
            )
    if options.remove is not None:
        yield Change("remove", written_tags(options.remove))
    if options.add is not None:
        yield Change("add", written_tags(options.add))
    if options.tidy:
        yield Change("tidy")
    if options.sort:
        yield Change("sort", keep=max(0, options.keep))
    if options.front is not None:
        yield Change("front", written_tags(options.front), adds=True)


def _chosen(images: ImageSet, options: argparse.Namespace) -> list[str]:
    from ..sets.tags import has_tags

    return [each.name for each in images.items() if has_tags(each.caption, options.with_tags, options.without_tags)]


def _list_tags(images: ImageSet, names: list[str], *, as_json: bool) -> None:
    from ..sets.tags import tag_counts

    captions = [each.caption for each in images.items() if each.name in set(names)]
    counts = tag_counts(captions)
    if as_json:
        print(json.dumps([{"tag": each.tag, "count": each.count} for each in counts], indent=2, ensure_ascii=False))
        return
    for each in counts:
        print(f"{each.count:6}  {each.tag}")
    empty = sum(not caption for caption in captions)
    print(told("commands.data_tags_found", tags=len(counts), images=len(captions), empty=empty))


def _tell_left(done: Done) -> None:
    if done.left:
        print(told("commands.data_left", names=list(done.left[:_MOST_NAMED])))


# ---- in -------------------------------------------------------------------------------------------------------------


def _unzip(options: argparse.Namespace) -> int:
    _, found = _imported(options)
    return 0 if found.images or found.captions or found.there else 2


def _imported(options: argparse.Namespace) -> tuple[ImageSet, Imported]:
    from ..errors import DataError
    from ..sets.incoming import import_into

    library, source = _library(options), options.source
    if not source.exists():
        raise DataError("data.source_missing", where=str(source), path=source)
    images = _opened(library, options.into) if options.into else library.of(_new(library, options.name or source.stem))
    with _bar("commands.reading") as show:
        found = import_into(images, source, progress=show)
    for problem in found.problems[:_MOST_NAMED]:
        print(told(problem.message))
    for old, new in found.renamed[:_MOST_NAMED]:
        print(told("commands.data_renamed", name=old, other=new))
    counts = {"images": found.images, "captions": found.captions, "there": found.there}
    print(told("commands.data_came_in", folder=images.folder, **counts))
    return images, found


def _new(library: Library, name: str) -> Path:
    return library.make(name).folder


# ---- clean ----------------------------------------------------------------------------------------------------------


def _clean(options: argparse.Namespace) -> int:
    images = _opened(_library(options), options.folder)
    _cleaned(images, options, duplicates=options.duplicates, dry=options.dry_run)
    return 0


def _prepare(options: argparse.Namespace) -> int:
    images, _ = _imported(options)
    _cleaned(images, options, duplicates=options.duplicates, dry=False)
    items = images.items()
    empty = sum(not each.caption for each in items)
    print(told("commands.data_prepared", images=len(items), empty=empty, folder=images.folder))
    return 0 if items else 2


def _cleaned(images: ImageSet, options: argparse.Namespace, *, duplicates: bool, dry: bool) -> None:
    """Set aside what cannot be trained, and of duplicates all but the best."""
    from ..config.settings import Settings
    from ..data.cache import open_cache
    from ..sets.duplicates import look_for_duplicates

    with open_cache(folders_of(options), Settings().data_cache) as cache, _bar("commands.reading") as show:
        found = look_for_duplicates(images.items(), cache=cache, progress=show)
    gone = [name for name, _ in found.broken]
    for _, error in found.broken[:_MOST_NAMED]:
        print(told(error.whole))
    for group in found.groups:
        print(told(f"commands.data_same_{group.kind}", name=group.names[0], names=list(group.names[1:])))
        if duplicates:
            gone += group.names[1:]
    if dry:
        print(told("commands.data_would_set_aside", count=len(gone)))
        return
    done = images.set_aside(gone) if gone else None
    print(told("commands.data_set_aside", count=0 if done is None else done.count))


@contextmanager
def _bar(key: str) -> Iterator[Callable[[int, int], Any]]:
    from tqdm import tqdm

    with tqdm(desc=told(key), unit=told("commands.image"), file=sys.stderr, leave=False, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
