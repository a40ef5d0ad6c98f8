"""The command line. Exit code 0: done; 1: a bug; 2: a mistake, told in one sentence; 130: interrupted."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
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
    except Exception as error:  # noqa: BLE001 - a bug of ours: few users read tracebacks, so it goes to a file
        print(f"trainyard: {_kept(error)}", file=sys.stderr)
        return 1
    assert isinstance(code, int)
    return code


def _kept(error: Exception) -> str:
    """Write the traceback of a bug to a file; a sentence that says where."""
    handle, name = tempfile.mkstemp(prefix="trainyard-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return f"something went wrong that should not have ({type(error).__name__}: {error}). Please report it with {name}"


def _parser() -> argparse.ArgumentParser:
    from .commands import check, demo, inspect, pictures, train

    parser = argparse.ArgumentParser(prog="python -m trainer", description="Trainyard trains LoRAs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, check, pictures, inspect, demo):
        module.add_commands(commands)
    return parser
