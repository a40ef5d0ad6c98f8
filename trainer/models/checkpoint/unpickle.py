"""Reading ``.ckpt``, ``.pt`` and ``.bin`` files without running anything that is in them.

Such a file is a pickle: a small program that names any function of any library and calls it. The unpickler here knows
tensors and plain containers and nothing else. Every other name becomes an inert object that takes whatever the program
does to it. Nothing is imported, not even torch: what comes out says where each tensor's numbers lie in the file.
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ModelError

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

_LARGEST_PICKLE = 256 * 2**20
"""The program without the weights; a checkpoint's has less than one MiB, with an optimizer's state a few."""
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


class _Inert:
    """Stands for everything that is not known: it can be made, called, filled and given a state, and does nothing."""

    __slots__ = ()

    def __new__(cls, *args: object, **kwargs: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __call__(self, *args: object, **kwargs: object) -> _Inert:
        return self

    # A separate function for the state also keeps the pickle from setting attributes, on an instance or on the class.
    def __setstate__(self, *state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, item: object) -> None: ...

    def extend(self, items: object) -> None: ...

    def add(self, item: object) -> None: ...


class _Known:
    """One of our own functions, as the pickle may call it; like `_Inert` it ignores a state."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: object) -> Any:
        return self._function(*args)

    def __setstate__(self, *state: object) -> None: ...


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_ignored: object) -> StoredTensor:
    return StoredTensor(storage, storage.dtype, offset, tuple(shape), tuple(stride))


def _tensor_with_dtype(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> StoredTensor:
    return StoredTensor(storage, rest[2], offset, tuple(shape), tuple(stride))


def _first(inner: object, *_ignored: object) -> object:
    return inner


def _of_type(function: Any, _type: object, arguments: Any, *_ignored: object) -> object:
    return function(*arguments) if isinstance(function, _Known) else _Inert()


class _TensorUnpickler(pickle.Unpickler):
    """Python's unpickler, with every name looked up in our own short table.

    ``storages`` has every storage the program mentions, also those of an optimizer or of things that are not known.
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "collections" and name == "OrderedDict":
            return OrderedDict
        if module in ("builtins", "__builtin__"):
            containers: dict[str, type] = {
                "dict": dict,
                "list": list,
                "tuple": tuple,
                "set": set,
                "frozenset": frozenset,
            }
            return containers.get(name, _Inert)
        if module == "torch" and name == "Size":
            return tuple
        if module in ("torch", "torch.storage", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module in ("torch._utils", "torch._tensor"):
            functions: dict[str, Callable[..., Any]] = {
                "_rebuild_tensor": _tensor,
                "_rebuild_tensor_v2": _tensor,
                "_rebuild_tensor_v3": _tensor_with_dtype,
                "_rebuild_parameter": _first,
                "_rebuild_parameter_with_state": _first,
                "_rebuild_from_type_v2": _of_type,
            }
            if name in functions:
                return _Known(functions[name])
        return _Inert

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _location, count, *view = pid
        if kind != "storage" or any(part is not None for part in view):
            raise pickle.UnpicklingError("a storage in a form that is no longer written")
        return self.storages.setdefault(str(key), Storage(str(key), dtype, count))


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
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    try:
        tree, spans = _read_zip(path) if zipped else _read_legacy(path)
        size = path.stat().st_size
        tensors = {name: _checked(tensor, spans, path.name, size) for name, tensor in _flatten(_weights_of(tree))}
    except _BROKEN as error:
        raise _damaged(path.name) from error
    return Pickled(tensors, spans)


def _read_zip(path: Path) -> tuple[object, dict[str, Span]]:
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        names = archive.namelist()
        program = next((name for name in names if name == "data.pkl" or name.endswith("/data.pkl")), None)
        if program is None:
            raise ModelError("models.zip", file=path.name)
        folder = program[: -len("data.pkl")]
        order = archive.read(folder + "byteorder").decode().strip() if folder + "byteorder" in names else "little"
        if order != sys.byteorder:
            raise ModelError("models.byte_order", file=path.name)
        if archive.getinfo(program).file_size > _LARGEST_PICKLE:
            raise ModelError("models.large_pickle", file=path.name)
        tree = _load(io.BytesIO(archive.read(program)))
        spans = {}
        for name in names:
            if name.startswith(folder + "data/"):
                spans[name[len(folder) + len("data/") :]] = _span(file, archive.getinfo(name))
        return tree, spans


def unpack(path: Path, span: Span) -> bytes:
    """The bytes of a storage that is compressed in its archive.

    Raises:
        ModelError: they are damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(span.entry)
    except _BROKEN as error:
        raise _damaged(path.name) from error
    if len(content) != span.length:
        raise _damaged(path.name)
    return content


def _damaged(name: str) -> ModelError:
    return ModelError("models.damaged", file=name)


def _load(file: Any) -> Any:
    return _TensorUnpickler(file).load()


def _span(file: io.BufferedReader, entry: zipfile.ZipInfo) -> Span:
    if entry.compress_type != zipfile.ZIP_STORED:
        return Span(0, entry.file_size, entry.filename)
    file.seek(entry.header_offset)
    local = file.read(30)  # its last two fields are the lengths of the name and of the padding before the bytes
    name_length, extra_length = struct.unpack_from("<HH", local, 26)
    return Span(entry.header_offset + 30 + name_length + extra_length, entry.file_size, "")


def _read_legacy(path: Path) -> tuple[object, dict[str, Span]]:
    """The form before torch 1.6: five pickles one after the other, then each storage's count and bytes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if _load(data) != _LEGACY_MAGIC or _load(data) != _LEGACY_VERSION:
            raise ModelError("models.not_a_model", file=path.name)
        system = _load(data)
        if not system["little_endian"] or sys.byteorder != "little":
            raise ModelError("models.byte_order", file=path.name)
        program = _TensorUnpickler(data)
        tree = program.load()
        spans = {}
        for key in _load(data):
            (count,) = struct.unpack("<q", data.read(8))
            length = count * ITEM_SIZES[program.storages[str(key)].dtype]
            spans[str(key)] = Span(data.tell(), length, "")
            data.seek(length, io.SEEK_CUR)
    return tree, spans


def _weights_of(tree: object) -> object:
    inner = dict.get(tree, "state_dict") if isinstance(tree, dict) else None
    return inner if isinstance(inner, dict) else tree


def _flatten(tree: object, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, StoredTensor]]:
    if not isinstance(tree, dict) or depth > 4:
        return
    # dict's own functions: a pickle may have hung something else on the instance under their names.
    for key, value in dict.items(tree):
        if isinstance(value, StoredTensor):
            yield f"{prefix}{key}", value
        elif isinstance(key, str):
            yield from _flatten(value, f"{prefix}{key}.", depth + 1)


def _checked(tensor: StoredTensor, spans: Mapping[str, Span], name: str, file_size: int) -> StoredTensor:
    """The tensor, if all its elements lie within its storage and that within the file."""
    storage, dtype, offset, shape, stride = tensor
    numbers = (storage.length, offset, *shape, *stride)
    sound = (
        dtype in ITEM_SIZES
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
