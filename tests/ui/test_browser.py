"""The page in a real Chromium, from an empty form to a LoRA: what users do, and what they see."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60_000  # ms; only ever spent when something is broken, or the machine is very busy


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail("no Chromium found: install one (Debian: apt install chromium), or name it in CHROMIUM")
    return found


@dataclass
class Site:
    """A server of the page with its folders."""

    address: str
    data: Path

    @property
    def loras(self) -> list[str]:
        return sorted(path.stem for path in (self.data / "loras").glob("*.safetensors"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("page")
    (data / "models").mkdir()
    shutil.copy(ROOT / "tests" / "toy" / "toy-sd1.safetensors", data / "models")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trainer", "ui", "--port", str(port), "--data-dir", str(data), "--device", "cpu"]
    with (data / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    began = time.monotonic()
    while not answers(port):
        assert server.poll() is None, (data / "server.log").read_text()
        assert time.monotonic() - began < 120
        time.sleep(0.2)
    yield Site(f"http://127.0.0.1:{port}/", data)
    server.send_signal(signal.SIGINT)
    assert server.wait(60) in (0, 130), (data / "server.log").read_text()


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield opened
        opened.close()


class Visitor:
    """Somebody at the page."""

    def __init__(self, browser: Any, site: Site, **options: Any) -> None:
        self.troubles: list[str] = []
        self.site = site
        self.page = browser.new_page(**{"viewport": {"width": 1400, "height": 1000}, **options})
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._heed)
        self.open()

    def _heed(self, request: Any) -> None:
        if not request.url.startswith((self.site.address, "data:", "blob:")):
            self.troubles.append(f"asks {request.url}")

    def open(self) -> None:
        self.page.goto(self.site.address)
        self.page.wait_for_selector("#trainyard[data-state]", state="attached")
        self.page.wait_for_function("document.querySelector('#trainyard_model input')?.value")

    def box(self, name: str) -> Any:
        return self.page.locator(f"#trainyard_{name}").locator("textarea, input").first

    def write(self, name: str, text: str) -> None:
        self.box(name).fill(text)
        self.box(name).blur()

    def choose(self, mode: str) -> None:
        """A mode, with its defaults."""
        steps = {"LoRA": "1000", "iLECO": "300", "Difference": "500", "ADDifT": "30"}[mode]
        self.page.click(f"#trainyard_mode label:has(input[value='{mode}'])")
        self.until(lambda: self.box("train_iterations").input_value() == steps)

    def press(self, button: str) -> None:
        self.page.click(f"#trainyard_{button}")

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def message(self, pattern: str) -> None:
        self.until(lambda: re.search(pattern, self.page.locator("#trainyard_message textarea").input_value()))

    def live(self, pattern: str) -> re.Match[str]:
        return self.until(lambda: re.search(pattern, self.page.locator("#trainyard_live").inner_text()))

    def queue(self) -> list[str]:
        return self.page.locator("#trainyard_queue td[data-label=name]").all_inner_texts()

    def row_button(self, name: str, button: str) -> None:
        row = self.page.locator("#trainyard_queue tr", has=self.page.locator(f"td[data-label=name]:text-is('{name}')"))
        row.get_by_role("button", name=button, exact=True).click()

    def until(self, holds: Callable[[], Any]) -> Any:
        began = time.monotonic()
        while True:
            found = holds()
            if found:
                return found
            if time.monotonic() - began > PATIENCE / 1000:
                self.page.screenshot(path=str(self.site.data / "failed.png"), full_page=True)
                raise AssertionError(f"did not come; the page is in {self.site.data / 'failed.png'}")
            self.page.wait_for_timeout(100)


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Callable[..., Visitor]]:
    visitors: list[Visitor] = []

    def visited(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, site, **options))
        return visitors[-1]

    yield visited
    for visitor in visitors:
        assert visitor.troubles == []
        visitor.page.close()


def test_a_mode_shows_its_own_fields(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    for mode, seen, unseen in (
        ("iLECO", "target_prompt", "lora_data_directory"),
        ("ADDifT", "original_image_drop", "image_size"),
        ("Difference", "second", "lora_data_directory"),
        ("LoRA", "lora_data_directory", "target_prompt"),
    ):
        someone.choose(mode)
        someone.page.wait_for_selector(f"#trainyard_{seen}", state="visible")
        assert not someone.page.is_visible(f"#trainyard_{unseen}")
        someone.page.wait_for_selector(f"#trainyard_mode_words .trainyard-for-{mode.lower()}", state="visible")


def test_modes_passed_over_quickly_leave_nothing_behind(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    for mode in ("iLECO", "ADDifT", "Difference"):
        someone.page.click(f"#trainyard_mode label:has(input[value='{mode}'])")
    someone.until(lambda: someone.box("train_iterations").input_value() == "500")
    assert someone.box("network_rank").input_value() == "16"


def test_a_wrong_value_is_marked_beside_its_field_and_unmarked_by_a_preset(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.write("train_iterations", "many")
    note = someone.page.locator("#trainyard_train_iterations .trainyard-wrong")
    someone.until(lambda: note.is_visible() and 'must be a whole number, not "many"' in note.inner_text())
    someone.press("start")
    someone.message("train iterations: must be a whole number")
    someone.write("preset", "ADDifT_Style_XL")
    someone.press("preset_load")
    someone.message("Loaded")
    assert someone.box("train_iterations").input_value() == "30"
    someone.until(lambda: not note.is_visible())


def test_presets_are_saved_loaded_and_deleted(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.choose("iLECO")
    someone.write("original_prompt", "<b>hostile</b>")
    someone.write("preset", "mine")
    someone.press("preset_save")
    someone.message("Saved as mine")
    assert (site.data / "presets" / "mine.json").exists()
    someone.write("original_prompt", "other")
    someone.press("preset_load")
    someone.message("Loaded")
    assert someone.box("original_prompt").input_value() == "<b>hostile</b>"
    someone.press("preset_delete")
    someone.message("Deleted mine")
    assert not (site.data / "presets" / "mine.json").exists()
    someone.page.set_input_files("#trainyard_preset_file input[type=file]", str(ROOT / "presets" / "Difference.json"))
    someone.until(lambda: someone.box("train_iterations").input_value() == "500")


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "presets").glob("*.json")))
def test_every_preset_goes_through_the_form_unchanged(visit: Callable[..., Visitor], site: Site, name: str) -> None:
    someone = visit()
    someone.write("preset", name)
    someone.press("preset_load")
    someone.message("Loaded")
    someone.write("preset", f"again {name}")
    someone.press("preset_save")
    someone.message("Saved as again")
    files = (ROOT / "presets" / f"{name}.json", site.data / "presets" / f"again {name}.json")
    before, after = (json.loads(path.read_text("utf-8")) for path in files)
    # A preset that names no model leaves the one that is chosen.
    assert (before.pop("model"), after.pop("model")) == ("", "toy-sd1.safetensors")
    assert (before.pop("vae") or "None") == after.pop("vae")
    assert after == before


def test_dropped_pictures_become_paths_and_are_compared(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    someone = visit()
    someone.choose("ADDifT")
    Image.new("RGB", (96, 64), "red").save(tmp_path / "original.png")
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "square.png")
    Image.new("RGB", (96, 64), "blue").save(tmp_path / "target.png")
    note = someone.page.locator("#trainyard_pair_note").first
    for name, words in (("square.png", "differ in shape"), ("target.png", "96 × 64 and 96 × 64")):
        for place, file in (("original_image", "original.png"), ("target_image", name)):
            clear = someone.page.locator(f"#trainyard_{place}_drop button[aria-label=Clear]")
            if clear.count():
                clear.click()
            chosen = f"#trainyard_{place}_drop input[type=file]"
            someone.page.wait_for_selector(chosen, state="attached")
            someone.page.set_input_files(chosen, str(tmp_path / file))
            someone.until(lambda place=place: someone.box(place).input_value().endswith(".png"))
        someone.until(lambda words=words: words in note.inner_text())
    with Image.open(someone.box("target_image").input_value()) as kept, Image.open(tmp_path / "target.png") as dropped:
        assert kept.convert("RGB").tobytes() == dropped.tobytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(visit: Callable[..., Visitor], scheme: str) -> None:
    someone = visit(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    for mode in ("ADDifT", "Difference"):
        someone.choose(mode)
        assert someone.page.evaluate("document.documentElement.scrollWidth") == 400
    for tab in ("Queue", "Plot"):
        someone.tab(tab)
        assert someone.page.evaluate("document.documentElement.scrollWidth") == 400


def test_from_two_prompts_to_a_lora(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.choose("iLECO")
    for name, text in (("original_prompt", "red"), ("target_prompt", "blue"), ("image_size", "64")):
        someone.write(name, text)
    someone.write("train_iterations", "5000")
    someone.press("start")
    someone.message("Started iLECO")
    first = int(someone.live(r"step (\d+) of 5000")[1])
    someone.until(lambda: int(someone.live(r"step (\d+) of 5000")[1]) > first)

    someone.open()  # a reload
    assert int(someone.live(r"step (\d+) of 5000")[1]) > first
    someone.until(lambda: someone.box("original_prompt").input_value() == "red")
    for name in ("one", "two"):
        someone.write("save_lora_name", name)
        someone.press("add")
        someone.message(f"{name} waits in the queue at place")
    someone.press("add")
    someone.message("two is taken by job")
    someone.tab("Queue")
    someone.until(lambda: someone.queue() == ["iLECO", "one", "two"])
    someone.row_button("two", "Up")
    someone.until(lambda: someone.queue() == ["iLECO", "two", "one"])
    someone.row_button("one", "Delete")
    someone.until(lambda: someone.queue() == ["iLECO", "two"])

    someone.tab("Train")
    someone.press("pause")
    someone.live("Paused: iLECO")
    someone.press("continue")
    someone.live("Training: iLECO")
    someone.press("stop_and_save")
    someone.live("Saved: .*iLECO.safetensors")
    assert site.loras == ["iLECO"]
    someone.tab("Plot")
    someone.press("plot_draw")
    someone.page.wait_for_selector("#trainyard_plot img")
