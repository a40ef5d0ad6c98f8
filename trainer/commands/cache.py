"""``cache``: what runs keep of images and captions for later ones."""

from __future__ import annotations

import argparse

from .options import add_folders, folders_of
from .words import told


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("cache", help=told("commands.cache"), description=told("commands.cache_description"))
    parser.add_argument("--empty", action="store_true", help=told("commands.cache_empty"))
    add_folders(parser)
    parser.set_defaults(command=_cache)


def _cache(options: argparse.Namespace) -> int:
    from ..data.cache import GB, cache_path, open_cache
    from ..errors import OutputError

    folders = folders_of(options)
    path = cache_path(folders)
    if not path.exists():
        print(told("commands.cache_none", path=path))
        return 0
    with open_cache(folders, path.stat().st_size / GB + 1) as cache:
        assert cache is not None
        if options.empty:
            cache.clear()
        count, size = cache.size()
        if cache.problem is not None:
            raise OutputError("commands.cache_unusable", where=str(path), reason=cache.problem)
    print(told("commands.cache_size", path=path, count=count, size=f"{size / 1e6:.1f}"))
    return 0
