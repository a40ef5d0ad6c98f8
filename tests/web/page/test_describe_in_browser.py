"""Tags and sentences for a set, in a real Chromium: chosen, begun by key, watched, stopped, taken back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import Visitor
from tests.helpers.onnx_file import make_tagger, tagger_bytes

pytestmark = [pytest.mark.browser, pytest.mark.more]

HOSTILE = "<img src=x onerror=alert(1)>"


class Talker:
    """A server that answers with markup, and waits where it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.count = 0
        talker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                talker.count += 1
                if talker.count > 1:
                    talker.go_on.wait(300)
                content = json.dumps({"choices": [{"message": {"content": f"a thing {HOSTILE}"}}]}).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:  # Stop hangs up
                    return

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def talker() -> Iterator[Talker]:
    made = Talker()
    yield made
    made.close()


@pytest.fixture
def images(site: Site) -> Path:
    """A set of three images, one with a caption; and a tagger that calls red what is red."""
    folder = site.data / "images" / "things"
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        Image.new("RGB", (64, 48), colour).save(folder / f"{name}.png")
        (folder / f"{name}.txt").unlink(missing_ok=True)
    (folder / "b.txt").write_text("mine", "utf-8")
    tagger = site.data / "taggers" / "tiny"
    weights, bias = make_tagger(tagger, [("red_thing", 0), ("blue_thing", 0)])
    weights[:], bias[:] = 0, -5
    weights[0::3, 1] = weights[2::3, 0] = 20 / 64 / 255
    weights[0::3, 0] = weights[2::3, 1] = -20 / 64 / 255
    (tagger / "model.onnx").write_bytes(tagger_bytes(weights, bias, ["batch", 8, 8, 3]))
    return folder


def captions(folder: Path) -> list[str]:
    paths = [folder / f"{name}.txt" for name in "abc"]
    return [path.read_text("utf-8") if path.exists() else "" for path in paths]


def opened(someone: Visitor) -> Any:
    """The fold, with the set and what can describe it."""
    page = someone.page
    page.evaluate("[...document.querySelectorAll('[role=tab], .tab-nav button')]"
                  ".find((tab) => tab.textContent.trim() === 'Data').click()")  # fmt: skip
    page.wait_for_selector("#trainyard_room option[value=things]", state="attached")
    page.locator("#trainyard_room .trainyard-room-choice select").select_option("things")
    fold = page.locator("#trainyard_room details", has_text="Tag and caption")

    def is_open() -> bool:  # a tab that has just been chosen takes the focus once more
        if not fold.evaluate("each => each.open"):
            fold.locator("summary").press("Enter")
        return fold.get_by_label("tagger or captioner").locator("option").count() == 2

    someone.until(is_open)
    return fold


def says(someone: Visitor, fold: Any, words: str) -> None:
    someone.until(lambda: words in fold.inner_text())


PHONE = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}


@pytest.mark.parametrize("window", [{}, pytest.param(PHONE, marks=pytest.mark.slow)])
def test_a_set_is_tagged_and_taken_back(visit: Callable[..., Visitor], images: Path, window: dict[str, object]) -> None:
    someone = visit(**window)
    fold = opened(someone)
    assert fold.get_by_label("tagger or captioner").input_value() == "tiny"
    fold.get_by_label("trigger word").fill("zorp")
    fold.get_by_label("threshold", exact=True).fill("high")
    start = fold.get_by_role("button", name="Write captions")
    start.focus()
    someone.page.keyboard.press("Enter")
    says(someone, fold, "threshold: It must be a number, not")
    fold.get_by_label("threshold", exact=True).fill("0,4")
    start.press("Enter")
    says(someone, fold, "2 captions written, 1 image unchanged.")
    someone.until(lambda: captions(images) == ["zorp, red thing", "mine", "zorp, red thing"])
    boxes = someone.page.locator("#trainyard_room textarea")
    someone.until(lambda: [box.input_value() for box in boxes.all()] == captions(images))
    someone.page.locator("#trainyard_room").get_by_role("button", name="Undo").click()
    someone.until(lambda: captions(images) == ["", "mine", ""])
    assert someone.page.evaluate("document.documentElement.scrollWidth === window.innerWidth")
    someone.open()  # what was typed is still there
    fold = opened(someone)
    assert fold.get_by_label("trigger word").input_value() == "zorp"


def test_a_server_is_asked_and_can_be_stopped(visit: Callable[..., Visitor], images: Path, talker: Talker) -> None:
    someone = visit()
    fold = opened(someone)
    fold.get_by_label("tagger or captioner").select_option("address")
    says(someone, fold, "The images are sent to this address.")
    fold.get_by_role("button", name="Write captions").click()
    says(someone, fold, "Write the server's address.")
    fold.get_by_label("address", exact=True).fill("http://8.8.8.8")
    fold.get_by_label("model there").fill("eyes")
    fold.get_by_role("button", name="Write captions").click()
    says(someone, fold, "8.8.8.8 is outside your network")
    fold.get_by_label("address", exact=True).fill(talker.url)
    fold.get_by_label("captions that are there").select_option("append")
    fold.get_by_role("button", name="Write captions").click()
    says(someone, fold, "1 of 3")
    assert fold.locator("progress").get_attribute("value") == "1"
    fold.get_by_role("button", name="Stop").click()
    says(someone, fold, "Stopped after 1 of 3; 1 caption is written.")
    assert captions(images) == [f"a thing {HOSTILE}", "mine", ""]
    assert someone.page.locator("#trainyard_room img[src='x']").count() == 0
