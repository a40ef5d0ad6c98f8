"""What a file says of itself before its weights: names, types and shapes of its tensors, and its metadata.

Nothing here imports torch or reads a weight, so a wrong file is refused at once, however large it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ModelError
from ...paths import open_file, reason_of
from .unpickle import LONGEST_NAME, MOST_DIMENSIONS, is_pickle, read_pickle

LONGEST_HEADER = 16 * 2**20
"""Bytes. A model's is less than one MiB, a LoRA's with all its tags a few; safetensors itself allows 100 MB, which take
gigabytes of memory once they are read."""
_LONGEST_ALLOWED = 100_000_000
_LONGEST_SIZE = 15
"""Digits of a number in the header."""


class TensorInfo(NamedTuple):
    """Type (safetensors' name: ``F16``, ``BF16``, ``F32`` …) and shape of one tensor."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """The tensors of one file by name, and its metadata (empty where the format has none).

    ``spans``: where the bytes of each tensor begin and end in the file; empty for formats other than safetensors.
    """

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str] = field(default_factory=dict)
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def read_header(path: Path) -> Header:
    """Read a model file's header; the format is recognised by its content, not by its name.

    Raises:
        ModelError: there is no such file, or it is no model file, empty, cut short or damaged.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(512)
            if is_pickle(start):
                return _pickle_header(path)
            refuse_foreign(path.name, start)
            length = int.from_bytes(start[:8], "little")
            if start[8:9] != b"{" or not 2 <= length <= _LONGEST_ALLOWED:
                raise not_a_model(path.name)
            if length > LONGEST_HEADER:
                raise ModelError("models.large_table", file=path.name)
            file.seek(8)
            text = file.read(length)
    except FileNotFoundError as error:
        raise ModelError("models.no_file", file=path.name, folder=path.parent) from error
    except OSError as error:
        raise ModelError("models.unreadable", file=path.name, reason=reason_of(error)) from error
    if len(text) < length:
        raise cut_short(path.name, 8 + length, size)
    return _parse(text, path.name, size - 8 - length)


def _pickle_header(path: Path) -> Header:
    stored = read_pickle(path).tensors
    return Header({name: TensorInfo(tensor.dtype, tensor.shape) for name, tensor in stored.items()})


def refuse_foreign(name: str, start: bytes) -> None:
    """Raise for content that is recognisably something else than weights.

    Raises:
        ModelError: empty, a web page, a Git LFS pointer, GGUF, or text.
    """
    if not start:
        raise ModelError("models.empty", file=name)
    if start[:4] == b"GGUF":
        raise ModelError("models.gguf", file=name)
    head = start.lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        raise ModelError("models.web_page", file=name)
    if head.startswith(b"version https://git-lfs"):
        raise ModelError("models.lfs_pointer", file=name)
    if all(byte in b"\t\n\r" or byte >= 32 for byte in start) and start[8:9] != b"{":
        raise ModelError("models.text_file", file=name)


def not_a_model(name: str) -> ModelError:
    return ModelError("models.not_a_model", file=name)


def cut_short(name: str, wanted: int, size: int) -> ModelError:
    return ModelError("models.cut_short", file=name, size=size, wanted=wanted)


def _parse(text: bytes, name: str, room: int) -> Header:
    """The header of a safetensors file with ``room`` bytes behind it."""
    try:
        table: dict[str, Any] = json.loads(text, parse_int=_whole, parse_constant=_refused)
        metadata = {str(key): str(value) for key, value in (table.pop("__metadata__", None) or {}).items()}
        tensors, spans = {}, {}
        for tensor, entry in table.items():
            tensors[tensor] = TensorInfo(str(entry["dtype"]), tuple(entry["shape"]))
            first, last = entry["data_offsets"]
            if not _is_sound(tensor, (*tensors[tensor].shape, first, last)) or first > last:
                raise ValueError("a tensor outside of the file")
            spans[tensor] = (8 + len(text) + first, 8 + len(text) + last)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise not_a_model(name) from error
    end = 8 + len(text)
    for first, last in sorted(spans.values()):
        if first < end:  # every tensor has bytes of its own
            raise ModelError("models.damaged", file=name)
        end = last
    if end > 8 + len(text) + room:
        raise cut_short(name, end, 8 + len(text) + room)
    return Header(tensors, metadata, spans)


def _is_sound(name: str, numbers: tuple[Any, ...]) -> bool:
    """Whether a tensor's name and the numbers of its table are such as a model may have."""
    whole = all(type(number) is int and number >= 0 for number in numbers)
    return whole and len(name) <= LONGEST_NAME and len(numbers) <= MOST_DIMENSIONS + 2


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_SIZE:
        raise ValueError("a number too large for any file")
    return int(digits)


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number")
