"""Which LoRA files there are, by their names; no file is read."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from ...errors import NetworkError
from ...paths import path_of

ENDING = ".safetensors"
_PICKLES = (".pt", ".ckpt", ".bin")
"""Endings of LoRAs that other tools have saved with torch."""
_GUEST = "trainyard-"
_IS_GUEST = re.compile(rf"{_GUEST}[0-9a-f]{{8}}")


def find_lora(name: str, folder: Path) -> Path:
    """The LoRA file called ``name``: a path, or what lies in the LoRA folder, with or without its ending.

    Raises:
        NetworkError: there is no such file.
        UserError: the name can be no path.
    """
    given = path_of(name)
    for candidate in (given, folder / name, *(folder / f"{name}{ending}" for ending in (ENDING, *_PICKLES))):
        if _is_file(candidate):
            return candidate
    raise NetworkError("networks.no_such_lora", where=name, folder=folder)


def lora_name(path: Path, folder: Path) -> str:
    """What :func:`find_lora` finds this file by: as :func:`lora_names` has it; its full path if it lies elsewhere."""
    inside = path.is_relative_to(folder) and path.suffix == ENDING
    return path.relative_to(folder).with_suffix("").as_posix() if inside else str(path)


def lora_names(folder: Path) -> list[str]:
    """The LoRAs of a folder and its sub-folders, the newest first, as :func:`find_lora` takes them."""
    found = []
    for path in lora_files(folder):
        try:
            found.append((-path.stat().st_mtime, lora_name(path, folder)))
        except OSError:  # deleted in the meantime
            continue
    return [name for _, name in sorted(found)]


def lora_files(folder: Path) -> Iterator[Path]:
    """The files of these, without those of :func:`guest_name`."""
    return (path for path in folder.rglob(f"*{ENDING}") if not _IS_GUEST.fullmatch(path.stem))


def guest_name() -> str:
    """A name for a LoRA that is in the folder only while a WebUI makes an image with it."""
    return f"{_GUEST}{secrets.token_hex(4)}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for the system, or with a null character in it
        return False
