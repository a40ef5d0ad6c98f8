"""What gets in to the page of its own: tried on the whole application, Gradio's routes and ours."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.helpers.client import client_of
from tests.helpers.played_host import played_host
from trainer.errors import UserError
from trainer.hosts.catalogue import FolderCatalogue
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.web import entrance
from trainer.web.app import _told_at_start, application
from trainer.web.entrance import Entrance
from trainer.web.services.access import TOKEN_HEADER, Access
from trainer.web.services.context import PageContext

HERE = "127.0.0.1:7870"
OURS = "/trainyard/v1/status"
JOB = {"mode": "iLECO", "original prompt": "red", "target prompt": "blue"}


@dataclass
class Page:
    """The whole application, and the access it was made with."""

    access: Access
    app: FastAPI
    context: PageContext

    def ask(self, path: str = OURS, host: str = HERE, **headers: str) -> Any:
        return self.client(host).get(path, headers=_named(headers))

    def send(self, path: str, host: str = HERE, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self.client(host).post(path, headers=headers, **body)

    def client(self, host: str = HERE) -> TestClient:
        return client_of(self.app, base_url=f"http://{host}")


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(*(tmp_path_factory.mktemp("page") / name for name in ("data", "loras", "models")))


def page_of(folders: Folders, access: Access) -> Iterator[Page]:
    worker = Worker(Store(folders), played_host)
    context = PageContext(folders, FolderCatalogue(folders.models), worker, access)
    yield Page(access, application(context), context)
    worker.close()
    worker.store.close()


@pytest.fixture(scope="module")
def page(folders: Folders) -> Iterator[Page]:
    yield from page_of(folders, Access.of_page(False, names=("train.example",)))


@pytest.fixture(scope="module")
def open_page(folders: Folders) -> Iterator[Page]:
    yield from page_of(folders, Access.of_page(True, account="me:secret"))


GRADIOS = ("/", "/config", "/gradio_api/info", "/gradio_api/file=pyproject.toml")


@pytest.mark.parametrize("path", [*GRADIOS, OURS, "/trainyard/trainyard.js", "/trainyard/v1/openapi.json", "/none"])
def test_a_foreign_name_is_refused_everywhere(page: Page, path: str) -> None:
    refused = page.ask(path, host="evil.example:7870")
    assert refused.status_code == 403
    assert "evil.example" in refused.text
    assert "--host-name" in refused.text


@pytest.mark.parametrize(("host", "status"), [
    ("localhost", 200), ("localhost:1", 200), ("LOCALHOST:7870", 200), ("127.0.0.1", 200), ("[::1]:7870", 200),
    ("train.example", 200), ("Train.Example:443", 200), ("train.example.", 200), ("notrain.example", 403),
    ("localhost.evil.example", 403), ("127.0.0.1.evil.example", 403), ("192.168.1.4:7870", 403), ("0.0.0.0", 403),
    ("", 403), ("user@localhost", 403), ("[::1", 403),
])  # fmt: skip
def test_names_of_this_machine(page: Page, host: str, status: int) -> None:
    assert page.ask(OURS, Host=host).status_code == status


@pytest.mark.parametrize(("origin", "status"), [
    (f"http://{HERE}", 200), (f"https://{HERE}", 200), ("http://127.0.0.1:7871", 403), ("http://localhost:7870", 403),
    ("http://127.0.0.1", 403), ("null", 403), ("http://evil.example", 403), ("", 403), ("http://[", 403),
    (f"file://{HERE}", 403),
])  # fmt: skip
def test_pages_of_others_are_refused(page: Page, origin: str, status: int) -> None:
    for path in (OURS, "/config"):
        answer = page.ask(path, Origin=origin)
        assert answer.status_code == status
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_an_origin_at_the_usual_port(page: Page) -> None:
    assert page.ask(OURS, host="train.example", Origin="https://train.example").status_code == 200
    assert page.ask(OURS, host="train.example", Origin="http://train.example").status_code == 200


@pytest.mark.parametrize(("site", "to", "status"), [
    ("cross-site", "image", 403), ("same-site", "script", 403), ("cross-site", "iframe", 403),
    ("cross-site", "document", 200), ("same-origin", "empty", 200), ("none", "document", 200),
])  # fmt: skip
def test_what_browsers_ask_without_an_origin(page: Page, site: str, to: str, status: int) -> None:
    assert page.ask("/config", Sec_Fetch_Site=site, Sec_Fetch_Dest=to).status_code == status


def test_nothing_of_others_is_taken(page: Page) -> None:
    """What a browser sends for a foreign page without asking first."""
    form = {"files": ("a.png", b"x", "image/png")}
    for path in ("/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/predict", "/trainyard/v1/jobs"):
        assert page.send(path, headers={"Origin": "http://localhost:9"}, files=form).status_code == 403
        text = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        assert page.send(path, headers=text, content=b"{}").status_code == 403
    assert page.send("/gradio_api/upload", files=form).status_code == 200  # the page's own


def test_a_preflight_allows_nothing(page: Page) -> None:
    asked = {"Origin": "http://localhost:9", "Access-Control-Request-Method": "POST"}
    answer = page.client().options("/gradio_api/queue/join", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_no_answer_can_be_framed(page: Page) -> None:
    for path in ("/", OURS, "/none", "/gradio_api/info"):
        for host in (HERE, "evil.example"):
            headers = page.ask(path, host=host).headers
            assert headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


# ---- with a password ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*GRADIOS, OURS, "/trainyard/trainyard.js", "/trainyard/v1/openapi.json", "/none"])
def test_the_password_covers_everything(open_page: Page, path: str) -> None:
    for given in ({}, {"Authorization": basic("me", "wrong")}, {"Authorization": basic("you", "secret")},
                  {"Authorization": "Basic %%%"}, {"Authorization": "Bearer secret"},
                  {TOKEN_HEADER: open_page.access.token}):  # fmt: skip
        refused = open_page.ask(path, **given)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert open_page.ask(path, Authorization=basic("me", "secret")).status_code != 401


def test_uploads_need_it_too(open_page: Page) -> None:
    form = {"files": ("a.png", b"x", "image/png")}
    assert open_page.send("/gradio_api/upload", files=form).status_code == 401
    known = {"Authorization": basic("me", "secret")}
    assert open_page.send("/gradio_api/upload", headers=known, files=form).status_code == 200


def test_programs_with_the_password_need_no_token(open_page: Page) -> None:
    known = {"Authorization": basic("me", "secret")}
    assert open_page.send("/trainyard/v1/jobs", headers=known, json=JOB).json()["status"] == "waiting"


def test_others_reach_it_by_address_not_by_any_name(open_page: Page) -> None:
    known = {"Authorization": basic("me", "secret")}
    hosts = {"192.168.1.4:7870": 200, "[fe80::1]:7870": 200, "localhost:7870": 200, "evil.example:7870": 403}
    assert {host: open_page.ask(OURS, host=host, **known).status_code for host in hosts} == hosts


def test_one_is_drawn_where_others_are_let_in(capsys: pytest.CaptureFixture[str], open_page: Page) -> None:
    one, other = Access.of_page(True), Access.of_page(True)
    assert one.accounts["trainyard"] != other.accounts["trainyard"]
    assert len(one.accounts["trainyard"]) >= 16
    assert Access.of_page(False).accounts == {}
    context = PageContext(open_page.context.folders, open_page.context.catalogue, open_page.context.worker, one)
    told = _told_at_start(context, "http://127.0.0.1:7870")
    assert one.accounts["trainyard"] in told
    assert all(word in told for word in ("captions", "JSON", "not encrypted"))
    assert "secret" not in _told_at_start(open_page.context, "http://127.0.0.1:7870")
    japanese = _told_at_start(replace(context, language="ja"), "http://127.0.0.1:7870")
    assert "パスワード" in japanese, "whatever the machine's own language is"


@pytest.mark.parametrize("account", ["me", "me:", ":secret"])
def test_what_is_no_account(account: str) -> None:
    with pytest.raises(UserError, match="--auth"):
        Access.of_page(True, account=account)


# ---- what is sent ---------------------------------------------------------------------------------------------------


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """An application of which only the entrance is ours, which takes a few bytes."""
    monkeypatch.setattr(entrance, "MOST_JSON", 100)
    monkeypatch.setattr(entrance, "MOST_BYTES", 1000)
    app = FastAPI()

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter(["one", "two"]), headers={"Access-Control-Allow-Origin": "*"})

    @app.websocket("/socket")
    async def socket(each: WebSocket) -> None:
        await each.accept()
        await each.send_text("hello")
        await each.close()

    app.add_middleware(Entrance, access=Access(), language="en")
    return client_of(app, base_url=f"http://{HERE}")


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("announced", [True, False])
def test_too_much_is_cut_off(plain: TestClient, kind: str, announced: bool) -> None:
    most = 100 if kind == "application/json" else 1000

    def sent(size: int) -> Any:
        content = b"x" * size if announced else iter([b"x"] * size)
        return plain.post("/length", content=content, headers={"Content-Type": kind})

    assert sent(most).text == str(most)
    refused = sent(most + 1)
    assert refused.status_code == 413
    assert refused.headers["X-Frame-Options"] == "DENY"


def test_streams_and_websockets_pass(plain: TestClient) -> None:
    answer = plain.get("/stream")
    assert answer.text == "onetwo"
    assert "Access-Control-Allow-Origin" not in answer.headers
    with plain.websocket_connect("/socket", headers={"Host": HERE, "Origin": f"http://{HERE}"}) as one:
        assert one.receive_text() == "hello"
    for headers in ({"Host": HERE, "Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect), plain.websocket_connect("/socket", headers=headers) as one:
            one.receive_text()
