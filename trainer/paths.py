"""Where things are kept, how they get there, whole or not at all, and how they are opened."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import tempfile
import time
import traceback
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from .errors import OutputError, UserError
from .text.messages import Message, message

CHECKOUT = Path(__file__).resolve().parent.parent
SHIPPED_PRESETS = CHECKOUT / "presets"
"""TrainTrain's."""
TRAINYARD_PRESETS = SHIPPED_PRESETS / "trainyard"
"""Our own, each for something that is wanted."""
MACHINE: Final = f"{zlib.crc32(socket.gethostname().encode()):08x}"
"""Names this machine in the names of files that are being written."""
_ATTEMPTS: Final = 10
_BETWEEN_ATTEMPTS: Final = 0.1
PROCESS: Final = uuid.uuid4().hex[:8]
"""Tells this process from earlier ones that had its number."""
_LONGEST_PART, _LONGEST_PATH = 255, 2000
"""Bytes of a name in a path, as file systems have them, and letters of a whole path."""
_BETWEEN = r"[/\\]" if os.name == "nt" else "/"
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


@dataclass(frozen=True)
class Folders:
    """The folders of one installation.

    Attributes:
        data: logs, saved settings, samples, the user's presets.
        loras: where finished LoRAs go.
        models: where a checkpoint given by name is looked for.
    """

    data: Path
    loras: Path
    models: Path

    @property
    def presets(self) -> list[Path]:
        """Where presets are looked for: the user's own first."""
        return [self.data / "presets", SHIPPED_PRESETS / "user", TRAINYARD_PRESETS, SHIPPED_PRESETS]

    @property
    def images(self) -> Path:
        """Where sets of images are that came in through the page or ``data unzip``."""
        return self.data / "images"

    @property
    def queue(self) -> Path:
        """Where the job store is, and the locks of those who run jobs from it."""
        return self.data / "queue"

    def lora(self, name: str, suffix: str = "") -> Path:
        return self.loras / f"{name}{suffix}.safetensors"

    def log(self, name: str, created: datetime, suffix: str = "") -> Path:
        return self._dated("logs", name, created, f"{suffix}.csv")

    def settings(self, name: str, created: datetime, ending: str = "") -> Path:
        return self._dated("jsons", name, created, f"{ending}.json")

    def run_log(self, name: str, created: datetime, suffix: str = "") -> Path:
        """The log every run keeps for its plot, asked for or not; ``suffix`` for one of several passes."""
        return self._dated("runs", name, created, f"{suffix}.csv")

    def account(self, name: str, created: datetime, ending: str = "") -> Path:
        """What the run said of its data before its first step, beside its log."""
        return self._dated("runs", name, created, f"{ending}.txt")

    def state(self, name: str, created: datetime, ending: str = "") -> Path:
        """What a run that was broken off is continued from; see :mod:`.engine.state`."""
        return self._dated("states", name, created, f"{ending}.state")

    def samples(self, name: str, created: datetime, ending: str = "") -> Path:
        return self._dated("samples", name, created, ending)

    def _dated(self, kind: str, name: str, created: datetime, suffix: str) -> Path:
        stem = f"{name.replace('/', '_')}-{created:%Y%m%d_%H%M%S}"
        return self.data / kind / f"{created:%Y%m%d}" / f"{stem}{suffix}"


@dataclass(frozen=True)
class RunFiles:
    """The files of one run. Runs of one name in one second have different ones; :mod:`.claims` sees to that.

    Attributes:
        ending: what is between the time and the suffix in their names; mostly nothing.
    """

    folders: Folders
    name: str
    created: datetime
    ending: str = ""

    def log(self, suffix: str = "") -> Path:
        return self.folders.log(self.name, self.created, f"{self.ending}{suffix}")

    def run_log(self, suffix: str = "") -> Path:
        return self.folders.run_log(self.name, self.created, f"{self.ending}{suffix}")

    @property
    def account(self) -> Path:
        return self.folders.account(self.name, self.created, self.ending)

    @property
    def settings(self) -> Path:
        return self.folders.settings(self.name, self.created, self.ending)

    @property
    def state(self) -> Path:
        return self.folders.state(self.name, self.created, self.ending)

    @property
    def samples(self) -> Path:
        return self.folders.samples(self.name, self.created, self.ending)


def is_device(part: str) -> bool:
    """Whether Windows takes a name in a path for a device, whatever folder it is in."""
    return part.partition(".")[0].rstrip(" ").upper() in _DEVICES


def path_problem(written: str) -> Message | None:
    """What is wrong with a text as a path on any system, without a full stop; None if nothing is."""
    if any(ord(character) < 32 for character in written):
        return message("paths.control_character")
    try:
        size = max((len(os.fsencode(part)) for part in re.split(_BETWEEN, written)), default=0)
    except UnicodeEncodeError:  # half of a pair of UTF-16
        return message("config.broken_character")
    if size > _LONGEST_PART or len(written) > _LONGEST_PATH:
        return message("paths.too_long", start=f"{written[:40]}…", count=len(written))
    return None


def path_of(written: str, where: str | Message = "", *, to_write: bool = False) -> Path:
    """The path that a text of the user's stands for, with the home folder for ``~``.

    Args:
        written: as it was typed.
        where: the setting that holds it, for errors; the text itself if left out.
        to_write: something is to be written there.

    Raises:
        UserError: it can be no path.
    """
    problem = path_problem(written)
    device = next((part for part in re.split(_BETWEEN, written) if is_device(part)), None)
    if problem is None and device is not None and (to_write or os.name == "nt"):
        problem = message("paths.device_name", name=device)
    path = Path(written)
    if problem is None and written.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:  # no user of that name
            if not os.path.exists(path):
                problem = message("paths.no_home", name=path.parts[0])
    if problem is not None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in written[:60])
        raise UserError("error.problem", where=where or f'"{shown}"', problem=problem)
    return path


def is_file(path: Path) -> bool:
    """Whether there is a file at a path, whatever the path is."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for the system, or with a null character in it
        return False


class NotAFile(OSError):
    """Something that has a path but no content of its own: a pipe, a socket, a device."""

    def __init__(self, kind: Message) -> None:
        super().__init__(str(kind))
        self.kind = kind


def open_file(path: Path | str) -> BinaryIO:
    """Open a file to read its bytes: the only way files of the user's are opened.

    A pipe would wait for somebody to write into it, and a device may do anything; neither is even touched.

    Raises:
        NotAFile: it is no regular file.
        OSError: there is none, or it cannot be opened; ValueError on a text that is no path is turned into it.
    """
    try:
        _refuse_unless_file(os.stat(path).st_mode)
        # What was a file may have become a pipe meanwhile.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:  # NUL, or a lone surrogate
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
    try:
        _refuse_unless_file(os.fstat(handle).st_mode)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _refuse_unless_file(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    kind = next((name for is_one, name in kinds if is_one(mode)), "device")
    raise NotAFile(message(f"paths.is_{kind}"))


def reason_of(error: OSError) -> Message | str:
    """Why a file could not be opened, read or written, to be put into a sentence."""
    return error.kind if isinstance(error, NotAFile) else error.strerror or str(error)


def write_whole(path: Path, pieces: Iterable[bytes], *, overwrite: bool = False) -> Path:
    """Write a file that is whole or absent: beside first, flushed to the disk, then renamed.

    Args:
        path: where to. If it is taken and ``overwrite`` is not set, ``_2``, ``_3`` … is appended to the name.
        pieces: the content, in order.

    Returns:
        The path written.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    with _written_beside(path, pieces) as beside:
        return _rename(beside, path, overwrite=overwrite)


def replace_whole(path: Path, pieces: Iterable[bytes | memoryview], *, flushed: bool = True) -> None:
    """Write a file that is whole or absent in place of the one that may be there, which stays until then.

    Args:
        flushed: whether it is on the disk when this returns; False for one of thousands that can be made again.

    Raises:
        OutputError: the folder cannot be written to, the disk is full, or (on Windows) the old file is open elsewhere.
    """
    with _written_beside(path, pieces, flushed=flushed) as beside:
        for attempt in range(_ATTEMPTS):
            try:
                os.replace(beside, path)
                break
            except PermissionError:  # Windows: somebody is reading the old one
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_BETWEEN_ATTEMPTS)
        if flushed:
            _sync_folder(path.parent)


def write_unless_there(path: Path, pieces: Iterable[bytes]) -> bool:
    """Write a file that is whole or absent; one that is there stays as it is.

    Returns:
        Whether it was written.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    if os.path.lexists(path):
        return False
    with _written_beside(path, pieces) as beside:
        return _put_unless_there(beside, path)


@contextmanager
def _written_beside(path: Path, pieces: Iterable[bytes | memoryview], *, flushed: bool = True) -> Iterator[Path]:
    """The content in a file beside ``path``, to be put in its place; gone when the block ends."""
    beside = path.with_name(f".{path.name[:60]}.{MACHINE}-{os.getpid()}-{PROCESS}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                if flushed:
                    os.fsync(file.fileno())
            yield beside
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError("paths.not_written", where=str(path), reason=error.strerror or error) from error


def _put_unless_there(beside: Path, path: Path) -> bool:
    try:
        os.link(beside, path)  # the only way that never replaces a file made meanwhile
    except FileExistsError:
        return False
    except OSError:  # memory cards and some network drives have no links
        if os.path.lexists(path):
            return False
        os.replace(beside, path)
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    """Have the names of a folder's files on the disk, too; where that cannot be asked for, the system sees to it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:  # Windows opens no folders, and some network drives sync none
        return


def free_path(path: Path) -> Path:
    """``path``, or the same with ``_2``, ``_3`` … appended to its name if it is taken."""
    return next((candidate for candidate in candidates(path) if not os.path.exists(candidate)), path)


def _rename(beside: Path, path: Path, *, overwrite: bool) -> Path:
    for candidate in candidates(path):
        if not overwrite:
            if _put_unless_there(beside, candidate):
                return candidate
            continue
        try:
            os.replace(beside, candidate)
        except PermissionError:
            if candidate.exists():  # Windows: the old file is open elsewhere, so the new one gets another name
                continue
            raise
        _sync_folder(candidate.parent)
        return candidate
    raise OutputError("paths.no_free_name", where=str(path))


def candidates(path: Path) -> Iterator[Path]:
    """``path``, then the same with ``_2``, ``_3`` … appended to its name."""
    yield path
    for number in range(2, 1000):
        yield path.with_name(f"{path.stem}_{number}{path.suffix}")


def kept_traceback(error: Exception) -> Message:
    """Write the traceback of a bug to a file; the message says where."""
    handle, name = tempfile.mkstemp(prefix="trainyard-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return message("paths.bug", kind=type(error).__name__, error=error, file=name)
