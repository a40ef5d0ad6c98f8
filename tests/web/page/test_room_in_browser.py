"""The data room in a real Chromium: images come in, captions are edited in place, tags changed, hundreds scroll."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.more]

HOSTILE = "<img src=x onerror=alert(1)>"
DROP = """([selector, name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.querySelector(selector).dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
}"""


def zipped(count: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(count):
            image = io.BytesIO()
            Image.new("RGB", (80, 48 + number % 40), (5 * number % 255, 99, 9)).save(image, "PNG")
            archive.writestr(f"zorps/{number:04}.png", image.getvalue())
            if number % 2:
                archive.writestr(f"zorps/{number:04}.txt", f"zorp, tag {number % 5}")
    return content.getvalue()


def card(someone: Visitor, name: str) -> Any:
    return someone.page.locator(f"#trainyard_room .trainyard-room-card:has(.trainyard-room-name:text-is('{name}'))")


def status(someone: Visitor, holds: str) -> None:
    shown = someone.page.locator("#trainyard_room > .trainyard-room-status")
    someone.until(lambda: holds in shown.inner_text())


def button(someone: Visitor, name: str) -> Any:
    return someone.page.locator("#trainyard_room").get_by_role("button", name=name)


def test_a_zip_is_dropped_captioned_and_used(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    page = someone.page
    someone.mode("LoRA")
    someone.until(lambda: page.locator("#trainyard_room_pick .trainyard-room-drop").is_visible())
    page.evaluate(DROP, ["#trainyard_room_pick .trainyard-room-drop", "zorps.zip", list(zipped(120))])
    someone.until(lambda: someone.box("lora_data_directory").input_value())
    folder = Path(someone.box("lora_data_directory").input_value())
    assert folder.parent == someone.site.data / "images"
    assert "120 images came in, 60 captions with them" in page.locator("#trainyard_room_pick").inner_text()
    someone.until(lambda: page.locator("#trainyard_room_pick .trainyard-room-strip img").count() == 8)
    page.get_by_role("button", name="Edit images and captions").click()
    someone.until(lambda: card(someone, "0000.png").is_visible())
    assert page.locator(".trainyard-room-card").count() < 70, "only what is in sight exists"
    picture = card(someone, "0000.png").locator("img")
    someone.until(lambda: picture.evaluate("image => image.complete && image.naturalWidth > 0"))
    someone.until(lambda: "80 × 48" in card(someone, "0000.png").inner_text())

    # A caption is saved as it is typed, and Ctrl and Enter go on to the next one.
    card(someone, "0000.png").locator("textarea").fill(f"zorp, {HOSTILE}")
    someone.until(lambda: card(someone, "0000.png").locator(".trainyard-room-state").inner_text() == "saved")
    assert (folder / "0000.txt").read_text() == f"zorp, {HOSTILE}"
    page.keyboard.press("Control+Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Caption of 0001.png"
    page.keyboard.press("End")
    page.keyboard.type(", x")
    page.keyboard.press("Control+Enter")  # it is left before it was saved
    someone.until(lambda: (folder / "0001.txt").read_text() == "zorp, tag 1, x")

    # What is shown is what is changed, and undone.
    chip = button(someone, "tag 3")
    chip.click()
    someone.until(lambda: "12 of 120 shown" in page.locator(".trainyard-room-count").inner_text())
    page.get_by_label("tags, with commas between them").fill("smile, small")
    button(someone, "Put in front").click()
    status(someone, "12 captions changed")
    assert (folder / "0003.txt").read_text() == "smile, small, zorp, tag 3"
    assert (folder / "0007.txt").read_text() == "zorp, tag 2"
    assert card(someone, "0003.png").locator("textarea").input_value() == "smile, small, zorp, tag 3"
    button(someone, "Undo").click()
    status(someone, "Undone")
    assert (folder / "0003.txt").read_text() == "zorp, tag 3"
    button(someone, "tag 3").click()

    # Set aside and brought back; nothing is gone.
    card(someone, "0002.png").hover()
    card(someone, "0002.png").get_by_role("button", name="Set 0002.png aside").click()
    status(someone, "1 image set aside")
    assert (folder / ".aside" / "0002.png").is_file()
    button(someone, "Set aside 1").click()
    card(someone, "0002.png").hover()
    card(someone, "0002.png").get_by_role("button", name="Bring 0002.png back").click()
    status(someone, "brought back")
    assert (folder / "0002.png").is_file()
    button(someone, "All 120").click()

    # The last one is reached, seen large, and the set is used.
    page.locator(".trainyard-room-scroll").evaluate("scroll => scroll.scrollTop = scroll.scrollHeight")
    someone.until(lambda: card(someone, "0119.png").is_visible())
    card(someone, "0119.png").get_by_role("button", name="Show 0119.png large").click()
    dialog = page.locator("dialog.trainyard-room-large")
    someone.until(lambda: dialog.locator("img").evaluate("image => image.complete && image.naturalWidth === 80"))
    dialog.get_by_role("button", name="Paint a mask").click()
    box = dialog.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 5, steps=3)
    page.mouse.up()
    dialog.get_by_role("button", name="Save mask").click()
    someone.until(lambda: (folder / "0119-masklabel.png").is_file())
    with Image.open(folder / "0119-masklabel.png") as mask:
        assert mask.getextrema() == (0, 255)
        assert mask.getpixel((20, 5)) == 0, "what is painted does not count"
    dialog.get_by_role("button", name="Previous").click()
    assert "0118.png" in dialog.inner_text()
    page.keyboard.press("Escape")
    button(someone, "Use for training").click()
    someone.until(lambda: page.locator("#trainyard_start").is_visible())
    assert someone.box("lora_data_directory").input_value() == str(folder)
    someone.until(lambda: "120 images, 61 with a caption" in page.locator("#trainyard_room_pick").inner_text())


def test_the_room_fits_a_phone_and_forgets_nothing_on_reload(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / f"{HOSTILE}.png")
    someone = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    someone.tab("Data")
    page = someone.page
    page.get_by_text("New set, or another folder").click()
    page.get_by_label("path of a folder on this machine").fill(str(tmp_path / "nowhere"))
    page.locator("#trainyard_room").get_by_role("button", name="Open", exact=True).click()
    someone.until(lambda: "Folder of images" in page.locator("#trainyard_room > .trainyard-wrong").inner_text())
    page.get_by_label("path of a folder on this machine").fill(str(tmp_path))
    page.keyboard.press("Enter")
    text = page.locator(".trainyard-room-caption")
    someone.until(lambda: text.count() == 1)
    assert HOSTILE in page.locator(".trainyard-room-card").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth === window.innerWidth")
    text.fill("typed")
    page.evaluate("document.activeElement.blur()")
    someone.until(lambda: (tmp_path / f"{HOSTILE}.txt").is_file())
    someone.open()
    someone.tab("Data")
    someone.until(lambda: page.locator(".trainyard-room-choice option").count() > 1)
    page.locator(".trainyard-room-choice select").select_option(label=str(tmp_path))
    someone.until(lambda: text.count() == 1 and text.input_value() == "typed")
