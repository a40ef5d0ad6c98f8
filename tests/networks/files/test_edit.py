"""What a LoRA says of itself is changed and taken back; its tensors are the same bytes throughout."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from trainer.claims import locked
from trainer.errors import NetworkError, UserError
from trainer.networks.files import edit as editing
from trainer.networks.files.edit import Texts, card_of, copied, edit, last_backup, texts_of, undo
from trainer.networks.files.file import save

HOSTILE = '{"a": 1}\n<img src=x onerror=alert(1)> 言葉 \N{PILE OF POO}'


def tensor_bytes(path: Path) -> bytes:
    """What is behind the header, read without our code."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 + length :]


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    tensors = {
        f"lora_unet_x{number}.lora_{part}.weight": torch.from_numpy(rng.normal(size=(4, 7)).astype(np.float32))
        for number in range(3) for part in ("up", "down")
    }  # fmt: skip
    tensors["lora_unet_x0.alpha"] = torch.tensor(4.0)
    metadata = {
        "modelspec.sai_model_spec": "1.0.1", "modelspec.title": "red", "modelspec.trigger_phrase": "zorp",
        "ss_output_name": "red",
    }  # fmt: skip
    path = save(tmp_path / "loras" / "sub" / "red.safetensors", tensors, metadata)
    card = {"description": "a red one", "activation text": "zorp", "preferred weight": 0.8, "notes": "mine"}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


def test_a_change_is_in_the_file_and_on_the_card_and_nowhere_else(lora: Path, tmp_path: Path) -> None:
    before, tensors, told = tensor_bytes(lora), load_file(lora), metadata_of(lora)
    edit(lora, Texts("Red things", HOSTILE, "x" * 1999), tmp_path / "backups")
    assert tensor_bytes(lora) == before
    after = load_file(lora)
    assert after.keys() == tensors.keys()
    assert all(torch.equal(after[name], tensors[name]) for name in tensors)
    now = metadata_of(lora)
    assert {key for key in now.keys() | told.keys() if now.get(key) != told.get(key)} == {
        "modelspec.title", "modelspec.trigger_phrase", "modelspec.description",
    }  # fmt: skip
    assert now["modelspec.title"] == "Red things"
    assert now["modelspec.trigger_phrase"].startswith(" {")  # or a WebUI would read it as JSON
    assert "\n" not in now["modelspec.trigger_phrase"]
    assert now["sshs_model_hash"] == hashlib.sha256(before).hexdigest()  # still that of the tensors
    assert (struct.unpack("<Q", lora.read_bytes()[:8])[0]) % 8 == 0
    card = json.loads(lora.with_suffix(".json").read_text("utf-8"))
    assert (card["preferred weight"], card["notes"], card["description"]) == (0.8, "mine", "x" * 1999)
    assert texts_of(now, card) == Texts("Red things", " ".join(HOSTILE.split()), "x" * 1999)


def test_the_last_changes_are_undone_one_by_one_byte_for_byte(lora: Path, tmp_path: Path) -> None:
    card, backups = lora.with_suffix(".json"), tmp_path / "backups"
    stages = [(lora.read_bytes(), card.read_bytes())]
    for title in ("one", "two", ""):
        edit(lora, Texts(title, "t", "d"), backups)
        stages.append((lora.read_bytes(), card.read_bytes()))
    assert "modelspec.title" not in metadata_of(lora)
    for stage in reversed(stages[:-1]):
        undo(lora, backups)
        assert (lora.read_bytes(), card.read_bytes()) == stage
    with pytest.raises(NetworkError, match="nothing to undo"):
        undo(lora, backups)
    assert len(list(backups.rglob("*.undone"))) == 3  # nothing is deleted


def test_the_backups_are_few_and_small_and_the_first_stays(
    lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "_MOST_BACKUPS", 4)
    first = edit(lora, Texts("0"), tmp_path / "backups")
    for number in range(1, 9):
        edit(lora, Texts(str(number)), tmp_path / "backups")
    kept = sorted((tmp_path / "backups").rglob("*.header"))
    assert len(kept) == 4
    assert kept[0] == first
    assert all(each.stat().st_size < 4096 for each in kept)
    assert last_backup(lora, tmp_path / "backups") == kept[-1]


def test_a_file_with_other_tensors_now_is_not_made_the_old_one(lora: Path, tmp_path: Path) -> None:
    edit(lora, Texts("new"), tmp_path / "backups")
    save_file({"lora_unet_x0.lora_up.weight": torch.ones(2, 2)}, lora)
    content = lora.read_bytes()
    with pytest.raises(NetworkError, match="other tensors"):
        undo(lora, tmp_path / "backups")
    assert lora.read_bytes() == content


def test_files_of_other_programs_and_files_that_are_none(tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    save_file({"lora_unet_x0.lora_up.weight": torch.ones(2, 2, dtype=torch.bfloat16)}, plain)  # without metadata
    before = tensor_bytes(plain)
    edit(plain, Texts(trigger="zorp"), tmp_path / "backups")
    assert metadata_of(plain) == {"modelspec.trigger_phrase": "zorp"}
    assert tensor_bytes(plain) == before
    assert card_of(plain) == {}
    assert not plain.with_suffix(".json").exists()
    for name, content in (("text", b"no LoRA at all"), ("cut", plain.read_bytes()[:-3])):
        broken = tmp_path / f"{name}.safetensors"
        broken.write_bytes(content)
        with pytest.raises(UserError):
            edit(broken, Texts("x"), tmp_path / "backups")
        assert broken.read_bytes() == content


def test_nothing_is_written_where_something_is_wrong(lora: Path, tmp_path: Path) -> None:
    content = lora.read_bytes()
    with pytest.raises(NetworkError, match=r"2,?001 letters"):
        edit(lora, Texts(description="x" * 2001), tmp_path / "backups")
    with locked(lora), pytest.raises(NetworkError, match="being written"):
        edit(lora, Texts("x"), tmp_path / "backups")
    lora.with_suffix(".json").write_text("{broken")
    with pytest.raises(UserError, match=r"red\.json"):
        edit(lora, Texts("x"), tmp_path / "backups")
    assert lora.read_bytes() == content
    assert not list(tmp_path.rglob("*.part"))


def test_a_copy_says_its_own_name(lora: Path, tmp_path: Path) -> None:
    (first, second) = (copied(lora, tmp_path / "kept" / "red_5steps.safetensors") for _ in range(2))
    assert (first.name, second.name) == ("red_5steps.safetensors", "red_5steps_2.safetensors")
    assert tensor_bytes(first) == tensor_bytes(second) == tensor_bytes(lora)
    assert metadata_of(second)["ss_output_name"] == metadata_of(second)["modelspec.title"] == "red_5steps_2"
    assert metadata_of(lora)["ss_output_name"] == "red"
