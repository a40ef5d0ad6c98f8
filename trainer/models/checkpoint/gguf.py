"""The header of a GGUF file, so that a file that cannot be trained on is at least called what it is.

After the format's description in the ggml project: little-endian, version 2 and 3. Its weights are never read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ...paths import open_file
from .header import LONGEST_HEADER, Header, TensorInfo, not_a_model
from .unpickle import LONGEST_NAME, MOST_DIMENSIONS, MOST_TENSORS

MAGIC: Final = b"GGUF"
_NUMBERS: Mapping[int, str] = MappingProxyType(
    {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
)
"""Type of a value -> its struct code."""
_STRING, _ARRAY = 8, 9
_TYPES: Mapping[int, str] = MappingProxyType(
    {
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
        12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 30: "BF16",
    }
)  # fmt: skip
"""Types of tensors that models are published in."""
_ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
"""How the key begins under which a tensor of more sizes than the format allows has them."""
_LONGEST_KEPT = 1000
"""Letters of a text that is kept, and numbers of a list."""


def gguf_header(path: Path) -> Header | None:
    """The header of a GGUF file; None for a file of another format, or none at all.

    Raises:
        ModelError: it is cut short within the header, or damaged.
    """
    try:
        with open_file(path) as file:
            text = file.read(len(MAGIC))
            if text != MAGIC:
                return None
            text += file.read(LONGEST_HEADER)
    except OSError:
        return None  # which the reader of all other formats explains
    try:
        return _parse(_Reader(text))
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise not_a_model(path.name) from error


class _Reader:
    """Values from the beginning of a file, one after another.

    Raises:
        ValueError, struct.error, KeyError: there is no such value.
    """

    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, len(MAGIC)

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self._text, self._at)
        self._at += struct.calcsize(f"<{code}")
        return int(value) if code not in ("f", "d") else 0

    def string(self) -> str:
        length = self.number("Q")
        if length > len(self._text) - self._at:
            raise ValueError("a text that ends behind the file")
        self._at += length
        return self._text[self._at - length : self._at].decode("utf-8", "replace")

    def value(self) -> str | int | list[int]:
        kind = self.number("I")
        if kind == _STRING:
            return self.string()
        return self._array() if kind == _ARRAY else self.number(_NUMBERS[kind])

    def _array(self) -> list[int]:
        """The numbers of a short list; nothing of a long one, or of one of texts (a tokenizer's)."""
        kind, count = self.number("I"), self.number("Q")
        if count > len(self._text) - self._at:
            raise ValueError("a list that ends behind the file")
        if kind == _STRING:
            for _ in range(count):
                self.string()
            return []
        if count > _LONGEST_KEPT:
            self._at += count * struct.calcsize(f"<{_NUMBERS[kind]}")
            return []
        return [self.number(_NUMBERS[kind]) for _ in range(count)]


def _parse(reader: _Reader) -> Header:
    if reader.number("I") not in (2, 3):
        raise ValueError("a version that is not known")
    tensor_count, value_count = reader.number("Q"), reader.number("Q")
    if tensor_count > MOST_TENSORS or value_count > MOST_TENSORS:
        raise ValueError("more than a model has")
    metadata: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(value_count):
        key, value = reader.string(), reader.value()
        if key.startswith(_ORIGINAL_SHAPE) and isinstance(value, list):
            shapes[key.removeprefix(_ORIGINAL_SHAPE)] = tuple(value)
        elif isinstance(value, str) and len(value) <= _LONGEST_KEPT:
            metadata[key] = value
    tensors: dict[str, TensorInfo] = {}
    for _ in range(tensor_count):
        name, dimensions = reader.string(), reader.number("I")
        if len(name) > LONGEST_NAME or dimensions > MOST_DIMENSIONS:
            raise ValueError("a tensor unlike a model's")
        sizes = tuple(reader.number("Q") for _ in range(dimensions))[::-1]
        kind, _ = reader.number("I"), reader.number("Q")
        tensors[name] = TensorInfo(_TYPES.get(kind, f"GGML {kind}"), shapes.get(name, sizes))
    return Header(tensors, metadata)
