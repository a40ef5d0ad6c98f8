"""Options that several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..paths import CHECKOUT, Folders, path_of
from .words import told


def path_argument(written: str) -> Path:
    """The path that an argument stands for.

    Raises:
        UserError: it can be none.
    """
    return path_of(written)


def output_argument(written: str) -> Path:
    """The same for a path that is written to."""
    return path_of(written, to_write=True)


def add_folders(parser: argparse.ArgumentParser, *, output: bool = False) -> None:
    """``--data-dir``, ``--models-dir`` and, where LoRAs are written, ``--output-dir``."""
    group = parser.add_argument_group(told("commands.folders"))
    group.add_argument("--data-dir", type=output_argument, metavar="D", help=told("commands.data_dir"))
    group.add_argument("--models-dir", type=path_argument, metavar="D", help=told("commands.models_dir"))
    if output:
        group.add_argument("--output-dir", type=output_argument, metavar="D", help=told("commands.output_dir"))


def folders_of(options: argparse.Namespace) -> Folders:
    data = options.data_dir or CHECKOUT / "data"
    return Folders(
        data=data,
        loras=getattr(options, "output_dir", None) or data / "loras",
        models=options.models_dir or data / "models",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="", metavar="DEVICE", help=told("commands.device"))


@contextmanager
def bar_of_images(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of the images that something is done to, while the block lasts: call it with how many are done of how many.

    Args:
        doing: the key of what that is.
    """
    from tqdm import tqdm

    with tqdm(desc=told(doing), unit=told("commands.image"), file=sys.stderr, leave=False, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
