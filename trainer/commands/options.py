"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..paths import CHECKOUT, Folders
from .words import told


def add_folders(parser: argparse.ArgumentParser, *, output: bool = False) -> None:
    """``--data-dir``, ``--models-dir`` and, where LoRAs are written, ``--output-dir``."""
    group = parser.add_argument_group(told("commands.folders"))
    group.add_argument("--data-dir", type=Path, metavar="D", help=told("commands.data_dir"))
    group.add_argument("--models-dir", type=Path, metavar="D", help=told("commands.models_dir"))
    if output:
        group.add_argument("--output-dir", type=Path, metavar="D", help=told("commands.output_dir"))


def folders_of(options: argparse.Namespace) -> Folders:
    data = options.data_dir or CHECKOUT / "data"
    return Folders(
        data=data,
        loras=getattr(options, "output_dir", None) or data / "loras",
        models=options.models_dir or data / "models",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="", metavar="DEVICE", help=told("commands.device"))
