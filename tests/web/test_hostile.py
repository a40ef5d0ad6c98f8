"""Whatever comes from users or from files is text on the page, never HTML: tried in every place at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.browser.gradios import ROOT
from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import Visitor
from tests.web.api.test_plots import write_log

pytestmark = [pytest.mark.browser, pytest.mark.more]
BAD = "<img src=x onerror=window.hacked=1><b>bold</b>"
FILE = "<img src=x onerror=window.hacked=1><b>bold"
NAME = "&lt;b&gt;&#60;img src=x onerror=window.hacked=1&#62;"  # no letter in it that a file name must not have


def folder_of_pictures(folder: Path) -> Path:
    folder.mkdir()
    Image.new("RGB", (96, 96), "red").save(folder / f"{FILE}.png")
    (folder / f"{FILE}.txt").write_text(f"a cat, {BAD}")
    (folder / f"{FILE} two.png").write_text("no picture")
    return folder


def files_of_strangers(data: Path) -> None:
    """What somebody may have downloaded, or unpacked into the folders."""
    for name in ("presets", "loras"):
        (data / name).mkdir(exist_ok=True)
    shutil.copy(ROOT / "presets" / "iLECO.json", data / "presets" / f"{FILE}.json")
    (data / "models" / f"{FILE}.safetensors").write_bytes(b"junk")
    (data / "loras" / f"{FILE}.safetensors").write_bytes(b"junk")
    write_log(data / "runs" / "20261121" / f"{FILE}-20261121_090000.csv", 1e9)


def assert_harmless(someone: Visitor) -> None:
    someone.page.wait_for_timeout(300)  # a picture that cannot be loaded tells so a little later
    assert someone.page.evaluate("window.hacked") is None
    assert someone.page.locator("img[src='x']").count() == 0
    assert someone.page.locator("b:text-is('bold')").count() == 0


def test_hostile_text_is_shown_as_text(visit: Callable[..., Visitor], site: Site, tmp_path: Path) -> None:
    files_of_strangers(site.data)
    someone = visit()
    page = someone.page

    def shows(part: str, text: str) -> None:
        someone.until(lambda: text in page.locator(f"#trainyard_{part}").first.inner_text())
        assert_harmless(someone)

    # Names that the folders have, and a preset of such a name, which could not be one elsewhere.
    someone.write("preset", FILE)
    someone.press("preset_load")
    someone.message("There is no such preset")
    assert_harmless(someone)
    someone.write("preset", BAD)
    someone.press("preset_save")
    someone.message("must not")
    assert_harmless(someone)

    # Prompts and the name of a job, which trains as well as any other.
    someone.choose("iLECO")
    someone.write("model", "toy-sd1.safetensors")
    for name, text in (("image_size", "64"), ("train_iterations", "3")):
        someone.write(name, text)
    someone.write("original_prompt", BAD)
    someone.write("target_prompt", f"blue {BAD}")
    someone.write("save_lora_name", BAD)
    someone.press("start")
    someone.message("save lora name: It must not contain")
    someone.write("save_lora_name", NAME)
    someone.press("start")
    someone.message("Started")
    someone.run_status("Saved: .*onerror")
    shows("run_status", NAME)
    shows("run_status", BAD)  # the prompt of the strip

    # A model of a hostile name, which no run can read.
    someone.write("model", f"{FILE}.safetensors")
    shows("model_note", FILE)
    someone.write("save_lora_name", "unread")
    someone.press("start")
    someone.run_status("Failed: unread")
    shows("run_status", FILE)

    # A folder's captions and file names.
    page.click("#trainyard_mode label:has(input[value=LoRA])")
    someone.write("lora_trigger_word", BAD)
    someone.write("lora_data_directory", str(folder_of_pictures(tmp_path / FILE)))
    someone.press("data_look")
    shows("data", f"{FILE} two.png")
    shows("data", f"a cat, {BAD}")

    for tab, part, text in (("Queue", "queue", NAME), ("Queue", "queue", FILE), ("Plot", "plot", FILE)):
        someone.tab(tab)
        shows(part, text)
    someone.open()
    for tab in ("Train", "Queue", "Plot", "Image"):
        someone.tab(tab)
        assert_harmless(someone)
