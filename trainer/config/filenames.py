"""Which names are safe as file names on every system a file may be carried to."""

from __future__ import annotations

import unicodedata

from ..paths import is_device
from ..text.messages import Message, message

_FORBIDDEN = frozenset('<>:"\\|?*')
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
