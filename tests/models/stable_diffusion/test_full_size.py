"""Checkpoints of full size load and take a step in the memory their weights need, and little more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.full_size import numbers_in, shapes_of, write_full_size
from tests.helpers.measured import measured

SMALL = {"image_size": [64, 64], "train_iterations": 1, "train_batch_size": 1, "network_rank": 4}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
@pytest.mark.parametrize(
    ("family", "stored", "precision"),
    [
        ("SD1", torch.float16, "fp16"),
        ("SD1", torch.float32, "model"),
        ("SD1", torch.bfloat16, "int8"),
        ("SD2", torch.float16, "fp16"),
        ("SDXL", torch.float16, "fp16"),
    ],
    ids=str,
)
def test_a_full_size_checkpoint_takes_a_step(
    tmp_path: Path, family: str, stored: torch.dtype, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Peak before the first step, beyond the imports, mapped pages counted: at most 1.15 × the weights as computed."""
    shapes = shapes_of(family)
    path = write_full_size(tmp_path / "full.safetensors", shapes, stored)
    try:
        found = measured(tmp_path, model=str(path), train_model_precision=precision, **SMALL)
    finally:
        path.unlink()
    weights = bytes_of(shapes, precision)
    loaded, stepping = found["loaded"], found["stepping"]
    with capsys.disabled():
        print(
            f"\n{family}, {numbers_in(shapes):,} numbers, {stored}, {precision}: weights {weights / 1e9:.2f} GB, "
            f"peak {loaded / 1e9:.2f} GB before the step (× {loaded / weights:.3f}), {stepping / 1e9:.2f} GB in it, "
            f"{found['load']:.0f} s until the step, {found['step']:.0f} s for it"
        )
    assert loaded < 1.15 * weights
    # Read and copied in full before the step; a file in the type wanted stays on its pages, which are read when used.
    assert loaded > 0.95 * weights or (stored is torch.float32 and stepping > 0.7 * weights)
    (loss,) = found["losses"]
    assert 0 < loss < 100


def bytes_of(shapes: dict[str, tuple[int, ...]], precision: str) -> int:
    """The weights as they are computed on the CPU: float32, or a byte for those of linears and convolutions."""
    if precision != "int8":
        return 4 * numbers_in(shapes)
    codes = {
        name: shape
        for name, shape in shapes.items()
        if len(shape) > 1 and "embedding" not in name and not name.startswith("first_stage_model.")
    }
    return 4 * numbers_in(shapes) - 3 * numbers_in(codes)
