"""The command line. Exit code 0: done; 1: a bug of ours; 2: an error the user can fix; 130: interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .commands.words import told
from .config.foreign.suggest import meant_by
from .errors import UserError
from .paths import kept_traceback
from .text.console import never_fail
from .text.language import language_of_machine
from .text.messages import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    never_fail(sys.stdout, sys.stderr)
    language = language_of_machine()
    try:
        options = _parser().parse_args(arguments)
        language = getattr(options, "language", None) or language
        code = options.command(options)
    except UserError as error:
        print(f"trainyard: {error.whole.text(language)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"trainyard: {say('commands.was_interrupted', language)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, e.g. ``| head``
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - a bug of ours: few users read tracebacks, so it goes to a file
        print(f"trainyard: {kept_traceback(error).text(language)}", file=sys.stderr)
        return 1
    assert isinstance(code, int)
    return code


def _parser() -> argparse.ArgumentParser:
    from .commands import cache, check, data, demo, edit, images, info, presets, queue, report, sample, train, ui
    from .commands import list as listing

    parser = _Parser(prog="python -m trainer", description=told("commands.trainyard"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, ui, queue, check, data, images, sample, report, info, edit, listing, demo, cache, presets):
        module.add_commands(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Each command refuses unknown arguments itself, with its own usage, and names the closest option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = next((each for each in unknown if each.startswith("-")), unknown[0]).partition("=")[0]
            near = self._option_near(name) if name.startswith("--") else ""
            if near:
                self.error(told("commands.no_option_near", name=name, near=near))
            self.error(told("commands.no_option" if name.startswith("-") else "commands.argument_too_many", name=name))
        return found, unknown

    def _option_near(self, name: str) -> str:
        """The option that another one was probably meant to be, by what other programs call it, too."""
        options = [*self._option_string_actions]
        meant = meant_by(name, options)
        option = meant if meant in options else f"--{meant.replace('_', '-')}"
        return option if option in options else ""
