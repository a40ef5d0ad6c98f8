"""Bodies of any content are answered, or refused in a sentence; the server never breaks on one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.home import folders_in
from tests.helpers.hostile import any_settings, json_values, limits, texts
from tests.helpers.played_host import played_host
from tests.helpers.server import Server, served
from trainer.hosts.catalogue import FolderCatalogue
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.web.api import routes
from trainer.web.services.access import Access
from trainer.web.services.context import PageContext

PLACES = st.sampled_from(
    ("/jobs", "/jobs/clear", "/jobs/1/duplicate", "/jobs/1/up", "/check", "/field", "/picture", "/pair", "/preview",
     "/preview/stop", "/variations/show", "/variations/stop", "/strip", "/prompts/both", "/prompts/original",
     "/captioning/start", "/captioning/stop", "/sets", "/sets/folders", "/sets/facts", "/sets/caption", "/sets/change",
     "/sets/move/aside", "/sets/move/back", "/sets/turn/undo", "/sets/incoming", "/sets/incoming/end",
     "/sets/duplicates/start", "/sets/mask?set=x&name=a.png", "/sets/incoming/file?batch=x&name=a.zip"),
)  # fmt: skip
RECIPES = st.dictionaries(
    st.sampled_from(("source", "folder", "name", "number", "seed", "most_angle", "least_scale", "fixed_side", "lora",
                     "prompt", "strengths", "size", "steps", "cfg", "settings", "path", "value", "statuses",
                     "set", "captioner", "threshold", "names", "caption", "known", "change", "tags", "by", "batch"))
    | texts,
    json_values, max_size=5,
)  # fmt: skip
READ = st.sampled_from(
    (
        "/jobs/{}",
        "/presets/{}",
        "/plot?run={}",
        "/preview/{}/0",
        "/runs?x={}",
        "/pictures/{}",
        "/sets/items?set={}",
        "/sets/thumbnail?set=x&name={}",
        "/sets/zip?set={}",
    )
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("any")
    folders = folders_in(folder)
    worker = Worker(Store(folders), played_host)
    context = PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    app = FastAPI()
    routes.mount(app, context)
    with served(app, context.access.token) as found:
        yield found
    worker.close()
    worker.store.close()


@given(place=PLACES, body=any_settings | RECIPES | json_values | st.binary(max_size=40))
def test_bodies(server: Server, place: str, body: object) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
    with limits("API bodies"):
        status, answer = server.ask(place, content)
        assert status in (200, 400, 404, 413, 422), (status, answer)
        if place == "/jobs" and status == 200:
            server.ask(f"/jobs/{answer['id']}/delete", {})


@given(place=READ, text=texts)
def test_addresses(server: Server, place: str, text: str) -> None:
    from urllib.parse import quote

    with limits("API addresses"):
        status, answer = server.ask(place.format(quote(text.encode("utf-8", "replace")[:3000], safe="")))
        assert status in (200, 400, 404, 405, 414, 422, 307), (status, answer)
