"""LoRA files: the library reads them, the same content gives the same bytes, and a failed save leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from trainer.errors import NetworkError, OutputError
from trainer.networks.files import file

TENSORS = {
    "b.lora_up.weight": torch.arange(12, dtype=torch.float16).reshape(4, 3).t(),  # not contiguous
    "a.lora_down.weight": torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).bfloat16(),
    "a.alpha": torch.tensor(4.0),
}
METADATA = {"ss_seed": "1", "name": "絵の LoRA", "ss_args": '{"a": 1}'}


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    path = file.save(tmp_path / "x.safetensors", TENSORS, METADATA)
    loaded = load_file(path)
    assert loaded.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    with safe_open(str(path), "pt") as opened:
        metadata = opened.metadata()
    assert {key: metadata[key] for key in METADATA} == METADATA
    tensors, again = file.read(path)
    assert again == metadata
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_same_content_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    one = file.save(tmp_path / "1.safetensors", TENSORS, METADATA)
    two = file.save(tmp_path / "2.safetensors", dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert one.read_bytes() == two.read_bytes()
    header = one.read_bytes()
    length = int.from_bytes(header[:8], "little")
    keys = list(json.loads(header[8 : 8 + length]))
    assert keys == ["__metadata__", *sorted(TENSORS)]
    assert length % 8 == 0


def test_hashes_are_what_the_hosts_would_compute(tmp_path: Path) -> None:
    big = {"w.lora_down.weight": torch.randn(600, 600), "w.alpha": torch.tensor(1.0)}
    path = file.save(tmp_path / "x.safetensors", big, {"ss_seed": "1"})
    content = path.read_bytes()
    behind_header = content[8 + int.from_bytes(content[:8], "little") :]
    metadata = file.read(path)[1]
    assert metadata["sshs_model_hash"] == hashlib.sha256(behind_header).hexdigest()
    # As sd-scripts: the legacy hash is taken of the file as it was without the two hashes.
    plain = file.save(tmp_path / "y.safetensors", big, {"ss_seed": "1"}).read_bytes()
    header = json.loads(plain[8 : 8 + int.from_bytes(plain[:8], "little")])
    del header["__metadata__"]["sshs_model_hash"], header["__metadata__"]["sshs_legacy_hash"]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(8, "little") + text + behind_header
    assert metadata["sshs_legacy_hash"] == hashlib.sha256(whole[0x100000:0x110000]).hexdigest()[:8]


def test_data_hash_equals_the_librarys_own_layout(tmp_path: Path) -> None:
    """Same tensors written by the library: same bytes behind the header, so tools agree on the hash."""
    same_type = {name: tensor.float().contiguous() for name, tensor in TENSORS.items()}
    ours = file.save(tmp_path / "x.safetensors", same_type, {}).read_bytes()
    theirs = save(same_type)
    assert ours[8 + int.from_bytes(ours[:8], "little") :] == theirs[8 + int.from_bytes(theirs[:8], "little") :]


def test_a_taken_name_gets_a_suffix_unless_overwriting(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_text("precious")
    assert file.save(path, TENSORS, {}) == tmp_path / "x_2.safetensors"
    assert path.read_text() == "precious"
    assert file.save(path, TENSORS, {}, overwrite=True) == path
    assert load_file(path).keys() == TENSORS.keys()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        file.save(tmp_path / "sub" / "x.safetensors", TENSORS, {})
    assert "x.safetensors" in str(caught.value)
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "loras").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        file.save(tmp_path / "loras" / "x.safetensors", TENSORS, {})


def test_reading_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="no such file"):
        file.read(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not json at all.")
    with pytest.raises(NetworkError, match="is not a model file"):
        file.read(tmp_path / "bad.safetensors")
