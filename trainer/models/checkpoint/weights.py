"""Tensors of a file or a host -> modules that use their memory as it is.

Modules are built empty, on torch's meta device, and then given the tensors; nothing is copied. :func:`cast`
changes the type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ...errors import ModelError
from ...paths import open_file
from ...text.messages import Message, message
from .compressed import Compressed
from .header import Header, TensorInfo, read_header
from .identify import MARKS, FileKind, classify
from .int8 import can_be_int8, store_as_int8
from .layers import make_own
from .mmap_tensors import Stretch, map_stretches
from .names import with_own_names
from .nf4 import can_be_nf4, store_as_nf4
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
        for prefix, paths in kind.files.items():
            for path in paths:
                tensors.update({prefix + name: tensor for name, tensor in map_file(path).items()})
        single = None if kind.is_folder or "" not in kind.files else kind.files[""][0]
        return Source(kind, with_own_names(tensors), single)

    @staticmethod
    def of_tensors(
        tensors: Mapping[str, Tensor], name: str, path: Path | None = None, *, like: FileKind | None = None
    ) -> Source:
        """Tensors that are in memory already, as a host has them, under the names of a checkpoint file.

        Args:
            tensors: e.g. ``model.diffusion_model.input_blocks.0.0.weight`` -> tensor.
            name: what messages and metadata call the model.
            path: the file it was loaded from, for its hash.
            like: what is known of that file; of it is taken what no tensor's shape says.
        """
        names = {dtype: name for name, dtype in DTYPES.items()}
        infos = {
            key: TensorInfo(names.get(str(value.dtype).removeprefix("torch."), str(value.dtype)), tuple(value.shape))
            for key, value in tensors.items()
        }
        kind = classify(name, Header(infos))
        if like is not None:
            marks = {key: info for key, info in like.tensors.items() if key in MARKS}
            kind = replace(
                kind,
                tensors={**infos, **marks},
                prediction_type=like.prediction_type,
                prediction_reason=like.prediction_reason,
                metadata=like.metadata,
            )
        return Source(kind, tensors, path)


def map_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the file's pages: memory is used as they are read, and shared with other readers.

    Writing to them does not change the file. Tensors whose bytes lie unaligned are copied.

    Raises:
        ModelError: the file is damaged, or has tensors of a type this torch does not know.
    """
    with open_file(path) as file:
        start = file.read(16)
    return _map_pickle(path, read_pickle(path)) if is_pickle(start) else _map_safetensors(path)


def _map_safetensors(path: Path) -> dict[str, Tensor]:
    header = read_header(path)
    stored = map_stretches(path, (Stretch(*span) for span in header.spans.values()))
    tensors = {}
    for name, info in header.tensors.items():
        dtype = _dtype_of(info.dtype, path.name)
        stretch = Stretch(*header.spans[name])
        if stretch.end - stretch.start != math.prod(info.shape) * dtype.itemsize:
            raise ModelError("models.damaged_size", file=path.name, tensor=name)
        tensors[name] = _aligned(stored[stretch], dtype.itemsize).view(dtype).view(info.shape)
    return tensors


def _map_pickle(path: Path, pickled: Pickled) -> dict[str, Tensor]:
    spans = {tensor.storage.key: pickled.spans[tensor.storage.key] for tensor in pickled.tensors.values()}
    stretches = {key: Stretch(span.offset, span.offset + span.length) for key, span in spans.items() if not span.entry}
    mapped = map_stretches(path, stretches.values())
    storages = {key: _aligned(mapped[stretch], 8) for key, stretch in stretches.items()}
    storages |= {key: _unpacked(path, span) for key, span in spans.items() if span.entry}
    return {name: _view(stored, storages[stored.storage.key], path.name) for name, stored in pickled.tensors.items()}


def _unpacked(path: Path, span: Span) -> Tensor:
    content = bytearray(unpack(path, span))
    return torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)


def _view(stored: StoredTensor, storage: Tensor, name: str) -> Tensor:
    dtype = _dtype_of(stored.dtype, name)
    if 0 in stored.shape:
        return torch.empty(stored.shape, dtype=dtype)
    whole = storage[: storage.numel() // dtype.itemsize * dtype.itemsize].view(dtype)
    return whole.as_strided(stored.shape, stored.stride, stored.offset)


def _aligned(content: Tensor, size: int) -> Tensor:
    """Bytes that begin at a multiple of ``size``; copied if they do not."""
    return content.clone() if content.data_ptr() % size else content


def _dtype_of(stored: str, name: str) -> torch.dtype:
    dtype = getattr(torch, DTYPES.get(stored, ""), None)
    if not isinstance(dtype, torch.dtype):
        raise ModelError("models.type", file=name, type=DTYPES.get(stored, stored))
    return dtype


def build_empty(make: Callable[[], Module]) -> Module:
    """Make a module without memory for its parameters, whatever its size; its layers compute what torch's do."""
    with torch.device("meta"):
        module = make()
    make_own(module)
    return module


def fill(module: Module, tensors: Mapping[str, Tensor], what: Message, *, optional: Collection[str] = ()) -> Module:
    """Give an empty module its parameters: these very tensors, not copies; then freeze it.

    Args:
        module: from :func:`build_empty`.
        tensors: every parameter and buffer by the module's own names, in its shapes.
        what: whose tensors they are, for a message: the U-Net of anime.safetensors.
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
        raise ModelError("models.whole_numbers", what=what, tensors=_some(whole))
    for name, tensor in given.items():
        # Not by load_state_dict: A1111 puts its own in torch's place, which makes memory for all of it first.
        path, _, last = name.rpartition(".")
        owner = module.get_submodule(path)
        setattr(owner, last, nn.Parameter(tensor, requires_grad=False) if last in owner._parameters else tensor)
    make_positions(module)
    left = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    if left:
        raise ModelError("models.not_filled", what=what, tensors=_some(left))
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


def _compare(expected: Mapping[str, torch.Size], given: Mapping[str, Tensor], what: Message) -> None:
    missing = sorted(expected.keys() - given.keys())
    extra = sorted(given.keys() - expected.keys())
    misfits = [name for name in expected.keys() & given.keys() if expected[name] != given[name].shape]
    found = [
        message(many if len(names) > 1 else single, count=len(names), tensors=_some(names))
        for names, many, single in (
            (missing, "models.missing", "models.missing_one"),
            (extra, "models.unknown_ones", "models.unknown_one"),
            (sorted(misfits), "models.misshapen", "models.misshapen_one"),
        )
        if names
    ]
    if found:
        raise ModelError("models.misfit", what=what, problems=found)


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (" …" if len(names) > 2 else "")


def refuse_not_finite(tensors: Mapping[str, Tensor], file: str) -> None:
    """Refuse weights that are no numbers; all of them are read.

    Raises:
        ModelError: one is NaN or infinite; the tensor it is in is named.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.float().isfinite().all()):
            raise ModelError("models.nan_in_file", file=file, tensor=name)


def stored_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The floating-point type most of the weights are stored in."""
    counts: dict[torch.dtype, int] = {}
    for tensor in tensors.values():
        if tensor.is_floating_point():
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    return max(counts, key=lambda dtype: counts[dtype], default=torch.float32)


def cast(module: Module, dtype: torch.dtype, device: torch.device | None = None, *, codes: str = "") -> Module:
    """Bring a module's weights into another type, to another device; what is there in it already is not copied.

    Weights go one after the other, in the order in which they lie in memory, each released when it has been copied:
    pieces of a mapped file are released as it proceeds, and so are the weights of a model that nothing else refers to.
    The tensors themselves, which may be a host's, are never written to.

    Args:
        module: any module.
        dtype: the type of floating-point weights.
        device: where to; None leaves every tensor where it is.
        codes: keep the weights of linears and convolutions as codes, ``int8`` or ``nf4``; ``dtype`` is that of the
            rest. With nf4 those that it is not made for are kept as int8.
    """
    for owners in _owners(module):
        owner, name = owners[0]
        parameter = getattr(owner, name)
        if codes and name == "weight" and len(owners) == 1 and can_be_int8(owner):
            store = store_as_nf4 if codes == "nf4" and can_be_nf4(owner) else store_as_int8
            store(owner, parameter if device is None else parameter.to(device))
            continue
        changed = _changed(parameter.data, dtype, device)
        if changed.data_ptr() != parameter.data_ptr() or changed.dtype != parameter.dtype:
            replaced = nn.Parameter(changed, parameter.requires_grad)
            for owner, name in owners:
                setattr(owner, name, replaced)
    for owner in module.modules():
        for name, buffer in list(owner.named_buffers(recurse=False)):
            is_scale = isinstance(owner, Compressed) and name == "scale"
            setattr(owner, name, _changed(buffer, torch.float32 if is_scale else dtype, device))
    return module


def _owners(module: nn.Module) -> list[list[tuple[nn.Module, str]]]:
    """For every parameter, by its address, the modules that hold it under a name."""
    found: dict[int, tuple[int, list[tuple[nn.Module, str]]]] = {}
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False, remove_duplicate=False):
            found.setdefault(id(parameter), (parameter.data_ptr(), []))[1].append((owner, name))
    return [owners for _, owners in sorted(found.values(), key=lambda entry: entry[0])]


def _changed(tensor: Tensor, dtype: torch.dtype, device: torch.device | None) -> Tensor:
    wanted = dtype if tensor.is_floating_point() else tensor.dtype
    if device is not None and device.type == "mps":  # which knows neither float8 nor float64
        return tensor.to(wanted).to(device)
    return tensor.to(device).to(wanted)
