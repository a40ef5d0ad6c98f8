"""The images of a set described through the routes: what can do it, progress, stop, what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image

from tests.helpers.home import host_in
from tests.helpers.onnx_file import make_tagger
from tests.helpers.server import Server, served
from trainer.captioning import wd_tagger
from trainer.hosts.catalogue import FolderCatalogue
from trainer.hosts.standalone import Standalone
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.sets.library import Library
from trainer.web.api import routes
from trainer.web.services.access import Access
from trainer.web.services.context import PageContext

WAIT = 60.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standalone:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return host_in(tmp_path)


@pytest.fixture
def server(folders: Folders, home: Standalone) -> Iterator[Server]:
    worker = Worker(Store(folders), lambda: home)
    app, access = FastAPI(), Access()
    context = PageContext(folders, FolderCatalogue(folders.models), worker, access)
    routes.mount(app, context)
    with served(app, access.token) as found:
        yield found
    context.captioning.close()
    worker.close()
    worker.store.close()


@pytest.fixture
def number(folders: Folders) -> str:
    """A set with three images."""
    made = Library(folders).make("things")
    for name in "abc":
        Image.new("RGB", (9, 9), "red").save(made.folder / f"{name}.png")
    return made.id


def captions(folders: Folders, number: str) -> list[str]:
    return [each.caption for each in Library(folders).find(number).items()]


def waited(server: Server, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    ends = time.monotonic() + WAIT
    while not what(state := server.get("/captioning")):
        assert time.monotonic() < ends, state
    return state  # type: ignore[no-any-return]


def test_nothing_is_there_at_first(server: Server, number: str, folders: Folders) -> None:
    assert server.get("/captioning") == {"state": "none"}
    found = server.get("/captioners")
    assert found == {"captioners": [], "folder": str(folders.data / "taggers")}
    status, told = server.ask("/captioning/start", {"set": number})
    assert status == 400
    assert "No tagger or captioner was found" in str(told)
    assert server.ask("/captioning/start", {"set": "none"})[0] == 400


def test_a_set_is_described(server: Server, number: str, folders: Folders) -> None:
    make_tagger(folders.data / "taggers" / "tiny", [("one_thing", 0), ("other", 0)])
    assert server.get("/captioners")["captioners"] == [
        {"name": "tiny", "label": "tiny (tags)", "makes": "tags", "takes_prompt": False, "problem": ""}
    ]
    asked = {"set": number, "captioner": "tiny", "threshold": 0, "unwanted": "other", "names": ["a.png", "c.png"]}
    status, begun = server.ask("/captioning/start", asked)
    assert (status, begun["set"]) == (200, number)
    done = waited(server, lambda state: state["state"] != "working")
    assert captions(folders, number) == ["one thing", "", "one thing"]
    assert (done["state"], done["done"], done["total"]) == ("done", 2, 2)
    assert (done["written"], done["kept"], done["nothing"], done["problems"], done["note"]) == (2, 0, 0, [], "")
    status, told = server.ask("/captioning/start", {**asked, "threshold": "much", "colour": 1})
    assert status == 400
    assert "threshold" in str(told)
    assert "colour" in str(told)


def test_it_can_be_stopped_and_begun_once(
    server: Server, number: str, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tagger(folders.data / "taggers" / "tiny", [("thing", 0)])
    go_on, prepare, count = threading.Event(), wd_tagger.prepared, 0

    def slowly(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        assert count == 1 or go_on.wait(WAIT)
        return prepare(*arguments)

    monkeypatch.setattr(wd_tagger, "prepared", slowly)
    asked = {"set": number, "threshold": 0}
    assert server.ask("/captioning/start", asked)[0] == 200
    waited(server, lambda state: state["done"] == 1)
    status, told = server.ask("/captioning/start", asked)
    assert status == 400
    assert "Images are being described already" in str(told)
    server.ask("/captioning/stop", {})
    go_on.set()
    stopped = waited(server, lambda state: state["state"] != "working")
    assert stopped["state"] == "stopped"
    assert captions(folders, number)[2] == ""
    assert captions(folders, number)[0] == "thing"
