"""Files are mapped in pieces, and a piece leaves the memory when nobody uses its tensors any more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints import sd1_tensors, write_safetensors
from trainer.errors import ModelError
from trainer.models.checkpoint import mmap_tensors
from trainer.models.checkpoint.mmap_tensors import Stretch, map_stretches
from trainer.models.checkpoint.weights import cast, map_file
from trainer.models.registry import load_bundle

MIB = 1 << 20
needs_maps = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system does not list its mappings")


def mapped(path: Path) -> int:
    """Bytes of the file that this process has mapped."""
    rows = [
        line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if path.name in line
    ]
    return sum(int(high, 16) - int(low, 16) for low, high in rows)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap_tensors, "_SMALLEST_PIECE", MIB)


@needs_maps
@pytest.mark.usefixtures("small_pieces")
def test_a_piece_goes_with_its_last_tensor(tmp_path: Path) -> None:
    content = torch.randint(0, 256, (4 * MIB + 12,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "numbers.bin"
    path.write_bytes(content.numpy().tobytes())
    stretches = [Stretch(at, at + MIB) for at in range(12, 4 * MIB, MIB)]
    found = map_stretches(path, reversed(stretches))
    for stretch in stretches:
        assert torch.equal(found[stretch], content[stretch.start : stretch.end])
    whole = mapped(path)
    assert whole >= 4 * MIB
    del found[stretches[1]]
    assert whole - mapped(path) >= MIB
    found[stretches[0]].zero_()
    found.clear()
    assert mapped(path) == 0
    assert path.read_bytes() == content.numpy().tobytes(), "writing does not reach the file"


def test_nothing_to_map(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345678")
    found = map_stretches(tmp_path / "x", [Stretch(8, 8), Stretch(0, 8)])
    assert found[Stretch(8, 8)].numel() == 0
    assert bytes(found[Stretch(0, 8)].tolist()) == b"12345678"


@needs_maps
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_casting_lets_go_of_the_file_as_it_goes(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"half.{ending}"
    tensors = sd1_tensors(dtype=torch.float16)
    write_safetensors(path, tensors) if ending == "safetensors" else torch.save({"state_dict": tensors}, path)
    bundle = load_bundle(path)
    left = [mapped(path)]
    to = torch.Tensor.to

    def watched(tensor: torch.Tensor, *arguments: object) -> torch.Tensor:
        left.append(mapped(path))
        return to(tensor, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(torch.Tensor, "to", watched)
    for module in bundle.modules.values():
        cast(module, torch.float32)
    monkeypatch.undo()
    assert mapped(path) == 0
    assert sorted(left, reverse=True) == left
    assert len(set(left)) > 3, "not all at the end"


def test_tensors_of_a_size_they_cannot_have(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "odd.safetensors", {"a": torch.zeros(4), "b": torch.zeros(4)})
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"data_offsets":[0,16]', b'"data_offsets":[0,12]'))
    with pytest.raises(ModelError, match=r"odd.safetensors is damaged: a has no sensible size"):
        map_file(path)
