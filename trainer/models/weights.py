"""Tensors of a file or a host -> modules that use their memory as it is.

Modules are built empty, on torch's meta device, and then given the tensors; nothing is copied. Whoever wants another
type asks :func:`cast`.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .header import Header, TensorInfo
from .identify import FileKind, classify
from .unpickle import Pickled, Span, StoredTensor, is_pickle, read_pickle, unpack

Module = TypeVar("Module", bound=nn.Module)

DTYPES: Mapping[str, str] = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
    "BOOL": "bool",
}  # fmt: skip
"""safetensors' names of the types -> torch's; by name, since old versions of torch lack some."""


@dataclass(frozen=True)
class Source:
    """What a family takes its modules from.

    Attributes:
        kind: what the tensors are.
        tensors: by the names of the file (a folder's carry their part as prefix); nothing else may write to them.
        path: the checkpoint's own file, for its hash; None for a folder.
    """

    kind: FileKind
    tensors: Mapping[str, Tensor]
    path: Path | None = None

    @property
    def name(self) -> str:
        return self.kind.name

    @staticmethod
    def of_file(kind: FileKind) -> Source:
        """Map the file or folder that ``kind`` was found for."""
        tensors: dict[str, Tensor] = {}
        for prefix, path in kind.files.items():
            for name, tensor in map_file(path).items():
                tensors[prefix + name] = tensor
        return Source(kind, tensors, None if kind.is_folder else kind.files.get(""))

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor], name: str, path: Path | None = None) -> Source:
        """Tensors that are in memory already, as a host has them, under the names of a checkpoint file.

        Args:
            tensors: e.g. ``model.diffusion_model.input_blocks.0.0.weight`` -> tensor.
            name: what messages and metadata call the model.
            path: the file it was loaded from, for its hash.
        """
        names = {dtype: name for name, dtype in DTYPES.items()}
        infos = {
            key: TensorInfo(names.get(str(value.dtype).removeprefix("torch."), str(value.dtype)), tuple(value.shape))
            for key, value in tensors.items()
        }
        return Source(classify(name, Header(infos)), tensors, path)


def map_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the file's pages: memory is used as they are read, and shared with other readers.

    Writing to them does not change the file. A legacy ``.ckpt`` whose bytes lie unaligned is copied.

    Raises:
        ModelError: the file is damaged, or has tensors of a type this torch does not know.
    """
    with path.open("rb") as file:
        start = file.read(16)
    return _map_pickle(path, read_pickle(path)) if is_pickle(start) else _map_safetensors(path)


def _map_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it has only keys)
    except (SafetensorError, AttributeError, KeyError) as error:
        raise ModelError(f"{path.name} cannot be read ({error})", do="Download or copy it again") from error


def _map_pickle(path: Path, pickled: Pickled) -> dict[str, Tensor]:
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    storages: dict[str, Tensor] = {}
    tensors = {}
    for name, stored in pickled.tensors.items():
        if stored.storage.key not in storages:
            storages[stored.storage.key] = _bytes_of(path, pages, pickled.spans[stored.storage.key])
        tensors[name] = _view(stored, storages[stored.storage.key], path.name)
    return tensors


def _bytes_of(path: Path, pages: mmap.mmap, span: Span) -> Tensor:
    """A storage's bytes as a flat uint8 tensor."""
    if span.length == 0:
        return torch.empty(0, dtype=torch.uint8)
    if span.entry:
        return torch.frombuffer(bytearray(unpack(path, span)), dtype=torch.uint8)
    if span.offset % 8:
        return torch.frombuffer(bytearray(pages[span.offset : span.offset + span.length]), dtype=torch.uint8)
    return torch.frombuffer(pages, dtype=torch.uint8, count=span.length, offset=span.offset)


def _view(stored: StoredTensor, storage: Tensor, name: str) -> Tensor:
    dtype = getattr(torch, DTYPES[stored.dtype], None)
    if dtype is None:
        raise ModelError(f"{name} is stored as {DTYPES[stored.dtype]}, which this version of torch cannot read")
    if 0 in stored.shape:
        return torch.empty(stored.shape, dtype=dtype)
    whole = storage[: storage.numel() // dtype.itemsize * dtype.itemsize].view(dtype)
    return whole.as_strided(stored.shape, stored.stride, stored.offset)


def build_empty(make: Callable[[], Module]) -> Module:
    """Make a module without memory for its parameters, whatever its size."""
    with torch.device("meta"):
        return make()


def fill(module: Module, tensors: Mapping[str, Tensor], what: str, *, optional: Collection[str] = ()) -> Module:
    """Give an empty module its parameters: these very tensors, not copies; then freeze it.

    Args:
        module: from :func:`build_empty`.
        tensors: every parameter and buffer by the module's own names, in its shapes.
        what: whose tensors they are, for a message: ``"the U-Net of anime.safetensors"``.
        optional: last parts of names that ``tensors`` may lack or have too many of (``position_ids``).

    Raises:
        ModelError: tensors are missing, too many, or of other shapes.
    """
    expected = {name: tensor.shape for name, tensor in module.state_dict().items() if not _ends(name, optional)}
    # Detached: the same memory, but freezing the module below must not freeze a parameter object of the host's.
    given = {name: tensor.detach() for name, tensor in tensors.items() if not _ends(name, optional)}
    _compare(expected, given, what)
    whole = [name for name, tensor in given.items() if not tensor.is_floating_point()]
    if whole:
        raise ModelError(
            f"{what} is stored as whole numbers ({_some(whole)}), which cannot be trained on",
            do="Choose the checkpoint in fp16, bf16 or fp32",
        )
    module.load_state_dict(given, strict=False, assign=True)
    make_positions(module)
    left = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    if left:
        raise ModelError(f"{what} could not be filled: {_some(left)}", do="Report this, with the file's name")
    return module.requires_grad_(False).eval()


def make_positions(module: nn.Module) -> None:
    """Make ``position_ids`` real, beside the weights: 0, 1, 2 …

    transformers keeps them as a buffer, in newer versions one that is not saved; files that have them sometimes have
    them in half precision, wrong from 2049 on, so they are never taken from a file.
    """
    for owner in module.modules():
        positions = getattr(owner, "position_ids", None)
        if isinstance(positions, Tensor):
            device = next(owner.parameters()).device
            owner.position_ids = torch.arange(positions.shape[-1], device=device).expand(tuple(positions.shape))


def _ends(name: str, parts: Collection[str]) -> bool:
    return name.rpartition(".")[2] in parts


def _compare(expected: Mapping[str, torch.Size], given: Mapping[str, Tensor], what: str) -> None:
    missing = sorted(expected.keys() - given.keys())
    extra = sorted(given.keys() - expected.keys())
    misfits = [name for name in expected.keys() & given.keys() if expected[name] != given[name].shape]
    found = [
        f"{len(names)} tensors {problem} ({_some(names)})" if len(names) > 1 else f"{names[0]} {single}"
        for names, problem, single in (
            (missing, "are missing", "is missing"),
            (extra, "are not known", "is not known"),
            (sorted(misfits), "have another shape", "has another shape"),
        )
        if names
    ]
    if found:
        raise ModelError(f"{what} does not fit together: {'; '.join(found)}", do="Choose another checkpoint")


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (" …" if len(names) > 2 else "")


def stored_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The floating-point type most of the weights are stored in."""
    counts: dict[torch.dtype, int] = {}
    for tensor in tensors.values():
        if tensor.is_floating_point():
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    return max(counts, key=lambda dtype: counts[dtype], default=torch.float32)


def cast(module: Module, dtype: torch.dtype) -> Module:
    """The module with its floating-point weights in ``dtype``; those that are in it already are not copied."""
    return nn.Module.to(module, dtype=dtype)  # diffusers' own ``to`` warns of a cast that is meant
