"""A long queue in a real Chromium: parts of it are shown, all can be reached, and only what changes is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import Visitor
from trainer.config.settings import Settings
from trainer.jobs.store import DONE, Store
from trainer.paths import Folders

pytestmark = [pytest.mark.browser, pytest.mark.more]
ENDED, WAITING = [f"ended {number}" for number in range(70)], [f"job {number}" for number in range(120)]
GIVEN = replace(Settings(), mode="iLECO", model="toy-sd1.safetensors", original_prompt="red")
WATCH = """() => {
    const body = document.querySelector("#trainyard_queue tbody");
    window.rows = [...body.rows];
    window.touched = new Set();
    window.watching?.disconnect();
    window.watching = new MutationObserver((records) => {
        for (const record of records) for (const node of [record.target, ...record.addedNodes]) {
            const row = node.closest ? node.closest("tr") : node.parentElement.closest("tr");
            if (row) window.touched.add(row.querySelector("[data-label=name]").textContent);
        }
    });
    window.watching.observe(body, {childList: true, characterData: true, attributes: true, subtree: true});
}"""


@pytest.fixture
def store(site: Site) -> Any:
    opened = Store(Folders(site.data, site.data / "loras", site.data / "models"))
    lease = opened.lease()
    for name in ENDED:
        number = opened.add(replace(GIVEN, save_lora_name=name)).id
        opened.claim(lease, number)
        opened.finish(number, lease, DONE)
    for name in WAITING:
        opened.add(replace(GIVEN, save_lora_name=name))
    yield opened
    lease.end()
    opened.close()


def test_a_long_queue_is_shown_in_parts_and_only_what_changes_is_written(
    visit: Callable[..., Visitor], store: Store
) -> None:
    someone = visit()
    someone.tab("Queue")
    someone.until(lambda: someone.queue() == ENDED[65:] + WAITING[:50])
    page = someone.page
    text = page.locator("#trainyard_queue").inner_text()
    assert "120 jobs are waiting" in text
    earlier = page.get_by_role("button", name="Show earlier jobs (65)")
    assert earlier.is_visible()
    assert page.get_by_role("button", name="Show later jobs (70)").is_visible()

    later = page.locator("#trainyard_queue > button").last
    while later.is_visible():  # scrolling alone brings them
        shown = len(someone.queue())
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 100_000)
        someone.until(lambda shown=shown: len(someone.queue()) > shown or not later.is_visible())
    assert someone.queue() == ENDED[65:] + WAITING
    earlier.click()
    someone.until(lambda: someone.queue() == ENDED + WAITING)
    assert not earlier.is_visible()

    # Another program gives one of them other settings, moves one, and takes one off.
    numbers = {entry.name: entry.id for entry in store.entries()}
    page.evaluate(WATCH)
    store.edit(numbers["job 7"], replace(GIVEN, save_lora_name="job 7", train_iterations=77))
    steps = page.locator("#trainyard_queue tr", has_text="job 7").first.locator("td[data-label=steps]")
    someone.until(lambda: steps.inner_text() == "77")
    assert page.evaluate("[...touched]") == ["job 7"]
    store.shift(numbers["job 8"], -1)
    someone.until(lambda: someone.queue()[77:79] == ["job 8", "job 7"])
    assert set(page.evaluate("[...touched]")) == {"job 7", "job 8"}
    assert page.evaluate(
        "[...document.querySelectorAll('#trainyard_queue tbody tr')].every((row) => rows.includes(row))"
    )
    store.delete(numbers["ended 3"])
    someone.until(lambda: someone.queue() == [*ENDED[:3], *ENDED[4:], *WAITING[:7], "job 8", "job 7", *WAITING[9:]])
    assert set(page.evaluate("[...touched]")) == {"job 7", "job 8"}
