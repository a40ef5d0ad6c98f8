"""The command line. Exit code 0: done; 1: a bug; 2: a mistake, told in one sentence; 130: interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .config.values import closest
from .errors import UserError
from .paths import kept_traceback


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code = options.command(options)
    except UserError as error:
        print(f"trainyard: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("trainyard: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, e.g. ``| head``
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - a bug of ours: few users read tracebacks, so it goes to a file
        print(f"trainyard: {kept_traceback(error)}", file=sys.stderr)
        return 1
    assert isinstance(code, int)
    return code


def _parser() -> argparse.ArgumentParser:
    from .commands import check, demo, images, inspect, pictures, presets, queue, train, ui

    parser = _Parser(prog="python -m trainer", description="Trainyard trains LoRAs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, ui, queue, check, images, pictures, inspect, demo, presets):
        module.add_commands(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Each command by itself, with its own usage, refuses what it does not know, and names what comes near."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = next((each for each in unknown if each.startswith("-")), unknown[0]).partition("=")[0]
            near = closest(name, [*self._option_string_actions]) if name.startswith("--") else ""
            what = f"there is no option {name}" if name.startswith("-") else f"{name} is one argument too many"
            self.error(f"{what}; perhaps you mean {near}" if near else what)
        return found, unknown
