"""What a LoRA file says of itself, changed: title, trigger word and description. Its tensors stay, byte for byte.

Their places in the file are counted from the end of its header, so a longer or shorter header moves none of them. What
the header was before is kept, and with it the whole file as it was can be made again. The hashes stay, too: that of
the tensors holds as before, and the older one is what images made with the LoRA know it by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ...claims import free_name, locked
from ...config.documents import json_object, read_text
from ...errors import NetworkError
from ...models.checkpoint.header import read_header
from ...paths import Folders, open_file, reason_of, replace_whole, write_whole
from ...text.messages import message
from .texts import one_line, plain

KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "title": "modelspec.title",
        "trigger": "modelspec.trigger_phrase",
        "description": "modelspec.description",
    }
)
"""What can be changed -> its key in the file."""
CARD_KEYS: Final[Mapping[str, str]] = MappingProxyType({"trigger": "activation text", "description": "description"})
"""The same in the card beside the file, which has no title."""
LONGEST: Final = 2000
"""Letters of a text: hosts read the header of every file they list."""
_METADATA = "__metadata__"
_PIECE = 4 * 2**20
_MOST_BACKUPS = 20
_HEADER, _CARD, _UNDONE = ".header", ".json", ".undone"


@dataclass(frozen=True)
class Texts:
    """What a LoRA is called and how it is used; empty where nothing says."""

    title: str = ""
    trigger: str = ""
    description: str = ""


def backups_in(folders: Folders) -> Path:
    """Where what was changed is kept."""
    return folders.data / "backups" / "loras"


def texts_of(metadata: Mapping[str, str], card: Mapping[str, Any]) -> Texts:
    """As a user sees them: the card goes before the file, since that is where a WebUI writes what its user changes."""
    found = {name: metadata.get(key, "").strip() for name, key in KEYS.items()}
    own = {name: str(card.get(key) or "").strip() for name, key in CARD_KEYS.items()}
    return Texts(**{**found, **{name: text for name, text in own.items() if text}})


def card_of(lora: Path) -> dict[str, Any]:
    """What is written on the card beside a LoRA; empty if there is none.

    Raises:
        UserError: it cannot be read.
    """
    path = lora.with_suffix(_CARD)
    return json_object(read_text(path), str(path)) if path.is_file() else {}


def edit(lora: Path, texts: Texts, backups: Path) -> Path:
    """Change what a LoRA file and its card say.

    Args:
        backups: the folder for what they said before.

    Returns:
        The header as it was, among the backups.

    Raises:
        UserError: a text is too long, the file is being written, it or its card cannot be read, or nothing can be
            written.
    """
    wanted = {name: one_line(getattr(texts, name)) for name in KEYS}
    for name, text in wanted.items():
        if len(text) > LONGEST:
            raise NetworkError(
                "networks.text_too_long", where=message(f"gallery.{name}"), count=len(text), most=LONGEST
            )
    with _alone(lora):
        header, table = _read(lora)
        card = card_of(lora)
        kept = _keep(lora, header, backups)
        changes = {key: plain(wanted[name]) for name, key in KEYS.items()}
        replace_whole(lora, chain([_with(table, changes)], _tensors(lora, len(header))))
        if card:
            new = {**card, **{key: wanted[name] for name, key in CARD_KEYS.items()}}
            replace_whole(lora.with_suffix(_CARD), [_card_bytes(new)])
    return kept


def undo(lora: Path, backups: Path) -> None:
    """Make a LoRA file what it was before its last change, byte for byte, and its card, too.

    Raises:
        UserError: it has never been changed, other tensors are in it now, or it cannot be written.
    """
    kept = last_backup(lora, backups)
    if kept is None:
        raise NetworkError("networks.nothing_to_undo", where=lora.name)
    with _alone(lora):
        header, table = _read(lora)
        before = _content(kept)
        if _without_metadata(json.loads(before[8:])) != _without_metadata(table):
            raise NetworkError("networks.other_tensors_now", where=lora.name)
        replace_whole(lora, chain([before], _tensors(lora, len(header))))
        card = kept.with_suffix(_CARD)
        if card.is_file():
            replace_whole(lora.with_suffix(_CARD), [_content(card)])
    kept.replace(kept.with_suffix(f"{_HEADER}{_UNDONE}"))


def last_backup(lora: Path, backups: Path) -> Path | None:
    """What a LoRA's header was before its last change that has not been undone."""
    found = sorted(_folder(lora, backups).glob(f"*{_HEADER}"))
    return found[-1] if found else None


def copied(source: Path, target: Path) -> Path:
    """Copy a LoRA file under a free name, and have the copy say that name.

    Args:
        target: where to; ``_2``, ``_3`` … is appended to its name if that is taken.

    Raises:
        UserError: the file cannot be read, or the copy cannot be written.
    """
    header, table = _read(source)
    with free_name(target, lambda _path: False) as path:
        named = {"ss_output_name": "" if path.stem.startswith("{") else plain(path.stem)}
        if KEYS["title"] in table.get(_METADATA, {}):
            named[KEYS["title"]] = plain(path.stem)
        return write_whole(path, chain([_with(table, named)], _tensors(source, len(header))))


# ---- bytes ----------------------------------------------------------------------------------------------------------


def _read(lora: Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a safetensors file's header with its length before it, and what it holds.

    Raises:
        UserError: the file is none, damaged, or of another format.
    """
    if not read_header(lora).spans:
        raise NetworkError("networks.only_safetensors", where=lora.name)
    try:
        with open_file(lora) as file:
            length = file.read(8)
            text = file.read(int.from_bytes(length, "little"))
    except OSError as error:
        raise NetworkError("networks.unreadable", where=lora.name, reason=reason_of(error)) from error
    table: dict[str, Any] = json.loads(text)
    return length + text, table


def _with(table: Mapping[str, Any], changes: Mapping[str, str]) -> bytes:
    """The header with other metadata, its length before it; keys are sorted as in files of ours, empty ones go."""
    metadata = {**(table.get(_METADATA) or {}), **changes}
    kept = {key: value for key, value in sorted(metadata.items()) if value or key not in changes}
    text = json.dumps({_METADATA: kept, **_without_metadata(table)}, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _without_metadata(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != _METADATA}


def _tensors(lora: Path, start: int) -> Iterator[bytes]:
    """The bytes of a file from ``start`` on."""
    with open_file(lora) as file:
        file.seek(start)
        while piece := file.read(_PIECE):
            yield piece


def _content(path: Path) -> bytes:
    """All of a small file."""
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise NetworkError("networks.unreadable", where=path.name, reason=reason_of(error)) from error


def _card_bytes(card: Mapping[str, Any]) -> bytes:
    return (json.dumps(card, ensure_ascii=False, indent=4) + "\n").encode()


# ---- one at a time, and what was before ------------------------------------------------------------------------------


@contextmanager
def _alone(lora: Path) -> Iterator[None]:
    """Nobody else writes the file in the block.

    Raises:
        NetworkError: somebody does.
    """
    with locked(lora) as is_free:
        if not is_free:
            raise NetworkError("networks.being_written", where=lora.name)
        yield


def _folder(lora: Path, backups: Path) -> Path:
    """The backups of one file: named after it, and after where it is."""
    place = hashlib.sha256(str(lora.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return backups / f"{lora.stem[:60]}-{place}"


def _keep(lora: Path, header: bytes, backups: Path) -> Path:
    folder, now = _folder(lora, backups), f"{datetime.now():%Y%m%d_%H%M%S_%f}"
    card = lora.with_suffix(_CARD)
    if card.is_file():
        write_whole(folder / f"{now}{_CARD}", [_content(card)])
    kept = write_whole(folder / f"{now}{_HEADER}", [header])
    first, *others = sorted(folder.glob(f"*{_HEADER}"))
    del first  # the file as it was made stays for good
    for old in others[: -(_MOST_BACKUPS - 1)]:
        old.unlink(missing_ok=True)
        old.with_suffix(_CARD).unlink(missing_ok=True)
    return kept
