"""LoRA files: written whole or not at all, the same bytes for the same content, and read back.

The safetensors header is written here rather than by the library, which orders metadata by hash: keys are sorted, so
the same run gives the same file. Hashes follow sd-scripts: ``sshs_model_hash`` is SHA-256 over the bytes after the
header, ``sshs_legacy_hash`` the older WebUI hash over 64 KiB from the first MiB on. ModelSpec has the first one, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ModelError, NetworkError
from ...models.checkpoint.header import read_header
from ...models.checkpoint.names import with_own_names
from ...models.checkpoint.weights import map_file
from ...paths import reason_of, write_whole

_DTYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, overwrite: bool = False) -> Path:
    """Write ``tensors`` with ``metadata`` and the hashes; to a temporary file that is flushed and renamed.

    Args:
        path: where to. If it is taken and ``overwrite`` is not set, ``_2``, ``_3`` … is appended to the name.
        tensors: float32, float16 or bfloat16, anywhere; written contiguous.
        metadata: text by key.

    Returns:
        The path written.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    blobs = {name: _bytes(tensor) for name, tensor in tensors.items()}
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    sha256 = hashlib.sha256()
    layout: dict[str, object] = {}
    at = 0
    for name in order:
        blob = blobs[name]
        sha256.update(blob)
        shape = list(tensors[name].shape)
        layout[name] = {
            "dtype": _DTYPE_NAMES[tensors[name].dtype],
            "shape": shape,
            "data_offsets": [at, at + len(blob)],
        }
        at += len(blob)
    hashes = {"sshs_model_hash": sha256.hexdigest(), "sshs_legacy_hash": _legacy_hash(layout, metadata, order, blobs)}
    if "modelspec.sai_model_spec" in metadata:
        hashes["modelspec.hash_sha256"] = f"0x{sha256.hexdigest()}"
    header = _header(layout, {**metadata, **hashes})
    return write_whole(path, [header, *(blobs[name] for name in order)], overwrite=overwrite)


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _header(layout: Mapping[str, object], metadata: Mapping[str, str]) -> bytes:
    content = {"__metadata__": dict(sorted(metadata.items())), **dict(sorted(layout.items()))}
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _legacy_hash(
    layout: Mapping[str, object], metadata: Mapping[str, str], order: list[str], blobs: Mapping[str, bytes]
) -> str:
    # sd-scripts hashes the file as it is without the hashes in its header.
    start, length = 0x100000, 0x10000
    whole = bytearray(_header(layout, metadata))
    for name in order:
        if len(whole) >= start + length:
            break
        whole += blobs[name]
    return hashlib.sha256(whole[start : start + length]).hexdigest()[:8]


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a LoRA file, on the CPU and in memory of their own, and its metadata.

    It is read as a checkpoint is, within the same limits: safetensors, or a pickle that nothing is run of.

    Raises:
        NetworkError: the file is not there, or broken.
    """
    try:
        header = read_header(path)
        tensors = {name: tensor.clone() for name, tensor in map_file(path).items()}
    except FileNotFoundError:
        raise NetworkError("networks.no_file", where=str(path)) from None
    except ModelError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NetworkError("networks.no_file", where=str(path)) from None
        raise NetworkError(error.whole) from error
    except OSError as error:
        raise NetworkError("networks.unreadable", where=str(path), reason=reason_of(error)) from error
    return dict(with_own_names(tensors)), dict(header.metadata)
