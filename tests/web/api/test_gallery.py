"""The gallery: what is in the LoRA folder, found and sorted; its files, and nothing else of the disk."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from PIL import Image, PngImagePlugin
from safetensors import safe_open

from tests.helpers.home import folders_in
from tests.helpers.played_host import played_host
from tests.helpers.server import Server, served
from trainer.config.schema import to_json
from trainer.config.settings import Settings
from trainer.engine.effect import LORA_KEY, ROW_KEY
from trainer.engine.sheet import row_height, sheet
from trainer.hosts.catalogue import FolderCatalogue
from trainer.job import Job
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.networks.files.file import save
from trainer.networks.files.picture import write_picture
from trainer.networks.files.settings import KEY
from trainer.paths import Folders
from trainer.web.api import core, gallery
from trainer.web.services.access import TOKEN_HEADER, Access
from trainer.web.services.context import PageContext

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def put(
    folders: Folders,
    name: str,
    number: int = 0,
    *,
    mode: str = "",
    settings: Settings | None = None,
    tensors: dict[str, torch.Tensor] | None = None,
    **metadata: str,
) -> Path:
    """A small LoRA, younger the higher its number is; with a mode or settings, one of ours, of an earlier job."""
    mode = mode if settings is None else settings.mode
    said = {"modelspec.title": name.rpartition("/")[2], **metadata}
    if mode:
        job = Job(replace(settings or Settings(), mode=mode, save_lora_name=name, train_seed=1), CREATED)
        said |= {
            KEY: json.dumps(to_json(job.settings)), "ss_session_id": job.id, "ss_output_name": name.rpartition("/")[2],
            "ss_training_started_at": str(CREATED.timestamp() - number), "ss_base_model_version": "sd_v1",
            "ss_sd_model_name": "toy.safetensors", "ss_network_dim": "4", "ss_steps": "12",
        }  # fmt: skip
    up = torch.full((4, 1 + number), float(number))
    path = save(folders.lora(name), tensors or {"lora_unet_x.lora_up.weight": up}, said)
    os.utime(path, (CREATED.timestamp() + number,) * 2)
    return path


def put_strip(folders: Folders, name: str) -> Path:
    """What the run of a LoRA that was put has left: the folder, with the strip in it."""
    colours = [Image.new("RGB", (96, 96), colour) for colour in ("red", "lime", "blue")]
    groups = [[list(zip(colours, "abc", strict=True))], [[(Image.new("RGB", (96, 96), "black"), "d")]]]
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt(LORA_KEY, name)
    texts.add_itxt(ROW_KEY, str(row_height(groups)))
    folder = folders.samples(name, CREATED.astimezone())
    folder.mkdir(parents=True)
    sheet(groups).save(folder / "effect.png", pnginfo=texts)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return folders_in(tmp_path)


@pytest.fixture
def context(folders: Folders) -> Iterator[PageContext]:
    worker = Worker(Store(folders), played_host)
    yield PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    worker.close()
    worker.store.close()


@pytest.fixture
def server(context: PageContext) -> Iterator[Server]:
    app = FastAPI()
    core.mount(app, context.worker, context.access)
    gallery.mount(app, context)
    with served(app, context.access.token) as found:
        yield found


def names(server: Server, query: str = "") -> list[str]:
    return [each["name"] for each in whole(server, query)["loras"]]


def whole(server: Server, query: str = "") -> Any:
    """The answer once every file has been read."""
    while True:
        answer = server.get(f"/gallery?{query}")
        if not answer["left"]:
            return answer


def test_every_lora_with_what_its_file_and_card_say(server: Server, folders: Folders) -> None:
    assert whole(server) == {"loras": [], "first": 0, "count": 0, "left": 0}
    put(folders, "sub/red", 1, mode="LoRA", **{"modelspec.trigger_phrase": "zorp", "modelspec.description": "d" * 999})
    path = put(folders, "theirs", 7, **{"modelspec.trigger_phrase": "unseen"})
    path.with_suffix(".json").write_text(json.dumps({"activation text": "<b>on the card</b>", "sd version": "SDXL"}))
    os.utime(path, (1000, 1000))
    os.utime(path.with_suffix(".json"), (1000, 1000))
    (folders.loras / "broken.safetensors").write_text("nothing")
    os.utime(folders.loras / "broken.safetensors", (10, 10))
    server.get("/gallery")  # the folder was looked at a moment ago

    found: Any = []
    while len(found) < 3:
        found = whole(server, "order=newest")["loras"]
    red, theirs, broken = found
    assert [each["name"] for each in found] == ["sub/red", "theirs", "broken"]
    assert (red["mode"], red["base"], red["family"], red["rank"], red["steps"]) == (
        "LoRA", "toy.safetensors", "SD1", "4", "12",
    )  # fmt: skip
    assert (red["trigger"], red["written"], red["ours"]) == ("zorp", CREATED.timestamp() + 1, True)
    assert len(red["description"]) == 400
    assert (theirs["trigger"], theirs["base"], theirs["ours"]) == ("<b>on the card</b>", "SDXL", False)
    assert theirs["size"] == path.stat().st_size
    assert "broken.safetensors" in broken["problem"]


def test_search_order_and_pages_of_many(server: Server, folders: Folders) -> None:
    for number in range(130):
        mode = ("LoRA", "iLECO")[number % 2]
        put(folders, f"n{number:03}", number, mode=mode, **{"modelspec.trigger_phrase": f"word{number % 3} Ärger"})
    answer: Any = {"count": 0}
    while answer["count"] < 130:
        answer = whole(server, "count=1000")
    assert len(answer["loras"]) == 120  # at most
    assert names(server, "first=125&count=60") == [f"n{number:03}" for number in (4, 3, 2, 1, 0)]
    assert names(server, "order=name&count=2") == ["n000", "n001"]
    assert names(server, "order=oldest&count=2") == ["n000", "n001"]
    assert names(server, "order=largest&count=1") == ["n129"]
    found = whole(server, "search=WORD1+%C3%A4rger+ileco+n0&order=name")
    expected = [f"n{number:03}" for number in range(100) if number % 3 == 1 and number % 2]
    assert [each["name"] for each in found["loras"]] == expected
    assert found["count"] == len(expected)
    status, wrong = server.ask("/gallery?order=size")
    assert (status, "newest" in wrong["error"]) == (400, True)


def test_changed_taken_back_and_downloaded(server: Server, folders: Folders) -> None:
    path = put(folders, "sub/red", 3, mode="LoRA", **{"modelspec.trigger_phrase": "zorp"})
    before = path.read_bytes()
    one = server.get("/gallery/one?name=sub/red")
    assert (one["texts"]["trigger"], one["can_undo"], one["metadata"]["ss_steps"]) == ("zorp", False, "12")
    now = server.post("/gallery/edit", {"name": "sub/red", "trigger": "vlim", "title": "Red"})
    assert (now["texts"]["trigger"], now["texts"]["title"], now["can_undo"]) == ("vlim", "Red", True)
    with safe_open(path, "pt") as file:
        assert file.metadata()["modelspec.trigger_phrase"] == "vlim"
    status, downloaded = server.ask("/gallery/file?name=sub/red")
    assert (status, downloaded) == (200, path.read_bytes())
    assert names(server, "search=vlim") == ["sub/red"]
    assert server.post("/gallery/undo", {"name": "sub/red"})["texts"]["trigger"] == "zorp"
    assert path.read_bytes() == before
    status, wrong = server.ask("/gallery/undo", {"name": "sub/red"})
    assert (status, "nothing to undo" in wrong["error"]) == (400, True)
    for route in ("edit", "undo"):
        status, _ = server.ask(f"/gallery/{route}", {"name": "sub/red"}, **{TOKEN_HEADER: "guessed"})
        assert status == 403


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../secret", "sub/../../secret", "/etc/passwd", "sub//red", "..\\secret", "C:secret", "red.json",
     "x" * 300, "\udc80", "a\0b", "gone"],
)  # fmt: skip
def test_nothing_outside_of_the_folder(server: Server, folders: Folders, name: str) -> None:
    put(folders, "red")
    save(folders.data / "secret.safetensors", {"x": torch.ones(1)}, {})
    save(folders.loras.parent / "secret.safetensors", {"x": torch.ones(1)}, {})
    from urllib.parse import quote

    asked = quote(name.encode("utf-8", "surrogatepass"))
    for route in ("one", "picture", "file"):
        status, _ = server.ask(f"/gallery/{route}?name={asked}")
        assert status == 404, route
    for body in ({"name": name.encode("utf-8", "replace").decode()}, {"name": ["red"]}, {}):
        status, _ = server.ask("/gallery/edit", body)
        assert status in (404, 400)


def test_the_picture_is_the_strips_first_row_or_that_beside_the_file(server: Server, folders: Folders) -> None:
    path = put(folders, "red", mode="LoRA")
    status, _ = server.ask("/gallery/picture?name=red")
    assert status == 404
    put_strip(folders, "red")

    def shown() -> Image.Image:
        status, content = server.ask("/gallery/picture?name=red")
        assert status == 200
        return Image.open(io.BytesIO(content))

    row = shown()
    assert row.width > 2 * row.height  # without what is measured below
    assert row.getpixel((row.width // 2, 40))[1] > 200
    assert max(sum(row.getpixel((x, row.height - 2))) for x in range(row.width)) < 200  # paper: labels end above
    write_picture(path, Image.new("RGB", (64, 64), "blue"))
    assert shown().size == row.size, "the strip shows more"
    Image.new("RGB", (900, 600), "yellow").save(path.with_suffix(".png"))
    assert shown().size == (480, 320)


def test_two_are_compared_from_one_seed(server: Server, context: PageContext, folders: Folders) -> None:
    put(folders, "red")
    put(folders, "sub/blue")
    begun: list[Any] = []
    context.image_jobs.begin = lambda *given: begun.append(given)  # type: ignore[method-assign]
    server.post("/drawings/comparison", {"loras": ["red", "sub/blue"], "prompt": "a", "strengths": "0, 1", "seed": 7})
    ((place, _, requests),) = begun
    assert place == "comparison"
    assert [each.request.lora for each in requests] == [folders.lora("red"), folders.lora("sub/blue")]
    assert {(each.request.seed, each.request.strengths, each.request.prompt) for each in requests} == {
        (7, (0.0, 1.0), "a")
    }
    assert [str(label) for each in requests for label in each.labels] == [
        "red, off", "red, +1", "blue, off", "blue, +1",
    ]  # fmt: skip
    for wrong in ({"loras": ["red"]}, {"loras": "red"}, {}, {"loras": ["red", "sub/blue"], "strengths": "0 " * 9}):
        status, _ = server.ask("/drawings/comparison", wrong)
        assert status == 400
    status, _ = server.ask("/drawings/comparison", {"loras": ["red", "../x"]})
    assert status == 404
