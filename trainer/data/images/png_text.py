"""Text and colour profiles in PNG files that are larger than Pillow reads, left out so that the pixels can be read.

Workflows, prompts and XMP of several megabytes are in many files, and every viewer shows them. Pillow refuses the whole
file; its limits belong to the whole process, so they are not changed here.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from PIL import PngImagePlugin

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_PROFILE = b"iCCP"
_MOST_PROFILE = 16 * 2**20
"""Bytes of a colour profile; real ones have at most a few million."""
_NO_PROFILE = b"\0"
"""Stands for one that is too large to be read, or broken: it is told as a broken one."""
_LONGEST_HEAD = 2**12
"""Bytes of a text's keyword and languages, and of what zlib adds to text that it cannot compress."""


@dataclass(frozen=True)
class PlainPNG:
    """A PNG file as Pillow can read it.

    Attributes:
        file: without the chunks that are too large; the file itself where none is.
        text: how many bytes of text are left out, as far as they were counted.
        profile: a colour profile that Pillow would refuse; None where Pillow reads it itself, or there is none.
    """

    file: IO[bytes]
    text: int = 0
    profile: bytes | None = None


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    """Of its length, in the file."""
    length: int
    """Of its content."""

    @property
    def end(self) -> int:
        return self.start + 12 + self.length


def plain_png(file: IO[bytes]) -> PlainPNG:
    """Look through the chunks of a PNG, which is at its start; what is read afterwards is at its start, too."""
    left_out: list[_Chunk] = []
    text = taken = 0
    profile = None
    for chunk in _chunks(file):
        if chunk.kind in _TEXT:
            size = _text_size(file, chunk)
            if size is None or taken + size > PngImagePlugin.MAX_TEXT_MEMORY:
                left_out.append(chunk)
                text += PngImagePlugin.MAX_TEXT_CHUNK if size is None else size
            else:
                taken += size
        elif chunk.kind == _PROFILE:
            compressed = _content(file, chunk, _MOST_PROFILE).partition(b"\0")[2][1:]
            if _inflated(compressed, PngImagePlugin.MAX_TEXT_CHUNK) is None:
                left_out.append(chunk)
                profile = _inflated(compressed, _MOST_PROFILE) or _NO_PROFILE
    file.seek(0)
    if not left_out:
        return PlainPNG(file)
    rest: io.RawIOBase = _Without(file, left_out)
    return PlainPNG(io.BufferedReader(rest), text, profile)


def _chunks(file: IO[bytes]) -> Iterator[_Chunk]:
    file.seek(len(_SIGNATURE))
    at = len(_SIGNATURE)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        chunk = _Chunk(kind, at, length)
        yield chunk
        if kind == b"IEND":
            return
        at = chunk.end
        file.seek(at)


def _content(file: IO[bytes], chunk: _Chunk, most: int) -> bytes:
    file.seek(chunk.start + 8)
    return file.read(min(chunk.length, most))


def _text_size(file: IO[bytes], chunk: _Chunk) -> int | None:
    """The bytes of the text in a chunk; None where it is compressed and more than Pillow reads."""
    head = _content(file, chunk, _LONGEST_HEAD)
    _, _, after = head.partition(b"\0")
    if chunk.kind == b"tEXt" or (chunk.kind == b"iTXt" and after[:1] == b"\0"):
        return chunk.length
    if chunk.length > PngImagePlugin.MAX_TEXT_CHUNK + _LONGEST_HEAD:
        return None
    rest = _content(file, chunk, chunk.length).partition(b"\0")[2]
    if chunk.kind == b"iTXt":
        rest = b"\0".join(rest[2:].split(b"\0", 2)[2:])  # after the language and the translated keyword
    found = _inflated(rest[1:] if chunk.kind == b"zTXt" else rest, PngImagePlugin.MAX_TEXT_CHUNK)
    return None if found is None else len(found)


def _inflated(compressed: bytes, most: int) -> bytes | None:
    """What was compressed, as far as it is whole; None if it is more than ``most`` bytes."""
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(compressed, most)
    except zlib.error:
        return b""
    return None if inflating.unconsumed_tail else found


class _Without(io.RawIOBase):
    """A file without some of its chunks, read-only."""

    def __init__(self, file: IO[bytes], left_out: list[_Chunk]) -> None:
        self._file = file
        self._kept: list[tuple[int, int]] = []  # where each stretch begins, and how long it is
        start = 0
        for chunk in left_out:
            self._kept.append((start, chunk.start - start))
            start = chunk.end
        end = file.seek(0, io.SEEK_END)
        self._kept.append((min(start, end), max(0, end - start)))
        self._length = sum(length for _, length in self._kept)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        at = self._at
        for start, length in self._kept:
            if at < length:
                self._file.seek(start + at)
                found = self._file.read(min(len(buffer), length - at))
                buffer[: len(found)] = found
                self._at += len(found)
                return len(found)
            at -= length
        return 0
