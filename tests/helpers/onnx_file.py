"""A small tagger as an ONNX file, written byte by byte: one matrix over all pixels, and a sigmoid.

The fields' numbers are those of onnx.proto: ModelProto 1 ir_version, 7 graph, 8 opset_import; GraphProto 1 node,
2 name, 5 initializer, 11 input, 12 output; NodeProto 1 input, 2 output, 4 op_type; TensorProto 1 dims, 2 data_type,
8 name, 9 raw_data; ValueInfoProto 1 name, 2 type.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_FLOAT = 1
_IR, _OPSET = 8, 17


def tagger_bytes(weights: np.ndarray, bias: np.ndarray, shape: Sequence[int | str], *, sigmoid: bool = True) -> bytes:
    """The file.

    Args:
        weights: float32 of shape (numbers in an image, tags).
        bias: float32 of shape (tags,).
        shape: of the input, the batch first; a text is a dimension that is left open.
        sigmoid: whether the output are probabilities.
    """
    last = "added" if sigmoid else "scores"
    nodes = [
        _node("Flatten", ["pixels"], "flat"),
        _node("MatMul", ["flat", "weights"], "product"),
        _node("Add", ["product", "bias"], last),
        *([_node("Sigmoid", ["added"], "scores")] if sigmoid else []),
    ]
    graph = b"".join(
        [
            *(_part(1, node) for node in nodes),
            _part(2, b"tagger"),
            _part(5, _tensor("weights", weights)),
            _part(5, _tensor("bias", bias)),
            _part(11, _value("pixels", shape)),
            _part(12, _value("scores", ["batch", len(bias)])),
        ]
    )
    return _number(1, _IR) + _part(7, graph) + _part(8, _part(1, b"") + _number(2, _OPSET))


def make_tagger(
    folder: Path, tags: Sequence[tuple[str, int]], *, side: int = 8, seed: int = 0, spread: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """A tagger's folder: ``model.onnx`` and ``selected_tags.csv``.

    Args:
        tags: name and Danbooru's number of the category.

    Returns:
        The weights and the bias.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    weights = random.normal(0, spread, (side * side * 3, len(tags))).astype(np.float32)
    bias = random.normal(0, 1, len(tags)).astype(np.float32)
    (folder / "model.onnx").write_bytes(tagger_bytes(weights, bias, ["batch", side, side, 3]))
    write_table(folder / "selected_tags.csv", tags)
    return weights, bias


def write_table(path: Path, tags: Sequence[tuple[str, int]]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["tag_id", "name", "category", "count"])
    rows.writerows([number, name, category, 1000 - number] for number, (name, category) in enumerate(tags))
    path.write_text(text.getvalue(), "utf-8")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _node(kind: str, inputs: Sequence[str], output: str) -> bytes:
    return b"".join([*(_part(1, name.encode()) for name in inputs), _part(2, output.encode()), _part(4, kind.encode())])


def _tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    return dims + _number(2, _FLOAT) + _part(8, name.encode()) + _part(9, values.astype("<f4").tobytes())


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = (_number(1, size) if isinstance(size, int) else _part(2, size.encode()) for size in shape)
    whole = _number(1, _FLOAT) + _part(2, b"".join(_part(1, dim) for dim in dims))
    return _part(1, name.encode()) + _part(2, _part(1, whole))
