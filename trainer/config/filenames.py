"""Which names are safe as file names on every system a file may be carried to."""

from __future__ import annotations

import re
import unicodedata
from string import Formatter

from ..paths import is_device
from ..text.messages import Message, message

_FORBIDDEN = frozenset('<>:"\\|?*')
EXAMPLE = "{name}-{step:06}"
"""A pattern as a message shows one."""
_COUNTING = frozenset(("step", "epoch"))
"""What changes from file to file of one run."""
_WIDTH = re.compile(r"0?\d{0,2}")
_MOST_BYTES = 200  # of the 255 file systems allow: a suffix, a date and an extension still fit


def name_problem(name: str) -> Message | None:
    """What is wrong with a name as a file name, and what to write instead; None if nothing is.

    ``/`` may set off sub-folders; every part must be a name that Windows, Linux and macOS all take.
    """
    if name.startswith("/"):
        return message("config.name_starts_with_slash")
    if len(name) > 1 and name[1] == ":" and name[0].isascii() and name[0].isalpha():
        return message("config.name_starts_with_drive", drive=name[:2])
    return next(filter(None, map(_part_problem, name.split("/"))), None)


def pattern_problem(pattern: str) -> Message | None:
    """What is wrong with a pattern for the names of files that are saved while training; None if nothing is."""
    fields = _fields_of(pattern)
    if fields is None:
        return message("config.pattern_unreadable", fields=["name", "step", "epoch"], example=EXAMPLE)
    if not fields & _COUNTING:
        return message("config.pattern_tells_nothing_apart", field="{step}", example=EXAMPLE)
    return name_problem(named_by(pattern, name="name", step=1_000_000, epoch=1_000_000))


def _fields_of(pattern: str) -> set[str] | None:
    """The fields of a pattern; None if it is none."""
    try:
        parsed = list(Formatter().parse(pattern))
    except ValueError:
        return None
    found = {(name, form, conversion) for _, name, form, conversion in parsed if name is not None}
    wrong = (
        conversion or (form if name == "name" else name not in _COUNTING or not _WIDTH.fullmatch(form or ""))
        for name, form, conversion in found
    )
    return None if any(wrong) else {name for name, *_ in found}


def named_by(pattern: str, *, name: str, step: int, epoch: int) -> str:
    """The name that a pattern without problems gives a file."""
    return pattern.format(name=name, step=step, epoch=epoch)


def counts_steps(pattern: str) -> bool:
    """Whether files that are saved after different steps have different names."""
    return "step" in (_fields_of(pattern) or ())


def _part_problem(part: str) -> Message | None:
    if not part:
        return message("config.name_empty_part")
    if part == "..":
        return message("config.name_leaves_folder")
    found = sorted(_FORBIDDEN.intersection(part))
    if "\\" in found:
        return message("config.name_backslash")
    if found:
        return message("config.name_forbidden", characters=" ".join(found))
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in part):
        return message("config.name_invisible")
    if part[-1] in ". ":
        return message(f"config.name_ends_with_{'dot' if part[-1] == '.' else 'space'}", part=part)
    if is_device(part):
        return message("config.name_of_device", name=part.partition(".")[0].rstrip(" "))
    if len(part.encode("utf-8")) > _MOST_BYTES:
        return message("config.name_too_long", latin=_MOST_BYTES, japanese=_MOST_BYTES // 3)
    return None
