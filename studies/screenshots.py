"""Screenshots of the page for its documentation: ``python -m studies.screenshots [NAME …]``.

Every tab and mode, wide and on a telephone, light and dark, into ``docs/screenshots``. The runs in them are
real ones, on the tests' small checkpoint; it takes some minutes. With names, only those are taken.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.helpers.browser import visitor
from tests.helpers.browser.gradios import ROOT
from tests.helpers.browser.site import Site, chromium, served
from tests.helpers.browser.visitor import Visitor
from tests.toy.world import Scene, draw_scene, full_caption, render

FOLDER = ROOT / "docs" / "screenshots"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 860}
MOST_HEIGHT = 1500
"""Of a screenshot, in pixels; what is below is more of the same folded headings."""
SCENE = Scene(colour="red", shape="circle", size="large", place="centre", background="white")


class Photographer:
    def __init__(self, wanted: list[str]) -> None:
        self._wanted = wanted

    def take(self, someone: Visitor, name: str, *, top: bool = False) -> None:
        """Args:
        top: only what is in the window.
        """
        if self._wanted and name not in self._wanted:
            return
        page = someone.page
        page.evaluate("document.activeElement && document.activeElement.blur()")
        someone.until(lambda: page.locator("#trainyard_memory").get_attribute("aria-busy") != "true")
        page.evaluate("window.scrollTo(0, 0)")
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)
        with Image.open(io.BytesIO(page.screenshot(full_page=not top))) as picture:
            cut = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, MOST_HEIGHT)))
        FOLDER.mkdir(exist_ok=True)
        cut.save(FOLDER / f"{name}.webp", quality=80, method=6)
        print(name, flush=True)


def images_in(folder: Path) -> tuple[Path, Path, Path]:
    """A folder of images with captions, and a pair."""
    data, random = folder / "my images", np.random.default_rng(1)
    data.mkdir()
    for number in range(12):
        scene = draw_scene(random)
        picture = Image.fromarray(render(scene, random)).resize((768, 512 if number % 3 else 768))
        picture.save(data / f"picture {number:02}.png")
        if number != 4:
            (data / f"picture {number:02}.txt").write_text(full_caption(scene))
    (data / "broken.png").write_text("no picture")
    pair = []
    for name, colour in (("original", "red"), ("target", "blue")):
        scene = Scene(**{**SCENE.__dict__, "colour": colour})
        pair.append(folder / f"{name}.png")
        Image.fromarray(render(scene)).resize((512, 512), Image.Resampling.BICUBIC).save(pair[-1])
    return data, pair[0], pair[1]


def fill(someone: Visitor, **values: str) -> None:
    for name, text in values.items():
        someone.write(name, text)


def modes(someone: Visitor, photographer: Photographer, folder: Path) -> None:
    data, original, target = images_in(folder)
    someone.until(lambda: someone.box("image_size").input_value() == "64")  # the model has brought its own
    fill(someone, image_size="512", lora_data_directory=str(data), lora_trigger_word="mycat")
    photographer.take(someone, "lora")
    someone.press("data_look")
    someone.until(lambda: "12" in someone.page.locator("#trainyard_data").inner_text())
    loaded = "images => images.length >= 12 && images.every(each => each.complete || each.loading === 'lazy')"
    someone.until(lambda: someone.page.locator("#trainyard_data figure img").evaluate_all(loaded))
    someone.page.wait_for_timeout(1500)
    photographer.take(someone, "data")
    someone.page.get_by_role("button", name="Close", exact=True).first.click()
    room(someone, photographer)
    someone.choose("Difference")
    fill(someone, original_image=str(original), target_image=str(target))
    someone.until(lambda: "differs" in someone.page.locator("#trainyard_pair").inner_text())
    photographer.take(someone, "difference")
    someone.choose("ADDifT")
    photographer.take(someone, "addift")
    someone.page.click("#trainyard_mode label:has(input[value='Multi-ADDifT'])")
    someone.page.wait_for_selector("#trainyard_diff_target_name", state="visible")
    photographer.take(someone, "multi-addift")


def room(someone: Visitor, photographer: Photographer) -> None:
    """The folder of the form in the data room, and back."""
    page = someone.page
    page.get_by_role("button", name="Edit images and captions").click()
    someone.until(lambda: page.locator(".trainyard-room-card").count() == 13)
    someone.until(lambda: "768 × 512" in page.locator(".trainyard-room-card").nth(2).inner_text())
    page.wait_for_timeout(1500)
    photographer.take(someone, "room")
    someone.tab("Train")


def runs(someone: Visitor, photographer: Photographer, site: Site) -> Iterator[str]:
    """Two short runs, then one in progress; yields the state it has reached."""
    someone.choose("iLECO")
    fill(someone, original_prompt="a red circle", target_prompt="a blue circle", image_size="64")
    fill(someone, train_learning_rate="2e-3", save_lora_name="red to blue", train_iterations="100")
    photographer.take(someone, "ileco")
    someone.press("generate_both")
    someone.until(lambda: someone.page.locator("#trainyard_prompts .trainyard-drawn img").count() == 2)
    photographer.take(someone, "ileco-generated")
    someone.press("start")
    someone.run_status("Saved: ")
    someone.page.wait_for_selector("#trainyard[data-state='idle']", state="attached")
    yield "done"
    fill(someone, save_lora_name="red to blue, slowly", train_learning_rate="5e-4", train_iterations="100")
    someone.press("start")
    someone.until(lambda: "red to blue, slowly" in site.loras)
    fill(someone, save_lora_name="red to green", target_prompt="a green circle", train_iterations="20000")
    someone.press("start")
    someone.run_status(r"step [1-9]\d+ of")
    for name in ("with rank 8", "with rank 16"):
        fill(someone, save_lora_name=f"red to green, {name}")
        someone.press("add")
        someone.message("in the queue")
    yield "running"


def try_it(someone: Visitor, photographer: Photographer) -> None:
    fold = someone.page.locator("#trainyard_try details").first
    if fold.get_attribute("open") is None:
        fold.locator("summary").first.click()
    someone.page.fill("#trainyard_try_prompt", "a red circle")
    someone.press("try_draw")
    someone.until(lambda: someone.page.locator("#trainyard_try .trainyard-drawn img").count() >= 5)
    someone.page.set_viewport_size({"width": WIDE["width"], "height": MOST_HEIGHT})
    photographer.take(someone, "try", top=True)
    someone.page.set_viewport_size(WIDE)


LOOKS: dict[str, dict[str, Any]] = {
    "": {"viewport": WIDE},
    "-dark": {"viewport": WIDE, "color_scheme": "dark"},
    "-phone": {"viewport": PHONE},
    "-phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
}


def tabs(someone: Visitor, photographer: Photographer, look: str, folder: Path) -> None:
    """Every tab during a run."""
    someone.run_status(r"step \d+ of")
    someone.until(lambda: someone.box("original_prompt").input_value() == "a red circle")
    photographer.take(someone, f"running{look}", top="phone" in look)
    for tab in ("Queue", "Gallery", "Plot", "Image"):
        someone.tab(tab)
        if tab == "Gallery":
            someone.until(lambda: someone.page.locator("#trainyard_gallery article img").count() >= 2)
            someone.page.wait_for_timeout(1500)
        if tab == "Queue":
            someone.until(lambda: len(someone.queue()) == 5)
        if tab == "Plot":
            someone.until(lambda: someone.page.locator("#trainyard_plot img:visible").count())
            for box in someone.page.locator(".trainyard-plot-list input").all()[:3]:
                box.check()
            someone.page.wait_for_timeout(4000)
        if tab == "Image":
            someone.write("vary_source", str(folder / "original.png"))
            someone.press("vary_show")
            someone.until(lambda: someone.page.locator("#trainyard_vary figure img").count())
        photographer.take(someone, f"{tab.lower()}{look}", top="phone" in look)
    someone.page.close()


def main(wanted: list[str]) -> None:
    photographer = Photographer(wanted)
    visitor.PATIENCE *= 3
    folder = Path(tempfile.gettempdir()) / "trainyard"  # its name is visible in the screenshots
    folder.mkdir()
    try:
        with chromium() as browser, served(folder) as site:
            someone = Visitor(browser, site, viewport=WIDE)
            modes(someone, photographer, folder)
            for state in runs(someone, photographer, site):
                if state == "done":
                    try_it(someone, photographer)
            someone.page.close()
            for look, options in LOOKS.items():
                tabs(Visitor(browser, site, **options), photographer, look, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
