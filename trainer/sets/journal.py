"""What was done to a set, so that it can be undone: on the disk before anything is changed, and after a restart too.

One file a set, a line of JSON each: an entry, or that one was undone or done again. What a file held is kept byte for
byte.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..claims import locked
from ..errors import OutputError, UserError
from ..paths import replace_whole
from ..text.messages import Message, from_json

MOST_BYTES: Final = 32_000_000
"""Of a journal; when it has more, its oldest entries go."""
_PATIENCE: Final = 10.0
_BETWEEN: Final = 0.02
_TOGETHER: Final = 60.0
"""Seconds within which changes of one caption are one to be undone, as somebody types it."""


@dataclass(frozen=True)
class Written:
    """What a file held before and after; None where there was none."""

    name: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True)
class Moved:
    """Where a file was, and where it is, inside the set."""

    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One thing that was done.

    Attributes:
        what: in words.
        count: how many images it was done to.
        at: when, in seconds since 1970.
        part: of what longer work it is a part; parts of one work that follow each other are one to be undone.
    """

    what: Message
    count: int
    at: float
    writes: tuple[Written, ...] = ()
    moves: tuple[Moved, ...] = ()
    part: str = ""

    def joined(self, later: Entry) -> Entry | None:
        """Both as one, if they are parts of one work, or changes of one caption soon after each other."""
        if self.part or later.part:
            if self.part != later.part:
                return None
            return replace(later, count=self.count + later.count, writes=self.writes + later.writes)
        if self.moves or later.moves or len(self.writes) != 1 or len(later.writes) != 1:
            return None
        one, two = self.writes[0], later.writes[0]
        if one.name != two.name or one.after != two.before or later.at - self.at > _TOGETHER:
            return None
        return replace(later, writes=(Written(one.name, one.before, two.after),))


class Journal:
    """The entries of one set. Whoever changes the set holds :meth:`held` meanwhile."""

    def __init__(self, folder: Path, journals: Path) -> None:
        """Args:
        folder: the set's.
        journals: where journals are.
        """
        real = os.path.realpath(folder)
        mark = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
        stem = re.sub(r"[^\w-]+", "_", folder.name)[:40]
        self.path = journals / f"{stem}-{mark}.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes the set while the block lasts.

        Raises:
            UserError: somebody else does, for longer than one waits.
        """
        began = time.monotonic()
        while True:
            with locked(self.path) as is_free:
                if is_free:
                    yield
                    return
            if time.monotonic() - began > _PATIENCE:
                raise UserError("sets.is_busy")
            time.sleep(_BETWEEN)

    def entries(self) -> tuple[list[Entry], list[Entry]]:
        """What can be undone and what can be done again, each with the next one at its end."""
        done: list[Entry] = []
        undone: list[Entry] = []
        for line in self._lines():
            if "undone" in line and done:
                undone.append(done.pop())
            elif "again" in line and undone:
                done.append(undone.pop())
            elif "entry" in line:
                undone.clear()
                entry = _entry(line["entry"])
                joined = done[-1].joined(entry) if done and not line.get("apart") else None
                done[-1:] = [joined] if joined else [*done[-1:], entry]
        return done, undone

    def add(
        self,
        what: Message,
        count: int,
        writes: Sequence[Written] = (),
        moves: Sequence[Moved] = (),
        *,
        apart: bool,
        part: str = "",
    ) -> None:
        """Note what is about to be done; on the disk when this returns.

        Args:
            apart: it is to be undone by itself, whatever came before it.
            part: of what longer work it is a part, whose parts are undone together; needs ``apart`` to be False.

        Raises:
            OutputError: it cannot be written.
        """
        entry = {
            "what": what.as_json(),
            "count": count,
            "at": time.time(),
            "writes": [[each.name, _kept(each.before), _kept(each.after)] for each in writes],
            "moves": [[each.before, each.after] for each in moves],
            **({"part": part} if part else {}),
        }
        self._append({"entry": entry, **({"apart": True} if apart else {})})

    def undo(self) -> None:
        """Note that the last entry is undone."""
        self._append({"undone": 1})

    def again(self) -> None:
        """Note that the last one that was undone is done again."""
        self._append({"again": 1})

    # ---- the file ---------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError("config.file_unreadable", where=str(self.path), reason=error.strerror or error) from error
        for line in content.splitlines():
            try:
                found = json.loads(line)
            except ValueError:  # the last line of a program that was killed
                continue
            if isinstance(found, dict):
                yield found

    def _append(self, line: Mapping[str, Any]) -> None:
        content = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                if file.tell() and not _ends_a_line(file):
                    file.write(b"\n")
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
        except OSError as error:
            raise OutputError("paths.not_written", where=str(self.path), reason=error.strerror or error) from error
        if size > MOST_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        """Keep the latest half of it, as what is done; what was undone is gone with that."""
        kept: list[bytes] = []
        size = 0
        done, _ = self.entries()
        for entry in reversed(done):
            writes = [[each.name, _kept(each.before), _kept(each.after)] for each in entry.writes]
            moves = [[each.before, each.after] for each in entry.moves]
            told = {"what": entry.what.as_json(), "count": entry.count, "at": entry.at, "part": entry.part}
            line = json.dumps({"entry": {**told, "writes": writes, "moves": moves}, "apart": True}, ensure_ascii=False)
            size += len(line)
            if kept and size > MOST_BYTES // 2:
                break
            kept.append(line.encode("utf-8", "replace") + b"\n")
        replace_whole(self.path, reversed(kept))


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _entry(kept: Mapping[str, Any]) -> Entry:
    writes = tuple(Written(name, _revived(before), _revived(after)) for name, before, after in kept["writes"])
    moves = tuple(Moved(before, after) for before, after in kept["moves"])
    return Entry(from_json(kept["what"]), kept["count"], kept["at"], writes, moves, kept.get("part", ""))


def _kept(content: bytes | None) -> str | dict[str, str] | None:
    """As JSON has it: text as it is."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"bytes": base64.b64encode(content).decode()}


def _revived(kept: str | dict[str, str] | None) -> bytes | None:
    if isinstance(kept, dict):
        return base64.b64decode(kept["bytes"])
    return None if kept is None else kept.encode()
