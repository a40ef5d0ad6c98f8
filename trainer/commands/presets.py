"""``presets``: rewrite the shipped presets, and the pages made from tables and presets, after a change of these."""

from __future__ import annotations

import argparse

from ..config import preset_page, presets
from ..config.foreign import page as foreign_page
from .words import told


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "presets", help=told("commands.presets"), description=told("commands.presets_description")
    )
    parser.set_defaults(command=_rewrite)


def _rewrite(_options: argparse.Namespace) -> int:
    for path in presets.rewrite_shipped():
        print(told("commands.preset_rewritten", name=path.name))
    for page in (foreign_page, preset_page):
        if page.rewrite():
            print(told("commands.preset_rewritten", name=page.PAGE.name))
    return 0
