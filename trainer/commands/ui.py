"""``ui``: the standalone page."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from ..paths import CHECKOUT, Folders
from ..text.language import LANGUAGES
from .options import add_device, output_argument, path_argument
from .words import told

if TYPE_CHECKING:
    from ..engine.host import Host

PORT = 7870


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("ui", help=told("commands.ui"), description=told("commands.ui_description"))
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=told("commands.ui_port", port=PORT))
    parser.add_argument("--listen", action="store_true", help=told("commands.ui_listen"))
    parser.add_argument("--auth", default="", metavar="USER:PASSWORD", help=told("commands.ui_auth"))
    parser.add_argument("--host-name", action="append", default=[], metavar="NAME", help=told("commands.ui_host_name"))
    parser.add_argument("--language", choices=LANGUAGES, help=told("commands.ui_language"))
    parser.add_argument("--continue", action="store_true", dest="continues", help=told("commands.continues"))
    group = parser.add_argument_group(told("commands.folders"))
    group.add_argument("--data-dir", type=output_argument, metavar="D", help=told("commands.ui_data_dir"))
    group.add_argument("--models-dir", type=path_argument, metavar="D", help=told("commands.ui_models_dir"))
    group.add_argument("--lora-dir", type=output_argument, metavar="D", help=told("commands.output_dir"))
    add_device(parser)
    parser.set_defaults(command=_ui)


def _ui(options: argparse.Namespace) -> int:
    from ..hosts.catalogue import FolderCatalogue
    from ..jobs.store import Store
    from ..jobs.worker import Worker
    from ..text.language import language_of_machine
    from ..web.app import serve
    from ..web.services.access import Access
    from ..web.services.context import PageContext

    access = Access.of_page(options.listen, tuple(options.host_name), options.auth)
    data = (options.data_dir or CHECKOUT / "data").resolve()
    folders = Folders(
        data, (options.lora_dir or data / "loras").resolve(), (options.models_dir or data / "models").resolve()
    )
    with suppress(OSError):  # a disk that cannot be written to is told of where it matters
        folders.models.mkdir(parents=True, exist_ok=True)
    worker = Worker(Store(folders), lambda: _host(options.device, folders))
    language = options.language or language_of_machine()
    if options.continues:
        worker.continue_broken_off()
    catalogue = FolderCatalogue(folders.models)
    return serve(PageContext(folders, catalogue, worker, access, language), options.port)


def _host(device: str, folders: Folders) -> Host:
    """Made when the first run begins: torch takes seconds to load, and the page is to be there at once."""
    from ..hosts.standalone import Standalone
    from ..models.precision import choose_device

    return Standalone(choose_device(device), folders)
