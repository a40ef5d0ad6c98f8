"""What is looked at before a run, in a real Chromium: a pair's difference, a folder's data, variations of an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.more]

HOSTILE = "<img src=x onerror=alert(1)>"


def words(someone: Visitor, part: str, holds: str) -> None:
    someone.until(lambda: holds in someone.page.locator(f"#trainyard_{part}").first.inner_text())


def is_as_wide_as_its_window(someone: Visitor) -> bool:
    return bool(someone.page.evaluate("document.documentElement.scrollWidth === window.innerWidth"))


def has_brought_its_size(someone: Visitor) -> None:
    """The model has; from then on what is typed stays."""
    someone.until(lambda: someone.box("image_size").input_value() == "64")


def press_by_key(someone: Visitor, button: str) -> None:
    """Gradio's buttons and our own can be reached and pressed without a mouse."""
    someone.page.locator(f"#trainyard_{button}").focus()
    assert someone.page.evaluate("document.activeElement.id") == f"trainyard_{button}"
    someone.page.keyboard.press("Enter")


@pytest.mark.parametrize("window", [{}, {"viewport": {"width": 400, "height": 800}, "color_scheme": "dark"}])
def test_a_pair_shows_where_it_differs(
    visit: Callable[..., Visitor], tmp_path: Path, window: dict[str, object]
) -> None:
    original = Image.new("RGB", (320, 160), (90, 90, 90))
    target = original.copy()
    target.paste("white", (0, 0, 32, 160))
    original.save(tmp_path / "a.png")
    target.save(tmp_path / "b.png")
    someone = visit(**window)
    someone.choose("ADDifT")
    typed = someone.box("original_image")  # the drop zone above it says what it is
    assert (typed.get_attribute("aria-label"), typed.get_attribute("placeholder")) == (
        "Original image", "or the path of an image",
    )  # fmt: skip
    someone.write("original_image", str(tmp_path / "a.png"))
    words(someone, "pair", "The image is 320 × 160 pixels")
    someone.write("target_image", str(tmp_path / "b.png"))
    words(someone, "pair", "10 % of the image differs, there by 65 % on average")
    overlay = someone.page.locator("#trainyard_pair img")
    assert overlay.is_visible()
    assert overlay.get_attribute("alt") == "Where the images differ: 10 % of the area"
    assert is_as_wide_as_its_window(someone)
    for written, said in (
        (str(tmp_path / "a.png"), "is the same file"),
        (str(tmp_path / f"{HOSTILE}.png"), f'{HOSTILE}.png" is not there'),
        ("~nobody-of-this-name/b.png", "begins with the home folder of a user who is not known"),
        (str(tmp_path), "is a folder"),
        ("x" * 3000, "is too long for a path"),
    ):
        someone.write("target_image", written)
        words(someone, "pair", said)
        assert not overlay.is_visible()
    assert someone.page.locator(".toast-wrap > *, .toast-body").count() == 0
    someone.write("target_image", "")
    words(someone, "pair", "The image is 320 × 160 pixels")


def test_the_data_of_a_folder_is_looked_at(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    for number in range(30):
        Image.new("RGB", (640, 480), (8 * number, 99, 9)).save(tmp_path / f"{number}.png")
    (tmp_path / "0.txt").write_text(HOSTILE)
    (tmp_path / f"{HOSTILE}.png").write_text("no picture")
    someone = visit()
    has_brought_its_size(someone)
    someone.write("image_size", "512")
    someone.write("lora_data_directory", str(tmp_path))
    someone.write("lora_trigger_word", "sks")
    press_by_key(someone, "data_look")
    words(someone, "data", f"LoRA: what would be trained from {tmp_path}")
    words(someone, "data", f"30 images in {tmp_path}; 1 left out")
    words(someone, "data", "30 samples in 8 steps")
    words(someone, "data", f"{HOSTILE}.png is no image")
    figures = someone.page.locator("#trainyard_data figure")
    someone.until(lambda: figures.count() == 24)
    assert f"sks, {HOSTILE}" in figures.first.inner_text()
    assert "640 × 480 → 512 × 320 · 83 % of it kept" in figures.first.inner_text()
    shown = figures.first.locator("img")
    someone.until(lambda: shown.evaluate("image => image.complete && image.naturalWidth > 0"))
    someone.page.get_by_role("button", name="Next", exact=True).click()
    someone.until(lambda: figures.count() == 6)
    someone.page.get_by_role("button", name="512 × 320: 30").click()
    someone.until(lambda: figures.count() == 24)
    someone.open()  # what was found belongs to the server
    words(someone, "data", "30 images in")
    another = visit()
    another.rounds(2)
    assert not another.page.is_visible("#trainyard_data"), "it has not asked"
    someone.write("lora_data_directory", str(tmp_path / "nowhere"))
    press_by_key(someone, "data_look")
    words(someone, "data", "There is no folder")
    (tmp_path / "empty").mkdir()
    for folder, reason in (("nowhere", "There is no folder"), ("empty", "is empty, and so are its sub-folders")):
        someone.write("lora_data_directory", str(tmp_path / folder))
        someone.press("add")
        words(someone, "message", reason)
    someone.tab("Queue")
    words(someone, "queue", "The queue is empty")
    someone.tab("Train")
    someone.page.get_by_role("button", name="Close", exact=True).click()
    someone.until(lambda: not someone.page.is_visible("#trainyard_data"))


def test_what_was_looked_at_before_the_form_changed_says_so(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    for number in range(2):
        Image.new("RGB", (640, 480), (90, 99, number)).save(tmp_path / f"{number}.png")
    someone = visit()
    outdated = someone.page.locator("#trainyard_data .trainyard-data-outdated")
    grid = someone.page.locator("#trainyard_data .trainyard-data-grid")
    someone.write("lora_data_directory", str(tmp_path))
    has_brought_its_size(someone)
    someone.write("image_size", "512")
    someone.write("train_learning_rate", "as much as you can")  # the data does not depend on it
    someone.press("data_look")
    words(someone, "data", "2 images in")
    someone.page.wait_for_timeout(1500)
    assert not outdated.is_visible()
    assert grid.evaluate("each => getComputedStyle(each).opacity") == "1"
    for name, wrong, right in (("image_size", "256", "512"), ("lora_trigger_word", "zorp", "")):
        someone.write(name, wrong)
        someone.until(outdated.is_visible)
        assert outdated.inner_text() == "The settings have changed since then: look again."
        assert grid.evaluate("each => getComputedStyle(each).opacity") == "0.4"
        someone.write(name, right)
        someone.until(lambda: not outdated.is_visible())
    someone.page.click("#trainyard_section_images .label-wrap")
    mirroring = someone.page.locator("#trainyard_image_mirroring input")
    mirroring.click()
    someone.until(outdated.is_visible)
    someone.press("data_look")
    words(someone, "data", "4 samples (also mirrored)")
    someone.until(lambda: not outdated.is_visible())
    someone.write("image_size", "huge")
    someone.press("data_look")
    words(someone, "data", '"huge" is not a size')
    assert not outdated.is_visible()
    someone.write("image_size", "512")
    someone.until(outdated.is_visible)
    someone.page.locator("#trainyard_data").get_by_role("button", name="Close", exact=True).click()
    someone.until(lambda: not someone.page.is_visible("#trainyard_data"))


def test_pairs_of_a_folder_on_a_phone(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("a_shut", "blue"), ("b", "green")):
        Image.new("RGB", (512, 512), colour).save(tmp_path / f"{name}.png")
    someone = visit(viewport={"width": 400, "height": 800})
    someone.page.click("#trainyard_mode label:has(input[value='Multi-ADDifT'])")
    someone.page.wait_for_selector("#trainyard_diff_target_name", state="visible")
    someone.write("lora_data_directory", str(tmp_path))
    someone.write("diff_target_name", "_shut")
    press_by_key(someone, "data_look")
    words(someone, "data", "1 pair of images")
    words(someone, "data", 'b.png has no target: there is no image "b_shut" beside it')
    words(someone, "data", "a.png → a_shut.png")
    images = someone.page.locator("#trainyard_data figure img")
    someone.until(lambda: images.count() == 2)
    someone.until(lambda: all(each.evaluate("image => image.naturalWidth > 0") for each in images.all()))
    assert is_as_wide_as_its_window(someone)


@pytest.mark.parametrize("window", [{}, {"viewport": {"width": 400, "height": 800}}])
def test_variations_are_looked_at_and_written(
    visit: Callable[..., Visitor], tmp_path: Path, window: dict[str, object]
) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("words")
    before = (tmp_path / "a.png").read_bytes()
    someone = visit(**window)
    someone.tab("Image")
    press_by_key(someone, "vary_show")
    words(someone, "vary", "image file or directory: It is empty")
    someone.write("vary_source", str(tmp_path / "a.png"))
    someone.write("vary_number", "3")
    someone.page.click("#trainyard_vary_fixed_side label:has(input[value='bottom'])")
    press_by_key(someone, "vary_show")
    words(someone, "vary", f"3 images will be written to {tmp_path}, such as these:")
    figures = someone.page.locator("#trainyard_vary figure")
    assert figures.all_inner_texts() == ["a_rot_001.png", "a_rot_002.png", "a_rot_003.png"]
    assert is_as_wide_as_its_window(someone)
    assert list(tmp_path.glob("a_*")) == []
    press_by_key(someone, "vary_write")
    words(someone, "vary", f"Wrote 3 variations of 1 image to {tmp_path}, with seed")
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["a.png", "a.txt", *(f"a_rot_00{n}.{end}" for n in (1, 2, 3) for end in ("png", "txt"))]
    assert (tmp_path / "a.png").read_bytes() == before
    for path in tmp_path.glob("a_rot_*.png"):
        with Image.open(path) as made:
            box = made.getchannel("A").getbbox()
            assert box is not None
            assert box[3] >= 199
    someone.write("vary_source", str(tmp_path / "nowhere"))
    press_by_key(someone, "vary_write")
    words(someone, "vary", "is not there")
    assert figures.count() == 0  # not what was asked for now


def test_a_dropped_picture_is_varied(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "mine.png")
    (tmp_path / "broken.png").write_text("no picture")
    someone = visit()
    someone.tab("Image")
    chosen = "#trainyard_vary_drop input[type=file]"
    someone.page.set_input_files(chosen, str(tmp_path / "broken.png"))
    words(someone, "vary_drop", "broken.png is no image")
    someone.page.set_input_files(chosen, str(tmp_path / "mine.png"))
    someone.until(lambda: someone.box("vary_source").input_value().endswith(".png"))
    shown = someone.page.locator("#trainyard_vary_drop img")
    someone.until(lambda: shown.is_visible())
    assert "is no image" not in someone.page.locator("#trainyard_vary_drop").inner_text()
    press_by_key(someone, "vary_show")
    words(someone, "vary", "5 images will be written")
    assert someone.page.locator("#trainyard_vary figure").count() == 5
    someone.page.get_by_role("button", name="Clear", exact=True).click()
    someone.until(lambda: not shown.is_visible())
    assert someone.box("vary_source").input_value() == ""
