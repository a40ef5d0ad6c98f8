"""What pages of others can do to the page of its own, in a real browser: by a name they let point here, from another
port of this machine, by sending forms without asking first, and in a frame."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.helpers.browser.site import Site, launched, served
from tests.helpers.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.more]
USER, PASSWORD = "me", "secret"
TRIES = """async (address) => {
    const form = new FormData();
    form.append("files", new Blob(["x"], {type: "image/png"}), "a.png");
    const tries = {
        "read ours": () => fetch(`${address}trainyard/v1/status`),
        "read Gradio's": () => fetch(`${address}config`),
        "read unseen": () => fetch(`${address}config`, {mode: "no-cors"}),
        "upload": () => fetch(`${address}gradio_api/upload`, {method: "POST", mode: "no-cors", body: form}),
        "form to ours": () => fetch(`${address}trainyard/v1/jobs`, {method: "POST", mode: "no-cors", body: form}),
        "event": () => fetch(`${address}gradio_api/queue/join`, {method: "POST", mode: "no-cors", body: "{}"}),
        "event with preflight": () => fetch(`${address}gradio_api/queue/join`,
            {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}),
    };
    const read = [];
    for (const [name, attempt] of Object.entries(tries)) {
        try {
            const answer = await attempt();
            if (answer.type !== "opaque") read.push(name);
        } catch (error) { /* the browser does not let it be read */ }
    }
    return read;
}"""


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("page"), ["--auth", f"{USER}:{PASSWORD}"]) as found:
        yield found


@pytest.fixture(scope="module")
def misled(browser: Any) -> Iterator[Any]:
    """A browser that is told that a stranger's name is this machine's."""
    opened = launched(browser.browser_type, "--host-resolver-rules=MAP evil.test 127.0.0.1")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page at another port of this machine."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "index.html").write_text("<body>a stranger's page</body>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_name_that_points_here_is_not_answered(misled: Any, site: Site) -> None:
    page = misled.new_page(http_credentials={"username": USER, "password": PASSWORD})
    answer = page.goto(site.address.replace("127.0.0.1", "evil.test"))
    assert answer.status == 403
    assert "evil.test" in page.inner_text("body")
    assert page.evaluate("fetch('/trainyard/v1/status').then((answer) => answer.status)") == 403
    assert page.evaluate("fetch('/config').then((answer) => answer.status)") == 403
    page.close()


def test_a_page_at_another_port_reads_and_sends_nothing(browser: Any, site: Site, stranger: str) -> None:
    """Also with the password, which the browser knows and sends along."""
    page = browser.new_page(http_credentials={"username": USER, "password": PASSWORD})
    assert page.goto(site.address).status == 200
    answers: list[tuple[str, int]] = []
    page.goto(stranger)
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    assert page.evaluate(TRIES, site.address) == []
    page.evaluate("""async (address) => {
        const image = new Image();
        image.src = `${address}trainyard/style.css`;
        await new Promise((done) => { image.onload = image.onerror = done; });
    }""", site.address)  # fmt: skip
    told = [status for url, status in answers if url.startswith(site.address)]
    assert len(told) >= 6
    assert set(told) == {403}
    page.close()


def test_it_cannot_be_framed(browser: Any, site: Site, stranger: str) -> None:
    page = browser.new_page(http_credentials={"username": USER, "password": PASSWORD})
    page.goto(stranger)
    for path in ("", "trainyard/v1/status"):
        page.evaluate("""(address) => new Promise((done) => {
            const frame = document.createElement("iframe");
            frame.onload = done;
            frame.src = address;
            document.body.append(frame);
        })""", site.address + path)  # fmt: skip
    assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"] * 2
    page.close()


def answer(page: Any, address: str) -> str:
    """The status; where a Chromium shows no page that is refused, why."""
    from playwright.sync_api import Error

    try:
        return str(page.goto(address).status)
    except Error as error:
        return str(error)


def test_with_the_password_the_page_works(browser: Any, site: Site) -> None:
    page = browser.new_page()
    assert re.search(r"^401$|ERR_INVALID_AUTH_CREDENTIALS", answer(page, site.address))
    page.close()
    someone = Visitor(browser, site, http_credentials={"username": USER, "password": PASSWORD})
    someone.choose("iLECO")
    someone.write("model", "toy-sd1.safetensors")
    someone.press("add")
    someone.message("original prompt")
    assert someone.troubles == []
    someone.page.close()
