"""Model files of any content are something, or a sentence; so are LoRAs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.hostile import limits, mutated, or_a_sentence, pickle_programs, safetensors_files
from trainer.models.checkpoint.identify import identify
from trainer.models.checkpoint.weights import map_file
from trainer.models.registry import check_files
from trainer.networks.files.read import block_norms
from trainer.networks.files.settings import settings_of


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "any.bin"


def use(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    uses: tuple[Callable[[Path], object], ...] = (identify, map_file, check_files, block_norms, settings_of)
    for each in uses:
        with or_a_sentence():
            each(path)


@given(content=safetensors_files() | mutated(safetensors_files()))
def test_headers(path: Path, content: bytes) -> None:
    with limits("headers"):
        use(path, content)


def archive(program: bytes, compression: int, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as made:
        made.writestr("archive/data.pkl", program)
        made.writestr("archive/data/0", data)
    return out.getvalue()


archives = st.builds(
    archive, pickle_programs, st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)), st.binary(max_size=64)
)


@given(content=archives | mutated(archives))
def test_pickles(path: Path, content: bytes) -> None:
    with limits("pickles"):
        use(path, content)


def saved(legacy: bool) -> bytes:
    out = io.BytesIO()
    weights = {"state_dict": {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2).half()}, "epoch": 3}
    torch.save(weights, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


@given(content=mutated(st.sampled_from((saved(False), saved(True)))))
def test_damaged_checkpoints(path: Path, content: bytes) -> None:
    with limits("damaged checkpoints"):
        use(path, content)
