"""The state of a run in a file: everything it needs to continue as if it had not been broken off.

A safetensors file with JSON in its metadata, no pickle. :func:`summary` reads its header alone, and without torch.
``keeper`` writes states, ``basis`` says whether model and data are still what they were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..claims import broken_off
from ..config.schema import dump
from ..config.settings import ROWS, SECOND_PASS_KEY
from ..errors import StateError, UserError
from ..job import Job
from ..models.checkpoint.header import Header, read_header
from ..paths import Folders, RunFiles
from ..text.messages import Message, label, message

if TYPE_CHECKING:  # the queue looks at summaries without waiting for torch
    from torch import Tensor

FORMAT: Final = 1
_KEY: Final = "trainyard.state"
_CONTENT: Final = "trainyard.content"
_HASH: Final = "trainyard.sha256"
_UNKNOWN_HASH: Final = "0" * 64


@dataclass(frozen=True)
class Summary:
    """Where a run would continue.

    Attributes:
        job: the id of its job, which was made at ``created``.
        step: the steps that are done, of ``steps`` in this pass.
        pass_number: counted from 1, of ``passes``.
    """

    job: str
    name: str
    created: datetime
    step: int
    steps: int
    pass_number: int
    passes: int


@dataclass(frozen=True)
class RunState:
    """A state that has been read.

    Attributes:
        settings: the text of the job's settings file.
        content: what ``keeper`` put in, packed by :class:`.optim.values.Packed`.
        tensors: its tensors, on the CPU.
    """

    summary: Summary
    settings: str
    content: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def require(self, job: Job) -> None:
        """Refuse the state of another job, or of this one with other settings.

        Raises:
            StateError: it is one.
        """
        if (self.summary.name, self.summary.created) != (job.name, job.created):
            raise refused(message("engine.state_of_other_job", name=self.summary.name))
        changed = list(_changed(json.loads(self.settings), json.loads(dump(job.settings))))
        if changed:
            raise refused(message("engine.state_of_other_settings", settings=changed))


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Message | str]:
    labels: dict[str, Message | str] = {row.key: label(row.name) for row in ROWS}
    labels[SECOND_PASS_KEY] = message("config.second_pass")
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key):
            yield labels.get(key, key)


def refused(reason: Message) -> StateError:
    """The error for a state that a run cannot continue from."""
    return StateError("engine.state_refused", reason=reason)


def summary(path: Path) -> Summary:
    """Where the run would continue, from the file's header alone.

    Raises:
        StateError: there is no state, or it is none that can be used.
    """
    return _summary(path, _header(path))


def _header(path: Path) -> Header:
    if not path.is_file():
        raise StateError("engine.no_state", path=path)
    try:
        header = read_header(path)
    except UserError as error:
        raise refused(message("engine.state_broken", path=path)) from error
    if _KEY not in header.metadata:
        raise refused(message("engine.state_foreign", path=path))
    return header


def _summary(path: Path, header: Header) -> Summary:
    try:
        told = json.loads(header.metadata[_KEY])
        if told["format"] != FORMAT:
            raise refused(message("engine.state_of_other_version", path=path))
        numbers = {name: int(told[name]) for name in ("step", "steps", "pass_number", "passes")}
        return Summary(str(told["job"]), str(told["name"]), datetime.fromisoformat(told["created"]), **numbers)
    except (ValueError, TypeError, KeyError) as error:
        raise refused(message("engine.state_broken", path=path)) from error


def is_of(path: Path, job: Job) -> bool:
    """Whether a state is of a job; one that is broken is taken for it, and says so when it is read.

    Of ``job``'s own settings: a state of the same job with other settings is not of it.
    """
    try:
        return summary(path).job == job.id
    except StateError:
        return True


def left_by(job: Job, folders: Folders) -> list[Path]:
    """The states that runs of ``job`` have left, the latest first; whole ones only."""
    return [files.state for files in broken_off(job, folders, lambda path: _job_of(path) == job.id)]


def find(job: Job, folders: Folders) -> Path | None:
    """The state that ``job`` would be continued from; None if there is none."""
    return next(iter(left_by(job, folders)), None)


def _job_of(path: Path) -> str:
    """The id of the job that a state is of; empty if it is no whole state."""
    try:
        return summary(path).job
    except StateError:
        return ""


def read_for(job: Job, files: RunFiles) -> RunState:
    """The state among a run's files.

    Raises:
        StateError: see :func:`read`; or it is of another job, or of other settings.
    """
    path = files.state
    if not path.is_file():  # what is there under that name is somebody else's, and says whose
        path = files.folders.state(job.name, job.created)
    found = read(path)
    found.require(job)
    return found


def read(path: Path) -> RunState:
    """The whole of a state.

    Raises:
        StateError: there is none, or it is half written, damaged or something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    header = _header(path)
    found = _summary(path, header)
    try:
        whole = path.read_bytes()
        body = memoryview(whole)[8 + int.from_bytes(whole[:8], "little") :]
        content = json.loads(header.metadata[_CONTENT])
        if _hash(header.metadata[_CONTENT], body) != header.metadata[_HASH]:
            raise ValueError("damaged")
        return RunState(found, str(content["settings"]), content, load(whole))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise refused(message("engine.state_broken", path=path)) from error


def pieces(found: Summary, settings: str, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Any]:
    """The bytes of a state's file, in order; see :class:`RunState`."""
    from safetensors.torch import save

    told = {**vars(found), "created": found.created.isoformat(), "format": FORMAT}
    text = json.dumps({**content, "settings": settings})
    metadata = {_KEY: json.dumps(told), _CONTENT: text, _HASH: _UNKNOWN_HASH}
    whole = memoryview(save(dict(tensors), metadata))
    length = 8 + int.from_bytes(whole[:8], "little")
    body = whole[length:]
    digest = _hash(text, body)
    unknown, known = (f'"{_HASH}":"{value}"'.encode() for value in (_UNKNOWN_HASH, digest))
    head = bytes(whole[:length])
    assert head.count(unknown) == 1  # texts of users are quoted, so theirs cannot be the same
    return [head.replace(unknown, known), body]


def _hash(text: str, body: memoryview) -> str:
    whole = hashlib.sha256(text.encode())
    whole.update(body)
    return whole.hexdigest()


def remove(path: Path) -> None:
    """Delete a state that is no longer needed; one that is not there is no error.

    Raises:
        OSError: it cannot be deleted.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()
