"""What is looked at before a run, without a browser: previews of folders, pairs and variations over real HTTP."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from tests.helpers.server import Server, served
from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.data import scan as scan_room
from trainer.data.account import account_of
from trainer.data.look import look_over
from trainer.data.pairs.scan import scan_pairs
from trainer.data.samples import pixels_of
from trainer.data.scan import scan
from trainer.hosts.catalogue import FolderCatalogue
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.web.api import routes
from trainer.web.services.access import TOKEN_HEADER, Access
from trainer.web.services.context import PageContext
from trainer.web.services.preview import FIELDS

HOSTILE = "<img src=x onerror=alert(1)> & “言葉”"


@pytest.fixture
def context(folders: Folders) -> Iterator[PageContext]:
    worker = Worker(Store(folders), lambda: None)  # type: ignore[arg-type, return-value]
    yield PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    worker.close()
    worker.store.close()


@pytest.fixture
def server(context: PageContext) -> Iterator[Server]:
    app = FastAPI()
    routes.mount(app, context)
    with served(app, context.access.token) as found:
        yield found


def when_done(server: Server, path: str) -> Any:
    while (state := server.get(path))["state"] == "working":
        time.sleep(0.02)
    return state


def image(path: Path, size: tuple[int, int] = (90, 60), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


# ---- the data of a folder ------------------------------------------------------------------------------------------

SMALL = {"image_size": "128,96", "image_min_length": 64, "image_buckets_step": 64, "image_mirroring": True}


def test_every_picture_is_shown_as_a_run_crops_it(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "pictures"
    for number, size in enumerate([(90, 60), (64, 128), (70, 70)]):
        image(data / f"{number}.png", size, number)
    Image.new("RGBA", (80, 80), (255, 0, 0, 90)).save(data / "sheer.png")
    (data / "1.txt").write_text(HOSTILE, "utf-8")
    (data / "broken.jpg").write_bytes(b"nothing")
    given = {"lora_data_directory": str(data), "lora_trigger_word": "sks", **SMALL}
    assert server.post("/preview", given)["state"] in ("working", "done")
    state = when_done(server, "/preview")
    found = state["found"]
    run = scan(parse(given).settings)
    assert (found["pictures"], found["left_out"], found["samples"]) == (4, 1, 8)
    assert {(each["width"], each["height"]): each["count"] for each in found["buckets"]} == dict(run.buckets)
    assert [(each["file"], each["done"]) for each in found["problems"]] == [("broken.jpg", "left out")]
    assert [line.partition(" ")[0] for line in found["problem_lines"]] == ["broken.jpg"]
    assert found["account"][0] == {"heading": "Images", "text": f"4 images in {data}; 1 left out", "odd": True}
    samples = server.get("/preview/samples")["samples"]
    assert [each["caption"] for each in samples] == run.all_captions()
    assert samples[2]["caption"] == f"sks, {HOSTILE}"
    for each, sample in zip(samples, run.distinct, strict=True):
        pixels, mask = pixels_of(sample)
        shown = opened(server.get(f"/preview/{state['name']}/{each['place']}?whole=true"))
        assert (each["name"], each["frame"], each["mirrored"]) == (sample.path.name, [*sample.frame], sample.mirrored)
        assert np.array_equal(shown[..., :3], pixels)
        assert (mask is None) == (shown.shape[2] == 3) == (not each["masked"])
        if mask is not None:
            assert np.array_equal(shown[..., 3], np.rint(mask * 255))
    small = opened(server.get(f"/preview/{state['name']}/0"))
    assert np.abs(small.astype(int) - pixels_of(run.distinct[0])[0]).mean() < 4, "small enough already, but a JPEG"


def test_what_is_trained_of_a_folder_depends_on_the_fields_that_are_named(tmp_path: Path) -> None:
    """Whoever changes one of them is told that the preview is outdated; nothing else keeps it from being made."""
    read: set[str] = set()

    class Watched(Settings):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    for name in ("a", "a_shut"):
        image(tmp_path / f"{name}.png", (256, 192))
    names = {field.name for field in dataclasses.fields(Settings)}
    given = {**SMALL, "sub_image_num": 1, "image_disable_upscale": True, "lora_data_directory": str(tmp_path)}
    for find, mode in ((scan, "LoRA"), (scan_pairs, "Multi-ADDifT")):
        for bucketing in ({}, {"image_bucketing": "sd-scripts", "image_disable_upscale": False}):
            settings = parse({**given, "mode": mode, "diff_target_name": "_shut", **bucketing}).settings
            watched = Watched(**{name: getattr(settings, name) for name in names})
            account_of(watched, look_over(find(watched)))
    assert {"mode", *read & names} == set(FIELDS)


def test_pairs_are_shown_side_by_side_and_the_unpaired_are_named(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "pairs"
    for number in range(3):
        image(data / f"{number}.png", seed=number)
        image(data / f"{number}_b.png", seed=number + 10)
    image(data / "lone.png")
    given = {"mode": "Multi-ADDifT", "lora_data_directory": str(data), "diff_target_name": "_b", "image_size": "64"}
    server.post("/preview", given)
    state = when_done(server, "/preview")
    assert (state["found"]["pairs"], state["found"]["left_out"]) == (3, 1)
    assert state["found"]["problems"][0]["file"] == "lone.png"
    run = scan_pairs(parse(given).settings)
    for each, sample in zip(server.get("/preview/samples")["samples"], run.distinct, strict=True):
        assert each["target"]["name"] == f"{sample.path.stem}_b.png"
        assert sample.target is not None
        for side, query in ((sample, ""), (sample.target, "&target=true")):
            shown = opened(server.get(f"/preview/{state['name']}/{each['place']}?whole=true{query}"))
            assert np.array_equal(shown, pixels_of(side)[0])


def test_only_what_was_found_is_served_and_only_to_this_machine(server: Server, tmp_path: Path) -> None:
    image(tmp_path / "pictures" / "0.png")
    server.post("/preview", {"lora_data_directory": str(tmp_path / "pictures"), "image_size": "64"})
    name = when_done(server, "/preview")["name"]
    assert server.ask(f"/preview/{name}/0")[0] == 200
    for wrong in (f"{name}/1", f"{name}/-1", "other/0", f"{name}/0?target=true"):
        assert server.ask(f"/preview/{wrong}")[0] == 404
    assert server.ask(f"/preview/{name}/..%2F0.png")[0] in (404, 422)
    assert server.ask(f"/preview/{name}/0", Host="evil.example")[0] == 403
    for deed in (
        "/preview",
        "/preview/close",
        "/pair",
        "/picture",
        "/pictures?name=a.png",
        "/variations/show",
        "/variations/start",
        "/variations/stop",
    ):
        assert server.ask(deed, {}, **{TOKEN_HEADER: "guessed"})[0] == 403
    server.post("/preview/close")
    assert server.ask(f"/preview/{name}/0")[0] == 404
    assert server.get("/preview")["state"] == "none"


def test_a_picture_that_has_changed_since_is_a_sentence(server: Server, tmp_path: Path) -> None:
    path = image(tmp_path / "pictures" / "0.png")
    server.post("/preview", {"lora_data_directory": str(path.parent), "image_size": "64"})
    name = when_done(server, "/preview")["name"]
    image(path, (50, 50))
    status, answer = server.ask(f"/preview/{name}/0")
    assert status == 400
    assert "has changed" in answer["error"]


def test_ten_thousand_pictures_come_a_page_at_a_time(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = image(tmp_path / "pictures" / "0.png")
    for number in range(1, 10_000):
        (one.parent / f"{number}.png").hardlink_to(one)
    known = scan_room.inspect_image(one)
    monkeypatch.setattr(scan_room, "inspect_image", lambda path, **_: scan_room.ImageInfo(path, known.size))
    server.post("/preview", {"lora_data_directory": str(one.parent), "image_size": "64"})
    state = when_done(server, "/preview")
    assert state["found"]["samples"] == 10_000
    assert server.get(f"/preview?known={state['name']}")["found"] is None
    assert len(json.dumps(state)) < 2000, "the summary does not grow with the folder"
    page = server.get("/preview/samples?first=9990&count=24")
    assert (page["count"], len(page["samples"])) == (10_000, 10)
    assert page["samples"][-1]["name"] == "9999.png"
    assert len(server.get("/preview/samples?first=0&count=100000")["samples"]) == 200
    width, height = (state["found"]["buckets"][0][side] for side in ("width", "height"))
    assert server.get(f"/preview/samples?width={width}&height={height}")["count"] == 10_000
    assert server.get("/preview/samples?width=8&height=8")["count"] == 0


def test_looking_can_be_stopped_and_a_new_look_ends_the_old(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        image(tmp_path / "pictures" / f"{number}.png")
    go_on = threading.Event()
    real = scan_room.inspect_image

    def slow(path: Path, **named: Any) -> Any:
        go_on.wait(20)
        return real(path, **named)

    monkeypatch.setattr(scan_room, "inspect_image", slow)
    given = {"lora_data_directory": str(tmp_path / "pictures"), "image_size": "64"}
    server.post("/preview", given)
    assert server.get("/preview")["state"] == "working"
    assert server.ask("/preview/samples")[0] == 400
    server.post("/preview/stop")
    go_on.set()
    assert when_done(server, "/preview")["state"] == "stopped"
    go_on.clear()
    first = server.post("/preview", given)["name"]
    second = server.post("/preview", given)["name"]
    go_on.set()
    assert first != second
    state = when_done(server, "/preview")
    assert (state["name"], state["state"]) == (second, "done")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "iLECO"}, "has no folder of images"),
        ({"image_size": "many"}, "image size"),
    ],
)
def test_settings_without_data_are_refused(server: Server, given: dict[str, str], words: str) -> None:
    status, answer = server.ask("/preview", given)
    assert status == 400
    assert words in answer["error"]


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all", "~nobody-of-this-name", "a\u0000b"])
def test_a_folder_that_is_none_is_a_sentence(server: Server, folder: str) -> None:
    status, answer = server.ask("/preview", {"lora_data_directory": folder})
    problem = answer["error"] if status == 400 else when_done(server, "/preview")["problem"]
    assert "lora data directory" in problem
    assert "Something went wrong" not in problem


# ---- single images -----------------------------------------------------------------------------------------------


def test_a_dropped_picture_is_kept_byte_for_byte_and_once(server: Server, folders: Folders, tmp_path: Path) -> None:
    content = image(tmp_path / "a.jpg").read_bytes()
    first, second = (Path(server.post("/pictures?name=holiday%20.JPG", content)["path"]) for _ in range(2))
    assert first == second
    assert first.read_bytes() == content
    assert (first.parent, first.suffix) == (folders.data / "pictures", ".jpg")
    assert first.stem.startswith("holiday-"), "what it was called is told"
    assert Path(server.post(f"/pictures?name={first.name}", content)["path"]) == first, "dropped again from there"
    other = Path(server.post("/pictures?name=holiday.jpg", image(tmp_path / "b.jpg", (70, 50)).read_bytes())["path"])
    assert other != first
    assert first.read_bytes() == content
    outside = Path(server.post("/pictures?name=..%2F..%2Fevil.sh", content)["path"])
    assert (outside.parent, outside.suffix) == (first.parent, ".png"), "its name leads nowhere"
    assert opened(
        base64.b64decode(server.post("/picture", {"path": str(first)})["picture"].partition(",")[2])
    ).shape == (
        60,
        90,
        3,
    )


@pytest.mark.parametrize("cut", [0, 20, 700])
def test_what_is_dropped_and_no_picture_is_a_sentence_and_not_kept(
    server: Server, folders: Folders, tmp_path: Path, cut: int
) -> None:
    content = image(tmp_path / "a.png", (300, 300)).read_bytes()[:cut]
    status, answer = server.ask(f"/pictures?name={urllib.parse.quote(HOSTILE)}", content)
    assert status == 400
    assert answer["error"].startswith(f"{HOSTILE} is ")
    assert not list((folders.data / "pictures").iterdir())


def test_a_picture_is_shown_small_upright_and_with_its_transparency(server: Server, tmp_path: Path) -> None:
    sheer = Image.new("RGBA", (2000, 1000), (255, 0, 0, 0))
    sheer.paste((0, 0, 255, 255), (0, 0, 1000, 1000))
    sheer.save(tmp_path / "sheer.png")
    small = opened(
        base64.b64decode(server.post("/picture", {"path": f'"{tmp_path}/sheer.png" '})["picture"].partition(",")[2])
    )
    assert small.shape == (320, 640, 4)
    assert (small[:, 10, 3].min(), small[:, 600, 3].max()) == (255, 0)
    for wrong in ("", "~nobody-of-this-name/a", str(tmp_path), "x" * 5000, "a\u0000b"):
        assert server.ask("/picture", {"path": wrong})[0] == 400


# ---- a pair --------------------------------------------------------------------------------------------------------


def test_a_pair_is_compared(server: Server, tmp_path: Path) -> None:
    original = Image.new("RGB", (128, 64), "white")
    target = original.copy()
    target.paste("black", (0, 0, 64, 64))
    for name, each in (("a", original), ("b", target)):
        each.save(tmp_path / f"{name}.png")
    paths = {"original_image": str(tmp_path / "a.png"), "target_image": str(tmp_path / "b.png")}
    answer = server.post("/pair", {"mode": "Difference", **paths})
    assert answer["sizes"] == [[128, 64], [128, 64]]
    assert (answer["found"]["share"], answer["found"]["mean"]) == (0.5, 1)
    head, _, content = answer["found"]["overlay"].partition(",")
    assert head == "data:image/jpeg;base64"
    heat = opened(base64.b64decode(content)).astype(int)
    red, blue = heat[..., 0], heat[..., 2]
    assert (red - blue)[:, 4:60].min() > 60
    assert abs(red - blue)[:, 70:].max() < 20
    alone = server.post("/pair", {"original_image": paths["original_image"]})
    assert (alone["sizes"], alone["found"]) == ([[128, 64]], None)


@pytest.mark.parametrize("path", ["nowhere.png", "~nobody-of-this-name/a.png", "x" * 5000, "/", "a.txt", "bomb.png"])
def test_a_path_that_is_no_picture_is_a_sentence(server: Server, tmp_path: Path, path: str) -> None:
    (tmp_path / "a.txt").write_text(HOSTILE)
    bomb = io.BytesIO()
    Image.new("L", (1, 1)).save(bomb, "PNG")
    (tmp_path / "bomb.png").write_bytes(bomb.getvalue().replace(b"\0\0\0\1\0\0\0\1", b"\0\1\0\0\0\1\0\0"))
    written = str(tmp_path / path) if path.endswith((".txt", "bomb.png")) else path
    image(tmp_path / "b.png")
    for given in ({}, {"target_image": str(tmp_path / "b.png")}):
        status, answer = server.ask("/pair", {"original_image": written, **given})
        assert status == 400
        assert answer["error"].startswith("original image: ")


def test_a_pair_takes_no_other_settings(server: Server) -> None:
    status, answer = server.ask("/pair", {"model": "a", "original_image": ""})
    assert (status, "model" in answer["error"]) == (400, True)


# ---- variations ----------------------------------------------------------------------------------------------------


def test_variations_are_shown_then_written(server: Server, tmp_path: Path) -> None:
    source = image(tmp_path / "a.png")
    assert server.get("/variations") == {"state": "none"}
    given = {"source": str(source), "number": "2"}
    few = server.post("/variations/show", given)
    assert [each["name"] for each in few["pictures"]] == ["a_rot_001.png", "a_rot_002.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["a.png"]
    server.post("/variations/start", {**given, "seed": few["seed"]})
    done = when_done(server, "/variations")
    assert (done["state"], done["written"]["variations"], done["written"]["seed"]) == ("done", 2, few["seed"])
    for each in few["pictures"]:
        shown = opened(base64.b64decode(each["picture"].partition(",")[2]))
        assert np.array_equal(shown, np.asarray(Image.open(tmp_path / each["name"]))), "small already, so the same"


def test_one_piece_of_work_at_a_time_and_it_can_be_stopped(server: Server, tmp_path: Path) -> None:
    source = image(tmp_path / "a.png", (900, 700))
    server.post("/variations/start", {"source": str(source), "number": 1000})
    status, answer = server.ask("/variations/start", {"source": str(source)})
    assert status == 400
    assert "being written" in answer["error"]
    server.post("/variations/stop")
    state = when_done(server, "/variations")
    assert state["state"] == "stopped"
    written = len(list(tmp_path.glob("a_rot_*.png")))
    assert written == state["done"] < 1000
    assert not list(tmp_path.glob(".*")), "no half file"
    server.post("/variations/start", {"source": str(source), "number": 1})
    assert when_done(server, "/variations")["written"]["variations"] == 1


def test_wrong_fields_are_told(server: Server) -> None:
    status, answer = server.ask("/variations/show", {"source": "x", "number": "many"})
    assert status == 400
    assert answer["problems"] == [{"key": "number", "label": "number of images",
                                   "what": 'It must be a number, not "many"'}]  # fmt: skip
