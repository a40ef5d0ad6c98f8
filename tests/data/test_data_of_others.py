"""The data that other programs' settings name is read from them, and a run is given it by the same file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.config.foreign.test_datasets import CONCEPT
from tests.config.foreign.test_others import PRESET, YAML
from tests.config.foreign.test_sd_scripts import EASY
from trainer.config.foreign.files import load
from trainer.data.pairs.scan import scan_for_mode


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "zorp"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (512, 512), "red").save(folder / f"{name}.png")
    (folder / "a.txt").write_text("one tag", "utf-8")
    return folder


def scanned(path: Path) -> Any:
    return scan_for_mode(load(path).settings)


def test_lora_easy(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "easy.toml"
    path.write_text(EASY.replace("/data/5_zorp", images.as_posix()), "utf-8")
    scan = scanned(path)
    assert len(scan.samples) == 3 * 5
    assert scan.steps_per_epoch == 5, "in batches of three"
    assert {sample.frame for sample in scan.samples} == {(768, 768)}


def test_one_trainer(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "packed.json"
    concept = {**CONCEPT, "path": str(images)}
    path.write_text(json.dumps({**PRESET, "resolution": "512", "concepts": [concept]}), "utf-8")
    packed = scanned(path)
    concepts = tmp_path / "concepts.json"
    concepts.write_text(json.dumps([concept]), "utf-8")
    path.write_text(json.dumps({**PRESET, "resolution": "512", "concept_file_name": "concepts.json"}), "utf-8")
    beside = scanned(path)
    for scan in (packed, beside):
        assert len(scan.samples) == 3 * 5
        assert scan.steps_per_epoch == 4, "fifteen in batches of four"
        assert {sample.frame for sample in scan.samples} == {(512, 512)}


def test_ai_toolkit(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(YAML.replace("/data/p3r5on", images.as_posix()), "utf-8")
    scan = scanned(path)
    assert sorted(sample.frame for sample in scan.samples) == [(512, 512)] * 3 + [(1024, 1024)] * 3
    assert scan.steps_per_epoch == 2, "four batches, and three of them make up a step"
