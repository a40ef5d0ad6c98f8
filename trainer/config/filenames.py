"""Which names are safe as file names on every system a file may be carried to."""

from __future__ import annotations

import unicodedata

_FORBIDDEN = frozenset('<>:"\\|?*')
_DEVICES = frozenset(
    (
        "CON",
        "PRN",
        "AUX",
        "NUL",
        "CONIN$",
        "CONOUT$",
        *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"),
    )
)
_MOST_BYTES = 200  # of the 255 file systems allow: a suffix, a date and an ending still fit behind it


def name_problem(name: str) -> str:
    """What is wrong with a name as a file name, and what to write instead; empty if nothing is.

    ``/`` may set off sub-folders; every part must be a name that Windows, Linux and macOS all take.
    """
    if name.startswith("/"):
        return "must not start with /; write a name, or sub-folder/name"
    if len(name) > 1 and name[1] == ":" and name[0].isascii() and name[0].isalpha():
        return f"must not start with a drive such as {name[:2]}; write a name, or sub-folder/name"
    for part in name.split("/"):
        problem = _part_problem(part)
        if problem:
            return problem
    return ""


def _part_problem(part: str) -> str:
    if not part:
        return "has an empty part beside a /; write it as sub-folder/name"
    if part == "..":
        return "must not contain .. as that would leave the folder; write a name, or sub-folder/name"
    found = sorted(_FORBIDDEN.intersection(part))
    if "\\" in found:
        return "must not contain \\; use / between sub-folder and name"
    if found:
        return f"must not contain {' '.join(found)}; use letters, digits, spaces, - and _"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in part):
        return "must not contain line breaks or other invisible control characters; type it again"
    if part[-1] in ". ":
        ending = "a dot" if part[-1] == "." else "a space"
        return f'must not end with {ending}, in "{part}"; Windows would drop it'
    stem = part.partition(".")[0].rstrip(" ")
    if stem.upper() in _DEVICES:
        return f"must not be {stem}: Windows keeps that name for a device; choose another, such as {stem}_1"
    if len(part.encode("utf-8")) > _MOST_BYTES:
        return f"is too long; keep it within {_MOST_BYTES} Latin or {_MOST_BYTES // 3} Japanese letters"
    return ""
