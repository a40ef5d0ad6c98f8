"""``presets``: rewrite the shipped presets and a page of the documentation after a change of a table or a preset."""

from __future__ import annotations

import argparse

from ..config import presets
from ..config.foreign import page
from .words import told


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "presets", help=told("commands.presets"), description=told("commands.presets_description")
    )
    parser.set_defaults(command=_rewrite)


def _rewrite(_options: argparse.Namespace) -> int:
    for path in presets.rewrite_shipped():
        print(told("commands.preset_rewritten", name=path.name))
    if page.rewrite():
        print(told("commands.preset_rewritten", name=page.PAGE.name))
    return 0
