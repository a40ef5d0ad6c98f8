"""``edit``: change what a LoRA file says of itself, or take the last change back."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..errors import UserError
from ..networks.files.find import find_lora
from .options import add_folders, folders_of
from .words import told


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("edit", help=told("commands.edit"), description=told("commands.edit_description"))
    parser.add_argument("file", metavar="LORA", help=told("commands.edit_file"))
    parser.add_argument("--title", metavar="TEXT", help=told("commands.edit_title"))
    parser.add_argument("--trigger", metavar="TEXT", help=told("commands.edit_trigger"))
    parser.add_argument("--description", metavar="TEXT", help=told("commands.edit_description_of"))
    parser.add_argument("--undo", action="store_true", help=told("commands.edit_undo"))
    add_folders(parser, output=True)
    parser.set_defaults(command=_edit)


def _edit(options: argparse.Namespace) -> int:
    from ..models.checkpoint.header import read_header
    from ..networks.files import edit

    folders = folders_of(options)
    path: Path = find_lora(options.file, folders.loras)
    given = {name: getattr(options, name) for name in edit.KEYS if getattr(options, name) is not None}
    if bool(given) == options.undo:
        raise UserError("commands.edit_nothing")
    backups = edit.backups_in(folders)
    if options.undo:
        edit.undo(path, backups)
        print(told("commands.edit_undone", path=path))
        return 0
    now = edit.texts_of(read_header(path).metadata, edit.card_of(path))
    edit.edit(path, replace(now, **given), backups)
    print(told("commands.saved", path=path))
    return 0
