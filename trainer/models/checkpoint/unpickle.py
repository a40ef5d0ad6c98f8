"""Reading ``.ckpt``, ``.pt`` and ``.bin`` files without running anything that is in them.

Such a file is a pickle: a small program that names any function of any library and calls it. Here it knows tensors and
plain containers and nothing else. Every other name becomes an inert object that takes whatever the program does to it.
Nothing is imported, not even torch: what comes out says where each tensor's numbers lie in the file.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import ModelError
from ...paths import open_file
from .opcodes import DICT, INERT, LIST, LONGEST_PROGRAM, MOST_STEPS, TUPLE, Bytes, Known, Program, TooMuch

ITEM_SIZES: Mapping[str, int] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one element, by safetensors' names of the types."""

_STORAGES: Mapping[str, str] = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL", "UntypedStorage": "U8",
}  # fmt: skip
_DTYPES: Mapping[str, str] = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8",
    "bool": "BOOL",
}  # fmt: skip

MOST_DIMENSIONS = 64
"""Of a tensor: torch has no more."""
MOST_TENSORS = 200_000
LONGEST_NAME = 1000
"""Characters of a tensor's name; both are far above what any model has."""
_MOST_ENTRIES = 200_000
_LARGEST_DIRECTORY = 32 * 2**20
"""Bytes that a zip archive's list of its entries may have, which are read at once."""
_LARGEST_UNPACKED = 64 * 2**20
_MOST_UNPACKED = 20
"""A compressed archive holds at most these bytes, or so many times its size: weights hardly get smaller."""
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_LEGACY_START = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number as a pickle writes it, behind two bytes that say the pickle's protocol."""
_BROKEN = (
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, TypeError, ValueError,
    AttributeError, ImportError, NotImplementedError, OverflowError, RecursionError, MemoryError, RuntimeError, OSError,
)  # fmt: skip
"""What Python's pickle and zip machinery raise on bytes that make no sense; OSError is a jump to before the start."""


class Storage(NamedTuple):
    """A named run of ``length`` elements of type ``dtype`` in the file."""

    key: str
    dtype: str
    length: int


class StoredTensor(NamedTuple):
    """A tensor as a view of a storage; ``offset`` and ``stride`` count elements of ``dtype``."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Span(NamedTuple):
    """Where the bytes of a storage lie in the file; ``entry`` names the zip entry if it must be unpacked first."""

    offset: int
    length: int
    entry: str


@dataclass(frozen=True)
class Pickled:
    """The tensors a pickle file holds, by name, and where the bytes of their storages lie, by storage key."""

    tensors: Mapping[str, StoredTensor]
    spans: Mapping[str, Span]


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_ignored: object) -> StoredTensor:
    return _stored(storage, storage.dtype, offset, shape, stride)


def _tensor_with_dtype(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> StoredTensor:
    return _stored(storage, rest[2], offset, shape, stride)


def _stored(storage: Any, dtype: Any, offset: Any, shape: Any, stride: Any) -> StoredTensor:
    if not isinstance(storage, Storage) or max(len(shape), len(stride)) > MOST_DIMENSIONS:
        raise pickle.UnpicklingError("a tensor of no shape")
    return StoredTensor(storage, dtype, offset, tuple(shape), tuple(stride))


def _first(inner: object, *_ignored: object) -> object:
    return inner


def _of_type(function: Any, _type: object, arguments: Any, *_ignored: object) -> object:
    return function.function(*arguments) if isinstance(function, Known) else INERT


_FUNCTIONS: Mapping[str, Known] = {
    "_rebuild_tensor": Known(_tensor),
    "_rebuild_tensor_v2": Known(_tensor),
    "_rebuild_tensor_v3": Known(_tensor_with_dtype),
    "_rebuild_parameter": Known(_first),
    "_rebuild_parameter_with_state": Known(_first),
    "_rebuild_from_type_v2": Known(_of_type),
}
_CONTAINERS: Mapping[str, Known] = {"dict": DICT, "list": LIST, "tuple": TUPLE}


def _meaning(module: str, name: str) -> Any:
    """What a name in a program stands for."""
    if module == "collections" and name == "OrderedDict":
        return DICT
    if module in ("builtins", "__builtin__"):
        return _CONTAINERS.get(name, INERT)
    if module == "torch" and name == "Size":
        return TUPLE
    if module in ("torch", "torch.storage", "torch.cuda") and name in _STORAGES:
        return _STORAGES[name]
    if module == "torch" and name in _DTYPES:
        return _DTYPES[name]
    if module in ("torch._utils", "torch._tensor"):
        return _FUNCTIONS.get(name, INERT)
    return INERT


class _Reader:
    """Runs the programs of a file; ``storages`` has every storage that they mention."""

    def __init__(self, data: Bytes, size: int) -> None:
        self.storages: dict[str, Storage] = {}
        self.program = Program(data, size, _meaning, self._storage)

    def _storage(self, described: Any) -> Storage:
        kind, dtype, key, _location, count, *view = described
        if kind != "storage" or any(part is not None for part in view):
            raise pickle.UnpicklingError("a storage in a form that is no longer written")
        if not isinstance(dtype, str) or not isinstance(key, str) or not isinstance(count, int):
            raise pickle.UnpicklingError("a storage that makes no sense")
        return self.storages.setdefault(key, Storage(key, dtype, count))


def is_pickle(start: bytes) -> bool:
    """Whether a file that starts with these (at least 16) bytes is one that ``torch.save`` may have written."""
    return start.startswith(b"PK\x03\x04") or (start[:1] == b"\x80" and start[2:].startswith(_LEGACY_START))


def read_pickle(path: Path) -> Pickled:
    """Find the tensors of a file that ``torch.save`` wrote, in its zip form or the older one.

    Args:
        path: the file.

    Returns:
        What is where; no weights are read.

    Raises:
        ModelError: the file is cut short, damaged, of the other byte order, or describes tensors outside of itself.
    """
    with open_file(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            zipped = file.read(2) == b"PK"
            tree, spans = _read_zip(file, path.name, size) if zipped else _read_legacy(file, path.name, size)
            named = _flatten(_weights_of(tree), Allowance())
            tensors = {name: _checked(tensor, spans, path.name, size) for name, tensor in named}
        except TooMuch as error:
            raise ModelError("models.large_table", file=path.name) from error
        except _BROKEN as error:
            raise _damaged(path.name) from error
    return Pickled(tensors, spans)


def _read_zip(file: BinaryIO, name: str, size: int) -> tuple[object, dict[str, Span]]:
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        program = next((each for each in names if each == "data.pkl" or each.endswith("/data.pkl")), None)
        if program is None:
            raise ModelError("models.zip", file=name)
        folder = program[: -len("data.pkl")]
        order = _content(archive, folder + "byteorder", 100) if folder + "byteorder" in names else b"little"
        if order.decode().strip() != sys.byteorder:
            raise ModelError("models.byte_order", file=name)
        content = _content(archive, program, LONGEST_PROGRAM)
        spans = {}
        for each in names:
            if each.startswith(folder + "data/"):
                spans[each[len(folder) + len("data/") :]] = _span(file, archive.getinfo(each))
    if sum(span.length for span in spans.values() if span.entry) > max(_LARGEST_UNPACKED, _MOST_UNPACKED * size):
        raise TooMuch
    return _Reader(content, len(content)).program.run(), spans


def _check_directory(file: BinaryIO, size: int) -> None:
    """Python reads an archive's list of entries whole, and makes an object of a kilobyte for each.

    Raises:
        TooMuch: it is longer than any model's.
    """
    tail = min(size, 2**16 + 22 + 20 + 56)
    file.seek(size - tail)
    end = file.read(tail)
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or place + 22 > len(end):
        raise zipfile.BadZipFile
    entries, length = struct.unpack_from("<HL", end, place + 10)
    further = place - 20 - 56  # where the numbers are too large for that: a locator, and a record before it
    if further >= 0 and end[further : further + 4] == b"PK\x06\x06":
        entries, length = struct.unpack_from("<QQ", end, further + 32)
    if entries > _MOST_ENTRIES or min(length, size) > _LARGEST_DIRECTORY:
        raise TooMuch


def _content(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry's bytes.

    Raises:
        TooMuch: they are more than ``most``.
    """
    if archive.getinfo(name).file_size > most:
        raise TooMuch
    return archive.read(name)


def unpack(path: Path, span: Span) -> bytes:
    """The bytes of a storage that is compressed in its archive.

    Raises:
        ModelError: they are damaged.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            content = _content(archive, span.entry, span.length)
    except _BROKEN as error:
        raise _damaged(path.name) from error
    if len(content) != span.length:
        raise _damaged(path.name)
    return content


def _damaged(name: str) -> ModelError:
    return ModelError("models.damaged", file=name)


def _span(file: BinaryIO, entry: zipfile.ZipInfo) -> Span:
    if entry.compress_type != zipfile.ZIP_STORED:
        return Span(0, entry.file_size, entry.filename)
    file.seek(entry.header_offset)
    local = file.read(30)  # its last two fields are the lengths of the name and of the padding before the bytes
    name_length, extra_length = struct.unpack_from("<HH", local, 26)
    return Span(entry.header_offset + 30 + name_length + extra_length, entry.file_size, "")


def _read_legacy(file: BinaryIO, name: str, size: int) -> tuple[object, dict[str, Span]]:
    """The form before torch 1.6: five pickles one after the other, then each storage's count and bytes."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data, size)
        program = reader.program
        if program.run() != _LEGACY_MAGIC or program.run() != _LEGACY_VERSION:
            raise ModelError("models.not_a_model", file=name)
        system = program.run()
        if not system["little_endian"] or sys.byteorder != "little":
            raise ModelError("models.byte_order", file=name)
        tree, keys = program.run(), program.run()
        spans = {}
        at = program.at
        for key in keys:
            (count,) = struct.unpack("<q", data[at : at + 8])
            length = count * ITEM_SIZES[reader.storages[key].dtype]
            if not 0 <= length <= size - at:
                raise ModelError("models.damaged", file=name)
            spans[key] = Span(at + 8, length, "")
            at += 8 + length
    return tree, spans


def _weights_of(tree: object) -> object:
    inner = tree.get("state_dict") if isinstance(tree, dict) else None
    return inner if isinstance(inner, dict) else tree


class Allowance:
    """How much more of a file's table is looked at."""

    def __init__(self) -> None:
        self.items = MOST_STEPS
        self.tensors = MOST_TENSORS

    def take(self, items: int = 1, tensors: int = 0) -> None:
        """Raises:
        TooMuch: nothing is left.
        """
        self.items -= items
        self.tensors -= tensors
        if min(self.items, self.tensors) < 0:
            raise TooMuch


def _flatten(tree: object, left: Allowance, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, StoredTensor]]:
    if not isinstance(tree, dict) or depth > 4:
        return
    for key, value in tree.items():
        left.take()
        if isinstance(key, str) and len(prefix) + len(key) > LONGEST_NAME:
            if isinstance(value, (StoredTensor, dict)):
                raise TooMuch
        elif isinstance(value, StoredTensor):
            left.take(tensors=1)
            yield f"{prefix}{key}", value
        elif isinstance(key, str):
            yield from _flatten(value, left, f"{prefix}{key}.", depth + 1)


def _checked(tensor: StoredTensor, spans: Mapping[str, Span], name: str, file_size: int) -> StoredTensor:
    """The tensor, if all its elements lie within its storage and that within the file."""
    storage, dtype, offset, shape, stride = tensor
    numbers = (storage.length, offset, *shape, *stride)
    sound = (
        isinstance(dtype, str)
        and dtype in ITEM_SIZES
        and storage.dtype in ITEM_SIZES
        and len(shape) == len(stride)
        and all(type(number) is int and 0 <= number < 2**48 for number in numbers)
    )
    if sound:
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        end = 0 if 0 in shape else (last + 1) * ITEM_SIZES[dtype]
        held = storage.length * ITEM_SIZES[storage.dtype]
        span = spans.get(storage.key, Span(0, 0, ""))
        in_file = bool(span.entry) or span.offset + span.length <= file_size
        sound = end <= held and held <= span.length and in_file
    if not sound:
        raise ModelError("models.damaged_tensor", file=name)
    return tensor
