"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..paths import CHECKOUT, Folders


def add_folders(parser: argparse.ArgumentParser, *, output: bool = False) -> None:
    """``--data-dir``, ``--models-dir`` and, where LoRAs are written, ``--output-dir``."""
    group = parser.add_argument_group("folders")
    group.add_argument("--data-dir", type=Path, metavar="D", help="logs, settings, your presets (default: data/)")
    group.add_argument("--models-dir", type=Path, metavar="D", help="models given by name (default: data/models)")
    if output:
        group.add_argument("--output-dir", type=Path, metavar="D", help="finished LoRAs (default: data/loras)")


def folders_of(options: argparse.Namespace) -> Folders:
    data = options.data_dir or CHECKOUT / "data"
    return Folders(
        data=data,
        loras=getattr(options, "output_dir", None) or data / "loras",
        models=options.models_dir or data / "models",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="", metavar="DEVICE", help="cuda, cuda:1, mps or cpu (default: the best)")
