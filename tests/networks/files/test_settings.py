"""Settings out of a LoRA file that was trained with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.config import presets
from trainer.config.schema import to_json
from trainer.config.settings import Settings
from trainer.errors import UserError
from trainer.networks.files.settings import load_settings


def test_other_files_and_presets_are_read_as_such(tmp_path: Path) -> None:
    presets.save(Settings(network_rank=7), "mine", tmp_path)
    assert load_settings("mine", [tmp_path]).settings.network_rank == 7
    assert load_settings(tmp_path / "mine.json", []).settings.network_rank == 7
    with pytest.raises(UserError, match="no such preset or file"):
        load_settings("other.safetensors", [tmp_path])


def lora_file(path: Path, header: Any) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 16)
    return path


X = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def test_lora_gives_the_settings_it_was_trained_with(tmp_path: Path) -> None:
    settings = Settings(mode="iLECO", original_prompt="青い", network_rank=3, second_pass=Settings(network_rank=2))
    metadata = {"trainyard_settings": json.dumps(to_json(settings), ensure_ascii=False)}
    path = lora_file(tmp_path / "trained.safetensors", {"__metadata__": metadata, "x": X})
    assert load_settings(path, []).settings == settings


@pytest.mark.parametrize("header", [{"x": X}, {"__metadata__": {"ss_network_dim": "4"}}])
def test_lora_of_another_program_says_so(header: dict[str, Any], tmp_path: Path) -> None:
    path = lora_file(tmp_path / "other.safetensors", header)
    with pytest.raises(UserError, match="not trained with Trainyard"):
        load_settings(path, [])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        ((4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc", "is not a model file"),
        ((100).to_bytes(8, "little") + b"{}", "is cut short"),
    ],
)
def test_a_broken_lora_is_refused_as_other_models_are(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"broken.safetensors {sentence}"):
        load_settings(path, [])
