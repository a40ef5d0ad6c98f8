"""Names and paths of any letters: a file where it belongs, or a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given

from tests.helpers.hostile import limits, or_a_sentence, texts
from trainer.commands.image_file import check_ending
from trainer.config import presets
from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.data.files import find_images
from trainer.data.pairs.pair import open_pair
from trainer.hosts.standalone import find_model
from trainer.networks.files.find import find_lora
from trainer.paths import Folders, path_of, write_whole
from trainer.variations.files import Plan
from trainer.variations.recipe import recipe_from


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names")


@given(text=texts)
def test_names(folder: Path, text: str) -> None:
    with limits("names"):
        with or_a_sentence():
            name = parse({"save_lora_name": text}).settings.save_lora_name
            if name:
                path = Folders(folder, folder / "loras", folder).lora(name)
                assert (folder / "loras") in path.parents
                assert ".." not in path.parts
                write_whole(path, [b"x"]).unlink()
            saved = presets.save(Settings(), text, folder / "presets", overwrite=True)
            assert saved.parent == folder / "presets"
            presets.delete(text, folder / "presets")


@given(text=texts)
def test_paths(folder: Path, text: str) -> None:
    is_there = os.path.isdir(os.path.expanduser(text))  # the whole disk, for one; that there is a folder is known
    with limits("paths"):
        for use in (
            lambda: find_model(text, folder, "model"),
            lambda: find_lora(text, folder),
            lambda: presets.find(text, [folder]),
            lambda: open_pair(Settings(original_image=text)),
            lambda: None if is_there else Plan.of(recipe_from({"source": text, "folder": text})),
            lambda: find_images(folder / "none" / path_of(text).name),
            lambda: check_ending(path_of(text, to_write=True)),
        ):
            with or_a_sentence():
                use()
