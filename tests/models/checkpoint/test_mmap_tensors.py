"""Files are mapped in pieces, and a piece leaves the memory when nobody uses its tensors any more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints import sd1_tensors, write_safetensors
from trainer.errors import ModelError
from trainer.models.checkpoint import mmap_tensors
from trainer.models.checkpoint.mmap_tensors import Stretch, map_stretches
from trainer.models.checkpoint.shared_files import _is_other_machines, may_be_cut_short
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


@pytest.mark.skipif(os.name != "posix", reason="Windows lets nobody shorten a mapped file")
@pytest.mark.parametrize(("mode", "is_copied"), [(0o600, False), (0o644, False), (0o646, True), (0o666, True)])
def test_what_others_may_cut_short_is_read_at_once(tmp_path: Path, mode: int, is_copied: bool) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(range(256)) * 64)
    path.chmod(mode)
    assert may_be_cut_short(path) == is_copied
    (tensor,) = map_stretches(path, [Stretch(10, 8000)]).values()
    if is_copied:
        os.truncate(path, 0)
    assert tensor.numpy().tobytes() == (bytes(range(256)) * 64)[10:8000]


@pytest.mark.skipif(os.name != "posix", reason="Windows lets nobody shorten a mapped file")
def test_what_has_been_cut_short_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(100))
    path.chmod(0o666)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        map_stretches(path, [Stretch(0, 101)])


@pytest.mark.parametrize(
    ("mount", "is_other"),
    [
        ("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext4 /dev/root rw,errors=continue", False),
        ("40 25 0:35 / /home/a rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2", True),
        ("41 25 0:36 / /mnt/nas rw,relatime - cifs //nas/models rw", True),
        ("42 25 0:37 / /mnt/c rw,noatime - 9p drvfs rw", True),
        ("43 25 0:38 / /mnt/s rw,nosuid - fuse.sshfs me@there:/ rw", True),
        ("44 25 8:1 / /media/usb rw,nosuid - fuseblk /dev/sdb1 rw", False),
    ],
)
def test_file_systems_of_other_machines(mount: str, is_other: bool) -> None:
    assert _is_other_machines(mount) is is_other
