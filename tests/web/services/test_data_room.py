"""The data room without a browser, over real HTTP: what comes in, what is changed, and what nobody may reach."""

from __future__ import annotations

import io
import time
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image

from tests.helpers.client import client_of
from tests.helpers.server import Server, served
from trainer.hosts.catalogue import FolderCatalogue
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.web.api import routes
from trainer.web.services import data_room
from trainer.web.services.access import Access
from trainer.web.services.context import PageContext


@pytest.fixture
def context(folders: Folders) -> Iterator[PageContext]:
    worker = Worker(Store(folders), lambda: None)  # type: ignore[arg-type, return-value]
    made = PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    yield made
    made.data_room.close()
    worker.close()
    worker.store.close()


@pytest.fixture
def app(context: PageContext) -> FastAPI:
    made = FastAPI()
    routes.mount(made, context)
    return made


@pytest.fixture
def server(app: FastAPI, context: PageContext) -> Iterator[Server]:
    with served(app, context.access.token) as found:
        yield found


def png(colour: str = "red", size: tuple[int, int] = (64, 48), mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, "PNG")
    return content.getvalue()


def bring(server: Server, number: str, contents: dict[str, bytes]) -> dict[str, Any]:
    batch = server.post("/sets/incoming", {"set": number})["batch"]
    for name, content in contents.items():
        server.post(f"/sets/incoming/file?batch={batch}&name={urllib.parse.quote(name)}", content)
    return server.post("/sets/incoming/end", {"batch": batch})


@pytest.fixture
def number(server: Server) -> str:
    """A set with three images, made as the page makes it."""
    made = server.post("/sets", {"name": "cats"})["id"]
    contents = {"cats/a.png": png(), "cats/a.txt": b"cat, red", "cats/b.png": png("blue"), "cats/b.txt": b"cat, blue"}
    found = bring(server, made, {**contents, "cats/sub/ü #1.png": png("green", (200, 100)), "cats/x.psd": b"x"})
    assert (found["images"], found["captions"], found["problems_in_all"]) == (3, 2, 1)
    assert found["problems"][0]["name"].endswith("x.psd")
    return made


def captions(server: Server, number: str) -> dict[str, str]:
    found = server.get(f"/sets/items?set={number}")
    return {each["name"]: each["caption"] for each in found["items"] if not each["aside"]}


def test_a_dropped_folder_is_a_set_whose_captions_are_edited_and_undone(
    server: Server, number: str, folders: Folders
) -> None:
    listed = server.get("/sets")["sets"]
    assert [(each["id"], each["own"], each["folder"]) for each in listed] == [
        (number, True, str(folders.images / "cats"))
    ]
    written = server.post("/sets/caption", {"set": number, "name": "a.png", "caption": "zorp", "known": "cat, red"})
    assert written["caption"] == "zorp"
    assert "a.png" in written["undo"]
    assert (folders.images / "cats" / "a.txt").read_text() == "zorp"
    status, answer = server.ask(
        "/sets/caption", {"set": number, "name": "a.png", "caption": "other", "known": "cat, red"}
    )
    assert (status, "changed this caption" in answer["error"]) == (400, True)
    done = server.post("/sets/change", {"set": number, "change": "add", "tags": "smile, small", "names": ["b.png"]})
    assert done["count"] == 1
    assert captions(server, number) == {"a.png": "zorp", "b.png": "cat, blue, smile, small", "sub/ü #1.png": ""}
    done = server.post("/sets/change", {"set": number, "change": "front", "tags": "zorp", "adds": True})
    assert done["count"] == 2
    for _ in range(3):
        server.post("/sets/turn/undo", {"set": number})
    assert captions(server, number) == {"a.png": "cat, red", "b.png": "cat, blue", "sub/ü #1.png": ""}
    server.post("/sets/turn/undo", {"set": number})
    assert captions(server, number) == {}, "and what was dropped is set aside"
    assert server.ask("/sets/turn/undo", {"set": number})[0] == 400
    for _ in range(2):
        server.post("/sets/turn/again", {"set": number})
    assert captions(server, number)["a.png"] == "zorp"


def test_a_list_that_is_known_is_not_sent_again(server: Server, number: str) -> None:
    first = server.get(f"/sets/items?set={number}")
    again = server.get(f"/sets/items?set={number}&known={first['version']}")
    assert (again["items"], again["version"]) == (None, first["version"])
    server.post("/sets/caption", {"set": number, "name": "a.png", "caption": "x"})
    assert server.get(f"/sets/items?set={number}&known={first['version']}")["items"] is not None


def test_images_are_shown_small_and_whole(server: Server, number: str, folders: Folders, context: PageContext) -> None:
    large = Image.effect_noise((1500, 900), 80)
    large.save(folders.images / "cats" / "large.jpg")
    Image.new("RGBA", (600, 900), (255, 0, 0, 128)).save(folders.images / "cats" / "clear.png")
    Image.new("I;16", (700, 500), 40000).save(folders.images / "cats" / "deep.tif")
    sizes = {"large.jpg": (320, 192), "clear.png": (213, 320), "deep.tif": (320, 229), "sub/ü #1.png": (200, 100)}
    for name, size in sizes.items():
        for _ in range(2):  # the second time from what is kept
            asked = f"?set={number}&name={urllib.parse.quote(name)}"
            small = Image.open(io.BytesIO(server.get(f"/sets/thumbnail{asked}")))
            assert small.size == size
        assert small.mode == ("RGBA" if name == "clear.png" else "RGB")
        whole = Image.open(io.BytesIO(server.get(f"/sets/image{asked}")))
        assert whole.size == Image.open(folders.images / "cats" / name).size
    (folders.images / "cats" / "broken.png").write_bytes(png()[:40])
    for name in ("broken.png", "gone.png", "a.txt", "../cats/a.png", "../../../etc/passwd"):
        for route in ("thumbnail", "image"):
            status, _ = server.ask(f"/sets/{route}?set={number}&name={urllib.parse.quote(name)}")
            assert status == 404 or (route, name) == ("image", "broken.png"), (route, name)


def test_what_is_cropped_is_told_for_the_settings_of_the_form(server: Server, number: str) -> None:
    names = ["a.png", "sub/ü #1.png", "gone.png"]
    settings = {"mode": "LoRA", "image_size": "64", "image_bucketing": "one size"}
    found = server.post("/sets/facts", {"set": number, "names": names, "settings": settings})["facts"]
    assert found["a.png"] == {
        "size": [64, 48],
        "crop": [pytest.approx(10 / 85, abs=0.01), 0, 64 / 85, 1],
        "frame": [64, 64],
    }
    assert found["sub/ü #1.png"]["crop"] == [0.25, 0, 0.5, 1]
    assert "gone.png" not in found
    wrong = server.post("/sets/facts", {"set": number, "names": names, "settings": {"image_size": "wide"}})["facts"]
    assert wrong["a.png"]["size"] == [64, 48]


def test_text_that_is_none_is_written_as_text(server: Server, number: str) -> None:
    """Half of a pair of UTF-16, as a browser may send it."""
    done = server.post("/sets/change", {"set": number, "change": "add", "tags": "half \ud800, <b>", "names": ["a.png"]})
    assert done["count"] == 1
    assert captions(server, number)["a.png"] == "cat, red, half ?, <b>"
    assert server.ask("/sets/caption", {"set": number, "name": "a.png", "caption": "a\0b"})[0] == 400
    server.post("/sets/turn/undo", {"set": number})
    assert captions(server, number)["a.png"] == "cat, red"
    assert server.ask("/sets/folders", {"path": "/\0"})[0] == 400


def test_images_are_set_aside_and_brought_back(server: Server, number: str) -> None:
    assert server.post("/sets/move/aside", {"set": number, "names": ["a.png"]})["count"] == 1
    items = server.get(f"/sets/items?set={number}")["items"]
    assert [(each["name"], each["aside"]) for each in items][-1] == ("a.png", True)
    assert len(server.get(f"/sets/thumbnail?set={number}&name=a.png&aside=true")) > 50
    server.post("/sets/move/back", {"set": number, "names": ["a.png"]})
    assert captions(server, number)["a.png"] == "cat, red"


def test_a_mask_is_drawn_and_shown(server: Server, number: str) -> None:
    assert server.ask(f"/sets/mask?set={number}&name=a.png")[0] == 404
    mask = Image.new("L", (64, 48), 255)
    mask.paste(0, (0, 0, 32, 48))
    content = io.BytesIO()
    mask.save(content, "PNG")
    assert server.post(f"/sets/mask?set={number}&name=a.png", content.getvalue())["count"] == 1
    kept = Image.open(io.BytesIO(server.get(f"/sets/mask?set={number}&name=a.png")))
    assert kept.tobytes() == mask.tobytes()
    items = {each["name"]: each["mask"] for each in server.get(f"/sets/items?set={number}")["items"]}
    assert items == {"a.png": True, "b.png": False, "sub/ü #1.png": False}
    assert server.ask(f"/sets/mask?set={number}&name=b.png", b"words")[0] == 400


def test_duplicates_are_looked_for_in_the_background(server: Server, number: str) -> None:
    bring(server, number, {"copy.png": png()})
    server.post("/sets/duplicates/start", {"set": number})
    began = time.monotonic()
    while (found := server.get(f"/sets/duplicates?set={number}"))["state"] == "working":
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    assert found["groups"] == [{"kind": "bytes", "names": ["a.png", "copy.png"]}]
    assert server.get("/sets/duplicates?set=other") == {"state": "none"}


def test_a_zip_comes_in_and_goes_out(server: Server, number: str) -> None:
    sent = io.BytesIO()
    with zipfile.ZipFile(sent, "w") as archive:
        archive.writestr("new.png", png("white"))
        archive.writestr("new.caption", "snow")
        archive.writestr("../evil.png", png())
        archive.writestr("broken.png", bytes(range(256)) * 2)
    found = bring(server, number, {"more.zip": sent.getvalue()})
    assert (found["images"], found["captions"], found["problems_in_all"]) == (1, 1, 1)
    assert (found["no_images"], found["no_images_in_all"]) == (["broken.png"], 1)
    with zipfile.ZipFile(io.BytesIO(server.get(f"/sets/zip?set={number}"))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            "a.png", "a.txt", "b.png", "b.txt", "sub/ü #1.png", "new.png", "new.caption",
        }  # fmt: skip
    status, answer = server.ask(f"/sets/incoming/file?batch={begun(server, number)}&name=a.zip", b"words")
    assert (status, "no zip archive" in answer["error"]) == (400, True)


def begun(server: Server, number: str) -> str:
    return str(server.post("/sets/incoming", {"set": number})["batch"])


def test_a_file_that_is_too_large_is_refused(server: Server, number: str, monkeypatch) -> None:
    monkeypatch.setattr("trainer.web.api.sets.MOST_BYTES", 1000)
    batch = begun(server, number)
    status, answer = server.ask(f"/sets/incoming/file?batch={batch}&name=a.png", bytes(5000))
    assert (status, "megabytes" in answer["detail"]) == (413, True)
    assert server.post("/sets/incoming/drop", {"batch": batch}) == {"dropped": True}
    assert server.ask("/sets/incoming/end", {"batch": batch})[0] == 400


def test_batches_that_nobody_ends_do_not_pile_up(server: Server, number: str, folders: Folders, monkeypatch) -> None:
    monkeypatch.setattr(data_room, "_MOST_BATCHES", 2)
    batches = [begun(server, number) for _ in range(4)]
    for batch in batches[:2]:
        assert server.ask(f"/sets/incoming/file?batch={batch}&name=a.png", png())[0] == 400
    for batch in batches[2:]:
        server.post(f"/sets/incoming/file?batch={batch}&name=a.png", png())


def test_a_folder_elsewhere_is_opened_by_its_path_and_reached_by_its_id_only(
    server: Server, tmp_path: Path, folders: Folders
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "a.png").write_bytes(png())
    assert server.ask(f"/sets/items?set={urllib.parse.quote(str(other))}")[0] == 400
    opened = server.post("/sets", {"folder": str(other)})
    assert (opened["own"], opened["name"]) == (False, "elsewhere")
    assert list(captions(server, opened["id"])) == ["a.png"]
    status, answer = server.ask("/sets", {"folder": str(other / "gone")})
    assert (status, "Folder of images" in answer["error"]) == (400, True)
    status, answer = server.ask("/sets", {"folder": ""})
    assert (status, "Folder of images" in answer["error"]) == (400, True)
    assert server.post("/sets/folders", {"path": ""})["above"] is None
    assert server.ask("/sets/folders", {"path": "/etc"})[0] == 400


def test_strangers_see_and_change_nothing(app: FastAPI, server: Server, number: str) -> None:
    away = client_of(app, "10.0.0.7")
    for route in ("/sets", f"/sets/items?set={number}", f"/sets/thumbnail?set={number}&name=a.png",
                  f"/sets/zip?set={number}", f"/sets/image?set={number}&name=a.png"):  # fmt: skip
        assert away.get(f"/trainyard/v1{route}").status_code == 403
    body = {"set": number, "name": "a.png", "caption": "stolen"}
    for token in ({}, {"X-Trainyard-Token": "guessed"}):
        assert client_of(app).post("/trainyard/v1/sets/caption", json=body, headers=token).status_code == 403
    assert captions(server, number)["a.png"] == "cat, red"


@pytest.mark.parametrize(
    "body", [{"set": 3}, {"set": "cats", "names": "a.png"}, {"set": "cats", "names": [None, 1, {}]}]
)
@pytest.mark.parametrize("route", ["facts", "move/aside", "turn/undo", "incoming", "duplicates/start"])
def test_a_body_of_another_form_breaks_nothing(server: Server, number: str, route: str, body: dict[str, Any]) -> None:
    status, _ = server.ask(f"/sets/{route}", body)
    assert status in (200, 400)
    assert "a.png" in captions(server, number)
