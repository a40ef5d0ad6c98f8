"""What a run is made from, marked: a run is continued only where it is still the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.scan import scan
from trainer.engine.basis import Basis

FILE = """
[general]
enable_bucket = false
[[datasets]]
resolution = 64
  [[datasets.subsets]]
  image_dir = 'ROOT/a'
  [[datasets.subsets]]
  image_dir = 'ROOT/b'
"""


def basis_of(settings: Settings) -> Basis:
    host: Any = SimpleNamespace(folders=SimpleNamespace(loras=Path()), files=lambda _: [])
    return Basis(settings, [], scan(settings), host)


def test_a_changed_dataset_file_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (64, 64), "red" if name == "a" else "blue").save(tmp_path / name / "0.png")
    path = tmp_path / "data.toml"
    settings = Settings(dataset_config=str(path))

    def written(content: str) -> Basis:
        path.write_text(content.replace("ROOT", tmp_path.as_posix()), "utf-8")
        return basis_of(settings)

    kept = written(FILE).content({})
    assert written(FILE).difference(kept) is None
    other = written(f"{FILE}  shuffle_caption = true\n").difference(kept)
    assert str(other) == "a folder has other settings than before"
    assert str(written(f"{FILE}  is_reg = true\n").difference(kept)) == "a folder has other settings than before"
    assert "ordered in another way" in str(written(f"{FILE}  num_repeats = 2\n").difference(kept))
    assert "caption of 0.png" in str(written(f"{FILE}  class_tokens = 'cat'\n").difference(kept))


def test_states_from_before_there_were_subsets_are_continued(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "0.png")
    basis = basis_of(Settings(lora_data_directory=str(tmp_path), image_size=Size(64, 64), image_min_length=64))
    kept = basis.content({})
    assert kept.pop("subsets") == []
    assert basis.difference(kept) is None


def test_one_image_in_two_datasets_is_told_by_either_caption(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "a" / "0.png")
    path = tmp_path / "data.toml"

    def written(first: str, second: str) -> Basis:
        datasets = (
            f"[[datasets]]\nresolution = {size}\n[[datasets.subsets]]\nimage_dir = '{tmp_path / 'a'}'\n"
            f"class_tokens = '{words}'\n"
            for size, words in ((64, first), (128, second))
        )
        path.write_text("".join(datasets), "utf-8")
        return basis_of(replace(Settings(), dataset_config=str(path)))

    kept = written("cat", "dog").content({})
    assert written("cat", "dog").difference(kept) is None
    for changed in (("bird", "dog"), ("cat", "bird")):
        assert "caption of 0.png" in str(written(*changed).difference(kept))
