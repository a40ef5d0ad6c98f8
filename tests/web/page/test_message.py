"""The message line in a real Chromium: nothing stands there long after other things have happened."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.more]
LATER = "(() => {const now = performance.now.bind(performance); performance.now = () => now() + 60000;})()"


def test_what_is_told_has_its_time(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.write("preset", "mine")
    for button, answer in (("save", "Saved as mine."), ("delete", "Deleted mine."), ("save", "Saved as mine.")):
        someone.press(f"preset_{button}")
        someone.message(answer)
        someone.refresh()
        assert someone.told() == answer
        someone.page.evaluate(LATER)
        someone.until(lambda: not someone.told())
        someone.write("preset", "mine")
    someone.press("preset_save")
    someone.message("There is a preset of that name")
    someone.page.evaluate(LATER)
    someone.refresh()
    assert someone.told(), "that is for somebody to mend"
    someone.press("preset_delete")
    someone.message("Deleted mine.")


def test_what_is_wrong_stays_until_somebody_has_gone_on(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.choose("iLECO")
    for _ in range(2):
        someone.press("start")
        someone.message("original prompt: It is empty")
        someone.refresh()
        someone.page.evaluate(LATER)
        someone.refresh()
        someone.write("train_iterations", "7")
        someone.refresh()
        assert "original prompt: It is empty" in someone.told()
        someone.page.evaluate(LATER)
        someone.until(lambda: not someone.told())
    someone.press("start")
    someone.message("original prompt: It is empty")
    someone.refresh()
    someone.write("original_prompt", "red")
    someone.until(lambda: not someone.told())


def test_a_field_that_the_basic_view_hides_is_shown_where_it_is_wrong(visit: Callable[..., Visitor]) -> None:
    someone = visit(view="basic")
    someone.mode("ADDifT")
    someone.press("start")
    someone.message("original image: It is empty")
    someone.refresh()
    assert someone.page.get_attribute("#trainyard", "data-view") == "basic", "the boxes to drop images are in sight"

    someone.page.evaluate("window.trainyard.showView('all')")
    someone.mode("iLECO")
    someone.write("original_prompt", "red")
    someone.write("train_iterations", "99999999999")
    someone.page.evaluate("window.trainyard.showView('basic')")
    someone.press("start")
    someone.message("train iterations: It must be")
    someone.until(lambda: someone.page.is_visible("#trainyard_train_iterations"))

    someone.page.evaluate("window.trainyard.reveal('slider_positive')")
    someone.write("train_iterations", "2")
    someone.write("slider_positive", "high\nhigher")  # which is wrong beside one prompt: Start alone says so
    someone.page.evaluate("window.trainyard.showView('basic')")
    someone.until(lambda: not someone.page.is_visible("#trainyard_slider_positive"))
    someone.press("start")
    someone.message("slider positive: It has 2 lines")
    someone.until(lambda: someone.page.is_visible("#trainyard_slider_positive"))


def test_what_is_said_of_a_runs_end_goes_soon_after_it(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    run = {
        "job": {"id": 7, "name": "cat", "mode": "LoRA"}, "state": "running", "path": "", "step": 3, "steps": 9,
        "done": 3, "total": 9, "phase": "", "number": 1, "seconds": 4.0, "rates": [], "curve": [], "account": [],
        "pictures": [], "warnings": [], "saved": [], "effect": None, "message": "",
    }  # fmt: skip
    status = {"running": True, "pausing": False, "queue_started": False, "problem": "", "run": run}
    someone.page.route("**/trainyard/v1/status", lambda route: route.fulfill(json=status))
    someone.run_status("cat")
    someone.page.evaluate("""() => {
        const said = '<div class="trainyard-told trainyard-ending" data-at="1">Stopping.</div>';
        document.getElementById("trainyard_message").innerHTML = said;
    }""")
    soon = LATER.replace("60000", "10000")
    someone.refresh()
    someone.page.evaluate(soon)
    someone.refresh()
    assert someone.told() == "Stopping.", "it has not stopped yet"
    run["job"] = {"id": 8, "name": "dog", "mode": "LoRA"}  # the next one of the queue
    someone.until(lambda: not someone.told())
