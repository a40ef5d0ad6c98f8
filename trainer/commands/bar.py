"""A bar over the steps of what a command does."""

from __future__ import annotations

import sys

from .words import told


class Bar:
    """Where there is no terminal, a line now and then stands for a bar that is drawn over itself."""

    def __init__(self, total: int, text: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, desc=text, unit=told("commands.step"), file=sys.stderr, disable=None)
        self._total = total

    def at(self, number: int, line: str, **beside: str) -> None:
        """So many are done.

        Args:
            line: what is printed where there is no terminal, ten times at most.
            beside: values that stand behind the bar.
        """
        if self._bar.disable:
            if number * 10 // self._total != (number - 1) * 10 // self._total:
                print(line, file=sys.stderr)
            return
        self._bar.set_postfix(beside, refresh=False)
        self._bar.update(number - self._bar.n)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar.disable:
            print(line, file=sys.stderr)
        else:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        self._bar.close()
