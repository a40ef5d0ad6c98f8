"""What runs have left on the disk: strips and images, found by the LoRA's file long after the run."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from tests.helpers.client import client_of
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.asked import concepts, trigger
from trainer.engine.asked import images as asked_images
from trainer.hosts.catalogue import FolderCatalogue
from trainer.hosts.standalone import Standalone
from trainer.jobs import run_status
from trainer.jobs.store import DONE, Store
from trainer.jobs.worker import Worker
from trainer.models.checkpoint.header import read_header
from trainer.networks.files.edit import copied
from trainer.paths import Folders
from trainer.web.api import core, images
from trainer.web.api.core import PREFIX
from trainer.web.services import gallery, run_images
from trainer.web.services.access import Access
from trainer.web.services.context import PageContext

TOY = Path(__file__).resolve().parents[2] / "toy" / "toy-sd1.safetensors"
PROMPT = "ein röter Kreis <b>赤い丸</b>"
SETTINGS = Settings(
    mode="iLECO", model=str(TOY), original_prompt=PROMPT, target_prompt="a blue circle", train_iterations=3,
    network_rank=1, image_size=Size(64, 64), sample_prompt="a cross --s 2", sample_every_steps=1,
    sample_strengths=(1.0,),
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """After two runs, one of them in a sub-folder; what was asked is measured on a few rough images."""
    root = tmp_path_factory.mktemp("runs")
    found = Folders(root / "data", root / "loras", root / "models")
    found.models.mkdir()
    worker = Worker(Store(found), lambda: Standalone(torch.device("cpu"), found))
    for name in ("first", "sub/second"):
        worker.store.add(replace(SETTINGS, save_lora_name=name))
    with pytest.MonkeyPatch.context() as patch:
        for module in (asked_images, concepts, trigger):
            patch.setattr(module, "IMAGES", 2)
            patch.setattr(module, "STEPS", 1)
        worker.start()
        assert worker.join(300)
    assert [entry.status for entry in worker.store.entries()] == [DONE, DONE]
    worker.close()
    worker.store.close()
    return found


@pytest.fixture
def client(folders: Folders) -> Iterator[TestClient]:
    """Of a program that was started after they had ended."""
    worker = Worker(Store(folders), lambda: Standalone(torch.device("cpu"), folders))
    context = PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    app = FastAPI()
    core.mount(app, worker, context.access)
    images.mount(app, context)
    yield client_of(app)
    worker.close()
    worker.store.close()


def get(client: TestClient, path: str, **query: str) -> Any:
    answer = client.get(f"{PREFIX}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("name", ["first", "sub/second"])
def test_each_lora_has_the_strip_and_the_pictures_of_its_own_run(
    client: TestClient, folders: Folders, name: str
) -> None:
    answer = get(client, "/lora", name=name)
    kept = answer["kept"]
    assert answer["path"] == str(folders.lora(name))
    assert (answer["prompt"], kept["prompt"], kept["strip"]) == (PROMPT, PROMPT, "effect.png")
    assert kept["pictures"] == [{"step": 1, "name": "000001_+1.png"}, {"step": 2, "name": "000002_+1.png"}]
    day, run = kept["folder"]
    assert run.startswith(name.replace("/", "_"))
    said = (folders.data / "samples" / day / run / "effect.txt").read_text(encoding="utf-8").splitlines()
    assert kept["words"] == said[: len(kept["words"])]
    assert PROMPT in kept["words"][0]
    assert "effect.png" in said[len(kept["words"]) + 1]
    in_japanese = get(client, "/lora", name=name, language="ja")["kept"]["words"]
    assert len(in_japanese) == len(kept["words"])
    assert in_japanese[0] != kept["words"][0]
    for each, width in (("effect.png", 3 * 64 + 2 * 4), ("000001_+1.png", 64)):
        content = client.get(f"{PREFIX}/samples/{day}/{run}/{each}").content
        assert content == (folders.data / "samples" / day / run / each).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            assert image.width == width


def test_a_job_has_its_lora_while_that_is_on_the_disk(client: TestClient, folders: Folders) -> None:
    def loras() -> list[str]:
        return [job["lora"] for job in get(client, "/jobs")["jobs"]]

    assert loras() == ["first", "sub/second"]
    path = folders.lora("first")
    away = path.rename(path.with_suffix(".away"))
    try:
        assert loras() == ["", "sub/second"]
    finally:
        away.rename(path)


def test_a_step_is_kept_once_with_its_own_image(folders: Folders) -> None:
    lora = folders.loras / "first.safetensors"
    image = run_images.of_lora(lora, folders).images[0].path
    step = copied(lora, image.with_suffix(".safetensors"))  # as a film leaves it beside the image

    assert run_images.kept_before(step, folders) is None
    kept = run_images.keep(step, folders)
    try:
        assert run_images.keep(step, folders) == kept == run_images.kept_before(step, folders)
        assert not kept.with_name(f"{kept.stem}_2.safetensors").exists()
        assert kept.with_name(f"{kept.stem}.preview.png").read_bytes() == image.read_bytes()
        shown = gallery.picture(kept, folders)
        assert shown is not None
        with Image.open(io.BytesIO(shown)) as small, Image.open(image) as own:
            assert small.size == own.size  # not the strip of the run
    finally:
        for path in (step, kept, kept.with_name(f"{kept.stem}.preview.png")):
            path.unlink()


def test_a_step_is_kept_once_beside_another_run_s_of_that_name(folders: Folders) -> None:
    image = run_images.of_lora(folders.loras / "first.safetensors", folders).images[0].path
    step = copied(folders.loras / "first.safetensors", image.with_suffix(".safetensors"))
    other = Path(shutil.copy(folders.lora("sub/second"), folders.loras / step.name))
    picture = other.with_name(f"{other.stem}_2.preview.png")
    picture.write_bytes(b"of the user's")

    kept = run_images.keep(step, folders)
    try:
        assert kept == other.with_name(f"{other.stem}_2.safetensors") == run_images.keep(step, folders)
        assert picture.read_bytes() == b"of the user's"
        assert read_header(kept).metadata["ss_output_name"] == kept.stem
    finally:
        for path in (step, other, kept, picture):
            path.unlink()


def test_a_lora_that_was_moved_keeps_its_pictures_and_one_saved_on_the_way_has_no_strip(folders: Folders) -> None:
    moved = Path(shutil.copy(folders.lora("first"), folders.loras / "renamed.safetensors"))
    assert run_images.of_lora(moved, folders).strip is not None
    (strip,) = folders.data.glob("samples/*/first-*/effect.png")
    with Image.open(strip) as image:
        image.load()
        assert image.info["lora"] == "first"
        assert image.info["prompt"] == PROMPT
        away = strip.rename(strip.with_suffix(".away"))
        image.save(strip)  # one that does not say whose it is
    try:
        kept = run_images.of_lora(moved, folders)
        assert (kept.strip, kept.prompt, kept.words, len(kept.images)) == (None, "", (), 2)
    finally:
        away.replace(strip)
        moved.unlink()


def test_no_more_than_the_latest_are_listed(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_status, "MOST_IMAGES", 1)
    monkeypatch.setattr(run_status, "WHOLE_STEPS", 1)
    assert [each.step for each in run_images.of_lora(folders.lora("first"), folders).images] == [2]


def test_a_lora_of_another_program_has_none(folders: Folders) -> None:
    assert run_images.of_lora(TOY, folders) == run_images.RunImages()


@pytest.mark.parametrize(
    ("day", "run", "name"),
    [("..", "..", "secret.png"), ("..", "samples", "secret.png"), ("a", "..", "secret.png"), ("a", "b", "notes.txt"),
     ("a", "b", "gone.png"), ("a", "b", "../../../secret.png"), ("a", "b", "link.png")],
)  # fmt: skip
def test_nothing_else_is_shown(tmp_path: Path, day: str, run: str, name: str) -> None:
    folders = Folders(tmp_path / "data", tmp_path / "loras", tmp_path / "models")
    inside = folders.data / "samples" / "a" / "b"
    inside.mkdir(parents=True)
    for place in (tmp_path, folders.data, folders.data / "samples", inside.parent, inside):
        (place / "secret.png").write_bytes(b"")
    (inside / "notes.txt").write_bytes(b"")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    assert run_images.image("a", "b", "secret.png", folders) == (inside / "secret.png").resolve()
    assert run_images.image(day, run, name, folders) is None
