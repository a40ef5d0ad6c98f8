"""Checkpoints of full size with random weights, written tensor by tensor: no more than one is ever in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from tests.helpers.checkpoints import Shapes, sd1_shapes, sd2_shapes, sdxl_shapes

_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float8_e4m3fn: "F8_E4M3"}
_BLOCK = 1 << 22


def shapes_of(family: str) -> Shapes:
    """All tensors of a checkpoint of SD1.5, SD2.1 or SDXL."""
    return {"SD1": sd1_shapes, "SD2": sd2_shapes, "SDXL": sdxl_shapes}[family]()


def numbers_in(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def write_full_size(path: Path, shapes: Shapes, dtype: torch.dtype) -> Path:
    """A safetensors file whose numbers are one random block over and over, scaled so that activations stay near one."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(0)).repeat(2)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, (name, shape) in enumerate(shapes.items()):
            scale, mean = _scale(name, shape)
            # A tensor begins where the last did not, so that no two are alike.
            first, left = number * 7919 % _BLOCK, math.prod(shape)
            part = (block[first : first + min(left, _BLOCK)] * scale + mean).to(dtype).view(torch.uint8).numpy()
            left *= dtype.itemsize
            while left > 0:
                file.write(part[:left].data)
                left -= len(part)
    return path


def _scale(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Deviation and mean; norms' weights are near one, biases near nought."""
    if len(shape) > 1:
        return (0.5 if "embedding" in name else math.prod(shape[1:]) ** -0.5), 0.0
    return 0.1, float(name.endswith(".weight"))
