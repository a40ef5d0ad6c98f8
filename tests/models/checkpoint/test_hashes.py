"""A checkpoint's hashes: right, in the background, and never a reason to fail."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from trainer.models.checkpoint import hashes
from trainer.models.checkpoint.hashes import Hashes, Hashing


def test_both_hashes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB: several pieces
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    hashing = Hashing(path)
    legacy = hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
    assert hashing.result() == Hashes(hashlib.sha256(content).hexdigest(), legacy)
    assert hashing.result() == hashing.result()
    assert hashing.problem is None


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    for path in (None, tmp_path, tmp_path / "gone.safetensors"):
        hashing = Hashing(path)
        assert hashing.result() is None
        assert hashing.problem is None


def test_a_file_that_cannot_be_read_is_told_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "model.ckpt"
    path.write_bytes(b"x")
    monkeypatch.setattr(hashes, "open_file", gone)
    hashing = Hashing(path)
    assert hashing.result() is None
    assert str(hashing.problem).startswith("model.ckpt could not be read for its hash (Input/output error)")


def test_it_does_not_hold_up_who_asked_and_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_PIECE", 1)
    path = tmp_path / "model.ckpt"
    with path.open("wb") as file:
        file.truncate(2**30)  # a byte at a time this would take minutes
    start = time.perf_counter()
    hashing = Hashing(path)
    hashing.cancel()
    assert hashing.result() is None
    assert time.perf_counter() - start < 5
