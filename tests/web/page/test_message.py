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
        someone.page.wait_for_timeout(3500)
        assert someone.told() == answer
        someone.page.evaluate(LATER)
        someone.until(lambda: not someone.told())
        someone.write("preset", "mine")
    someone.press("preset_save")
    someone.message("There is a preset of that name")
    someone.page.evaluate(LATER)
    someone.page.wait_for_timeout(3500)
    assert someone.told(), "that is for somebody to mend"
    someone.press("preset_delete")
    someone.message("Deleted mine.")


def test_what_is_wrong_stays_until_somebody_has_gone_on(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.choose("iLECO")
    for _ in range(2):
        someone.press("start")
        someone.message("original prompt: It is empty")
        someone.page.wait_for_timeout(3500)
        someone.page.evaluate(LATER)
        someone.page.wait_for_timeout(3500)
        someone.write("train_iterations", "7")
        someone.page.wait_for_timeout(3500)
        assert "original prompt: It is empty" in someone.told()
        someone.page.evaluate(LATER)
        someone.until(lambda: not someone.told())
