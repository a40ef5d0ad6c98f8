"""A set as one zip archive, made while it is sent: images, captions, masks and lists, as a run would read them."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..data.captions.json_files import LIST
from ..data.files import CAPTION_ENDINGS, is_image
from ..paths import open_file
from .image_set import ImageSet
from .incoming import INCOMING, files_in

_PIECE: Final = 2**20
_OLDEST: Final = time.struct_time((1980, 1, 1, 0, 0, 0, 1, 1, 0))


def packed(images: ImageSet) -> Iterator[bytes]:
    """The bytes of the archive, in pieces. Images are stored as they are, since they would not get smaller; what is set
    aside stays out. A file that goes away meanwhile is left out."""
    out = _Pieces()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]
        for path in sorted(_to_pack(images.folder)):
            yield from _add(archive, out, path, path.relative_to(images.folder).as_posix())
    yield out.taken()


def _to_pack(folder: Path) -> Iterator[Path]:
    for path in files_in(folder):
        name = path.name.lower()
        if INCOMING not in path.parts and (is_image(name) or name.endswith(CAPTION_ENDINGS) or name == LIST):
            yield path


def _add(archive: zipfile.ZipFile, out: _Pieces, path: Path, name: str) -> Iterator[bytes]:
    try:
        with open_file(path) as file:
            stat = os.fstat(file.fileno())
            written = max(time.localtime(stat.st_mtime), _OLDEST)
            entry = zipfile.ZipInfo(name, written[:6])
            entry.external_attr = 0o644 << 16
            entry.file_size = stat.st_size
            with archive.open(entry, "w") as target:
                while piece := file.read(_PIECE):
                    target.write(piece)
                    yield out.taken()
    except OSError:
        return


class _Pieces:
    """A file that is only ever appended to, and whose content is taken out piece by piece."""

    def __init__(self) -> None:
        self._pieces = bytearray()
        self._told = 0

    def write(self, content: bytes) -> int:
        self._pieces += content
        self._told += len(content)
        return len(content)

    def tell(self) -> int:
        return self._told

    def flush(self) -> None:
        """Nothing is held back."""

    def seekable(self) -> bool:
        """Sizes are written behind each file, then."""
        return False

    def taken(self) -> bytes:
        found = bytes(self._pieces)
        self._pieces.clear()
        return found
