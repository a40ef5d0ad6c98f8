"""The command line. Exit code 0: done; 2: a user's mistake, told in one sentence; 130: interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .errors import UserError


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
    assert isinstance(code, int)
    return code


def _parser() -> argparse.ArgumentParser:
    from .commands import demo, inspect, pictures, train

    parser = argparse.ArgumentParser(prog="python -m trainer", description="Trainyard trains LoRAs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, pictures, inspect, demo):
        module.add_commands(commands)
    return parser
