"""What a queue asks of a job's data before it takes it, by every door, and that it refuses nothing by mistake."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image

from tests.helpers.played_host import played_host
from tests.helpers.server import Server, served
from trainer.cli import main
from trainer.config.schema import to_json
from trainer.config.settings import Settings
from trainer.data import look as looking
from trainer.errors import DataError, SettingsError
from trainer.jobs.admission import admitted
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.web.api import core
from trainer.web.services.access import Access


def picture(path: Path, colour: str = "red") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), colour).save(path)
    return str(path)


def of_folder(folder: Path) -> Settings:
    return Settings(lora_data_directory=str(folder), save_lora_name="x")


def of_pair(original: str, target: str) -> Settings:
    return Settings(mode="ADDifT", original_image=original, target_image=target, save_lora_name="x")


CASES = {
    "no folder": "lora data directory: There is no folder",
    "empty folder": "lora data directory: The folder .* is empty",
    "text as image": "lora data directory: No image in .* can be trained: a.png is no image",
    "no pair": "diff target name: No two images in",
    "target missing": "target image: .* is not there",
    "same file": "target image: It is the same file as the original image|target image: is the original image",
    "same pixels": "target image: It has the same pixels as the original image",
}


def given(case: str, folder: Path) -> Settings:
    images = folder / "images"
    images.mkdir()
    if case == "no folder":
        return of_folder(folder / "gone")
    if case == "text as image":
        (images / "a.png").write_text("not an image")
    if case == "no pair":
        picture(images / "a.png")
        return replace(of_folder(images), mode="Multi-ADDifT", diff_target_name="_b")
    if case in ("no folder", "empty folder", "text as image"):
        return of_folder(images)
    original = picture(images / "a.png")
    if case == "target missing":
        return of_pair(original, str(images / "gone.png"))
    if case == "same file":
        (folder / "link.png").hardlink_to(original)
        return of_pair(original, str(folder / "link.png"))
    return of_pair(original, picture(images / "b.png"))


@pytest.fixture
def server(folders: Folders) -> Iterator[tuple[Server, Store]]:
    store = Store(folders)
    worker = Worker(store, played_host)
    app, access = FastAPI(), Access()
    core.mount(app, worker, access)
    with served(app, access.token) as found:
        yield found, store
    worker.close()
    store.close()


@pytest.mark.parametrize("case", CASES)
def test_what_its_run_would_refuse_is_refused_at_once(case: str, tmp_path: Path, folders: Folders) -> None:
    with pytest.raises(DataError, match=CASES[case]):
        admitted(given(case, tmp_path), folders)


def test_settings_that_would_not_train_are_said_first(folders: Folders) -> None:
    with pytest.raises(SettingsError, match="lora data directory"):
        admitted(Settings(), folders)


def test_the_api_refuses_with_one_sentence_and_adds_nothing(server: tuple[Server, Store], tmp_path: Path) -> None:
    asked, store = server
    settings = to_json(given("text as image", tmp_path))
    for path, body in (("/jobs", settings), ("/check", {"settings": settings})):
        status, answer = asked.ask(path, body)
        assert status == 400
        assert "a.png is no image in a format that can be read" in answer["error"]
    assert store.entries() == []


def test_the_api_tells_the_account(server: tuple[Server, Store], tmp_path: Path) -> None:
    asked, store = server
    picture(tmp_path / "images" / "a.png")
    settings = to_json(of_folder(tmp_path / "images"))
    checked = asked.post("/check", {"settings": settings})
    assert checked["problem"] == ""
    assert checked["account"][0]["text"] == f"1 image in {tmp_path / 'images'}"
    assert any(row["odd"] and "no trigger word" in row["text"] for row in checked["account"])
    assert store.entries() == []
    assert asked.post("/jobs", settings)["account"] == checked["account"]
    assert len(store.entries()) == 1


@pytest.mark.parametrize("command", [["train", "--dry-run", "--json"], ["queue", "add"]], ids=" ".join)
def test_the_command_line_asks_the_data_too(
    command: list[str], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = given("text as image", tmp_path)
    arguments = ["LoRA", "--model", str(model), "--set", f"lora_data_directory={settings.lora_data_directory}"]
    arguments += ["--data-dir", str(tmp_path / "data"), "--save-lora-name", "x"]
    assert main([*command, *arguments]) == 2
    captured = capsys.readouterr()
    assert "a.png is no image in a format that can be read" in captured.err
    assert captured.out == ""
    picture(Path(settings.lora_data_directory) / "a.png")
    assert main([*command, *arguments]) == 0
    captured = capsys.readouterr()
    assert re.search(r"^Images:   1 image in ", captured.err, re.MULTILINE)
    assert "no trigger word" in captured.err
    if command[0] == "train":
        assert json.loads(captured.out)["save_lora_name"] == "x"
    else:
        assert captured.out.splitlines() == ["Job 1, x, waits at position 1."]


def test_a_folder_that_takes_too_long_is_taken_as_it_is(
    tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def stuck(_settings: Settings, **_given: Any) -> looking.Look:
        answer.wait(60)
        return looking.Look(None)

    monkeypatch.setattr(looking, "look", stuck)
    (row,) = admitted(of_folder(tmp_path), folders, seconds=0.05).rows
    assert str(row.text).startswith(f"{tmp_path} is slow to answer")
    answer.set()


def test_the_steps_of_epochs_are_known_before_the_run(tmp_path: Path, folders: Folders) -> None:
    for colour in ("red", "blue"):
        picture(tmp_path / "images" / f"{colour}.png", colour)
    settings = of_folder(tmp_path / "images")
    assert admitted(replace(settings, train_epochs=3, train_batch_size=1), folders).steps == 3 * 2
    assert admitted(settings, folders).steps == 0
