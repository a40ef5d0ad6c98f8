"""``presets``: write the shipped presets anew, for those who change the table or a preset."""

from __future__ import annotations

import argparse

from ..config import presets


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "presets",
        help="rewrite the shipped presets",
        description="Rewrite the presets in presets/, so that each holds its mode and what differs from the defaults.",
    )
    parser.set_defaults(command=_rewrite)


def _rewrite(_options: argparse.Namespace) -> int:
    for path in presets.rewrite_shipped():
        print(f"Rewritten: {path.name}")
    return 0
