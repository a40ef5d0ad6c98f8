"""What is known of image files from earlier runs, so that no file is decoded twice; without torch.

A key holds everything that the value depends on, so that nothing has to be told when it changes: the bytes of the
image's file, what is cut out of it, our own code and the libraries. Nothing is found by a name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache as once
from importlib import metadata
from pathlib import Path
from typing import Any

from ..config.size import Size
from ..text.messages import Message
from .cache import DataCache, Mark, key_of
from .images.decoding import ImageInfo
from .images.fingerprint import Fingerprint
from .samples import Sample

_PACKAGE = Path(__file__).parent.parent
_ROOMS = ("data", "models")
"""Those whose code makes pixels, latents and conditionings."""
_LIBRARIES = (
    "torch", "diffusers", "transformers", "tokenizers", "numpy", "pillow", "pillow-avif-plugin", "pillow-heif",
    "pillow-jxl-plugin",
)  # fmt: skip
_NOT_SEEN = frozenset(("caption", "written", "subset"))
"""Of a sample, what its pixels do not depend on."""


def kept_info(path: Path, cache: DataCache, look: Callable[[], ImageInfo], kind: str = "image") -> ImageInfo:
    """What is known of an image's file, from ``look`` if it is not known yet.

    Args:
        kind: sets apart what is found out of the same file for another purpose.
    """
    content = cache.known_content(path)
    if content is not None:
        kept = cache.get(_info_key(kind, content))
        info = None if kept is None else _revived_info(path, kept)
        if info is not None:
            return info
    before = Mark.now(path)
    info = look()
    content = cache.content(path)  # only now: whatever else is called an image need not be read to its end
    if content is not None and Mark.now(path) == before:
        cache.put(_info_key(kind, content), _info_as_bytes(info))
    return info


def kept_answer(cache: DataCache | None, samples: Sequence[Sample], question: str, answer: Callable[[], bool]) -> bool:
    """Whether something holds of samples, from ``answer`` if it is not known yet."""
    told = None if cache is None else [told_of(sample, cache) for sample in samples]
    if cache is None or told is None or None in told:
        return answer()
    key = key_of(question, code_and_libraries(), told)
    kept = cache.get(key)
    if kept is not None:
        return kept == b"yes"
    found = answer()
    if told == [told_of(sample, cache) for sample in samples]:  # or a file has changed meanwhile
        cache.put(key, b"yes" if found else b"no")
    return found


def told_of(sample: Sample, cache: DataCache) -> tuple[object, ...] | None:
    """All that the pixels of a sample depend on: files by their content; None if one of them cannot be told."""
    told: list[object] = []
    for field in fields(sample):
        value = getattr(sample, field.name)
        if field.name in _NOT_SEEN:
            continue
        if isinstance(value, Path):
            value = cache.content(value)
        elif isinstance(value, Sample):
            value = told_of(value, cache)
        elif is_dataclass(value) or isinstance(value, list | dict):
            raise TypeError(f"nobody has said how {field.name} of a sample changes its pixels")
        else:
            told.append((field.name, value))
            continue
        if value is None:
            return None
        told.append((field.name, value))
    return tuple(told)


@once
def code_and_libraries() -> str:
    """A hash of our own code that makes pixels and tensors, with the versions of the libraries it does so with."""
    whole = hashlib.sha256(repr([*_versions()]).encode())
    found = (path for room in _ROOMS for path in (_PACKAGE / room).rglob("*"))
    for path in sorted(path for path in found if path.is_file() and path.suffix != ".pyc"):
        whole.update(path.relative_to(_PACKAGE).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _versions() -> Iterator[tuple[str, str]]:
    for library in _LIBRARIES:
        try:
            yield library, metadata.version(library)
        except metadata.PackageNotFoundError:
            yield library, ""


# ---- what is known of an image --------------------------------------------------------------------------------------


def _info_key(kind: str, content: str) -> str:
    return key_of(kind, content, code_and_libraries())


def _info_as_bytes(info: ImageInfo) -> bytes:
    kept = {field.name: _plain(getattr(info, field.name)) for field in fields(info) if field.name != "path"}
    return json.dumps(kept).encode()


def _revived_info(path: Path, kept: bytes) -> ImageInfo | None:
    try:
        return ImageInfo(path, **{name: _revived(value) for name, value in json.loads(kept).items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _plain(value: Any) -> Any:
    """As JSON has it; what is no tuple of plain values and messages is refused."""
    if isinstance(value, Message):
        return {"message": value.key, "values": [[name, _plain(each)] for name, each in value.values]}
    if isinstance(value, Size):
        return {"size": list(value)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Fingerprint):
        return {"fingerprint": [_plain(value.pixels), _plain(value.shape)]}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} of an image cannot be kept")


def _revived(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_revived(each) for each in value)
    if not isinstance(value, dict):
        return value
    if "fingerprint" in value:
        return Fingerprint(*_revived(value["fingerprint"]))
    if "message" in value:
        return Message(value["message"], tuple((name, _revived(each)) for name, each in value["values"]))
    return Size(*value["size"]) if "size" in value else bytes.fromhex(value["bytes"])
