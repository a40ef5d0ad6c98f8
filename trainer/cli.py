"""The command line. Exit code 0: done; 1: a bug; 2: a mistake, told in one sentence; 130: interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

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
    from .commands import check, demo, images, inspect, pictures, queue, train, ui

    parser = argparse.ArgumentParser(prog="python -m trainer", description="Trainyard trains LoRAs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, ui, queue, check, images, pictures, inspect, demo):
        module.add_commands(commands)
    return parser
