"""Pictures on the page, in a real Chromium: iLECO's prompts before a run, the LoRA at several strengths after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import NOTHING, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.more]
HOSTILE = "a red circle <img src=x onerror=alert(1)>"
SIZES = "images => images.map(each => each.complete && `${each.naturalWidth}x${each.naturalHeight}`)"


def drawn(someone: Visitor, place: str, count: int) -> list[str]:
    """The captions, once that many images are there in full."""
    images = someone.page.locator(f"#trainyard_{place} .trainyard-drawn img")
    someone.until(lambda: images.evaluate_all(SIZES) == ["64x64"] * count)
    return someone.page.locator(f"#trainyard_{place} .trainyard-drawn figcaption").all_inner_texts()


def sources(someone: Visitor, place: str) -> list[str]:
    images = someone.page.locator(f"#trainyard_{place} .trainyard-drawn img")
    return images.evaluate_all("images => images.map(each => each.src)")


def test_pictures_are_stopped(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.choose("iLECO")
    someone.write("original_prompt", "a red circle")
    someone.write("image_size", "512")  # it never comes to its end, so it may take long
    someone.write("draw_steps", "150")
    someone.press("generate_original")
    stop = someone.page.locator("#trainyard_prompts .trainyard-sheet .trainyard-button")
    someone.until(stop.is_visible)
    stop.click()
    someone.until(lambda: "Stopped." in someone.page.locator("#trainyard_prompts").inner_text())
    assert not stop.is_visible()


def test_without_a_lora_there_is_nothing_to_try_and_no_error(visit: Callable[..., Visitor], site: Site) -> None:
    assert site.loras == []
    page = visit().page
    with page.expect_response("**/trainyard/v1/loras*"):
        page.click("#trainyard_try > details > summary")
    page.wait_for_selector("#trainyard_try_lora option", state="attached")
    page.wait_for_function("document.querySelector('#trainyard_try_size').value === '512, 512'")  # when all is filled
    assert not page.is_visible("#trainyard_try > details > .trainyard-wrong")


def test_prompts_before_a_run_and_strengths_after_it(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    assert not someone.page.is_visible("#trainyard_generate_buttons")
    someone.choose("iLECO")
    someone.press("generate_both")
    problem = someone.page.locator("#trainyard_prompts .trainyard-wrong")
    someone.until(lambda: "original prompt: It is empty" in problem.inner_text())

    someone.write("original_prompt", HOSTILE)
    someone.write("target_prompt", "a blue circle")
    someone.write("image_size", "64")
    someone.write("draw_steps", "2")
    someone.press("generate_both")
    captions = [f"original: “{HOSTILE}”", "target: “a blue circle”"]
    assert drawn(someone, "prompts", 2) == captions
    assert not problem.is_visible()
    both = sources(someone, "prompts")
    someone.press("generate_target")
    assert drawn(someone, "prompts", 1) == captions[1:]
    assert sources(someone, "prompts")[0] not in both
    fresh = visit()  # somebody else's, or the same page reloaded
    fresh.choose("iLECO")
    assert drawn(fresh, "prompts", 1) == captions[1:]

    someone.write("train_iterations", "2")
    someone.write("train_learning_rate", NOTHING)
    someone.write("save_lora_name", "tried")
    someone.press("start")
    someone.run_status("Done: tried")
    someone.until(lambda: someone.page.locator("#trainyard_try_prompt").input_value() == HOSTILE)
    assert someone.page.locator("#trainyard_try_lora").input_value() == "tried"
    someone.page.fill("#trainyard_try_prompt", "a green cross")
    someone.page.fill("#trainyard_try_strengths", "-2, 0, 2, much")
    someone.page.click("#trainyard_try_draw")
    complaint = someone.page.locator("#trainyard_try > details > .trainyard-wrong")
    someone.until(lambda: "strengths: " in complaint.inner_text())
    someone.page.fill("#trainyard_try_strengths", "-2, 0, 2")
    someone.page.fill("#trainyard_try_seed", "9")
    someone.page.click("#trainyard_try_draw")
    assert drawn(someone, "try", 3) == ["-2", "off", "+2"]
    assert not complaint.is_visible()
    note = someone.page.locator("#trainyard_try .trainyard-sheet .trainyard-note:visible")
    assert note.all_inner_texts() == ["tried: “a green cross”"]

    someone.page.locator("#trainyard_try .trainyard-drawn img").first.click()
    assert someone.page.locator("dialog[open] figure").count() == 3
    someone.page.keyboard.press("Escape")
    someone.until(lambda: someone.page.locator("dialog").count() == 0)

    reloaded = visit()
    assert drawn(reloaded, "try", 3) == ["-2", "off", "+2"]


def test_a_done_job_is_tried_from_its_row_while_another_one_runs(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.mode("iLECO")
    for name, text in (("original_prompt", HOSTILE), ("image_size", "64"), ("train_iterations", "2")):
        someone.write(name, text)
    someone.write("train_learning_rate", NOTHING)
    someone.write("save_lora_name", "earlier")
    someone.press("start")
    someone.run_status("Done: earlier")
    panel = someone.page.locator("#trainyard_try")
    strip = panel.locator(".trainyard-kept > figure")
    someone.until(lambda: someone.page.locator("#trainyard_try_lora").input_value() == "earlier")
    someone.until(lambda: not strip.is_visible())  # it stands above, with the run
    latest = someone.page.locator("#trainyard_run_status img")
    earlier = latest.last.get_attribute("src")
    someone.write("save_lora_name", "later")
    someone.press("start")
    someone.run_status("Done: later")
    assert latest.last.get_attribute("src") != earlier, "the browser would show the earlier run's strip"
    shown = latest.last.evaluate("async (each) => (await fetch(each.src)).status")
    assert shown == 200
    someone.write("train_iterations", "100000")
    someone.write("original_prompt", "a cross")
    someone.write("save_lora_name", "endless")
    someone.press("start")
    someone.run_status("Training: endless")
    someone.run_status("Done: later")  # whose place it has taken
    someone.page.get_by_role("button", name="Try it: later").click()
    someone.until(lambda: someone.page.locator("#trainyard_try_lora").input_value() == "later")

    fresh = visit()
    fresh.tab("Queue")
    fresh.row_button("earlier", "Try it")
    panel = fresh.page.locator("#trainyard_try")
    strip = panel.locator(".trainyard-kept > figure")
    fresh.until(strip.is_visible)
    assert fresh.page.locator("#trainyard_try_lora").input_value() == "earlier"
    assert fresh.page.locator("#trainyard_try_prompt").input_value() == HOSTILE
    assert strip.inner_text() == f"From the end of its run: “{HOSTILE}” at strength −1, 0 and +1"
    fresh.until(lambda: strip.locator("img").evaluate("each => each.complete && each.naturalWidth") == 3 * 64 + 2 * 4)
    fresh.until(lambda: "can be made once it has ended or is paused" in panel.inner_text())
    fresh.page.fill("#trainyard_try_prompt", "mine")
    assert fresh.page.is_disabled("#trainyard_try_draw")
    described = fresh.page.get_attribute("#trainyard_try_draw", "aria-describedby")
    assert fresh.page.is_visible(f"[id='{described}']")
    generating = someone.page.locator("#trainyard_generate_buttons button")
    someone.until(lambda: generating.evaluate_all("buttons => buttons.map(each => each.disabled)") == [True] * 3)
    note = someone.page.locator(f"[id='{generating.first.get_attribute('aria-describedby')}']")
    assert "once it has ended or is paused" in note.inner_text()
    below = note.bounding_box()["y"] - generating.last.bounding_box()["y"]
    assert 0 < below < 80, "the note stands beside the buttons, above their fields"
    someone.press("pause")
    someone.run_status("Paused: endless")
    someone.until(lambda: generating.first.is_enabled())
    assert generating.first.get_attribute("aria-describedby") is None
    someone.press("continue")
    someone.until(lambda: generating.first.is_disabled())
    fresh.tab("Queue")
    fresh.row_button("earlier", "Try it")  # which is chosen already
    fresh.page.wait_for_timeout(1000)
    assert fresh.page.locator("#trainyard_try_prompt").input_value() == "mine"

    fresh.press("stop_and_save")
    fresh.run_status("Stopped: endless")
    fresh.page.wait_for_timeout(1500)  # the end of a run takes nothing from whoever looks at another LoRA
    assert fresh.page.locator("#trainyard_try_lora").input_value() == "earlier"
    assert not panel.get_by_text("once it has ended or is paused").is_visible()
    fresh.page.fill("#trainyard_try_strengths", "0, 1")
    fresh.page.click("#trainyard_try_draw")
    assert drawn(fresh, "try", 2) == ["off", "+1"]
    assert strip.is_visible()

    (site.data / "loras" / "earlier.safetensors").unlink()
    fresh.tab("Queue")
    row = fresh.page.locator("#trainyard_queue tr", has=fresh.page.locator("td[data-label=name]:text-is('earlier')"))
    fresh.until(lambda: "Try it" not in row.inner_text())
