"""``ui``: the page of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..help import LANGUAGES
from ..paths import CHECKOUT, Folders
from .options import add_device

if TYPE_CHECKING:
    from ..hosts.base import Host

PORT = 7870


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("ui", help="open the page", description="Serve the page: form, queue and plot.")
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"default: {PORT}")
    parser.add_argument(
        "--listen", action="store_true",
        help="let other machines open the page; whoever can reach it can train, and read and vary your pictures",
    )  # fmt: skip
    parser.add_argument("--language", choices=LANGUAGES, help="of the page (default: the environment's, or en)")
    group = parser.add_argument_group("folders")
    group.add_argument("--data-dir", type=Path, metavar="D", help="logs, queue, your presets (default: data/)")
    group.add_argument("--models-dir", type=Path, metavar="D", help="models to choose from (default: data/models)")
    group.add_argument("--lora-dir", type=Path, metavar="D", help="finished LoRAs (default: data/loras)")
    add_device(parser)
    parser.set_defaults(command=_ui)


def _ui(options: argparse.Namespace) -> int:
    from ..api import Guard
    from ..hosts.catalogue import FolderCatalogue
    from ..queue import Worker
    from ..store import Store
    from ..ui.app import serve
    from ..ui.desk import Desk
    from ..ui.words import language_of_machine

    data = (options.data_dir or CHECKOUT / "data").resolve()
    folders = Folders(
        data, (options.lora_dir or data / "loras").resolve(), (options.models_dir or data / "models").resolve()
    )
    worker = Worker(Store(folders), lambda: _host(options.device, folders))
    language = options.language or language_of_machine()
    serve(Desk(folders, FolderCatalogue(folders.models), worker, Guard(options.listen), language), options.port)
    return 0


def _host(device: str, folders: Folders) -> Host:
    """Made when the first run begins: torch takes seconds to load, and the page is to be there at once."""
    from ..hosts.standalone import Standalone
    from ..precision import choose_device

    return Standalone(choose_device(device), folders)
