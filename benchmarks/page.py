"""How long lists do in a browser: ``python -m benchmarks.page [--entries 1000] [--rows 100000]``.

From the click on a tab until what it shows has been painted, and what a second costs while the tab stays open. By the
clock, and what the page's main thread worked, which other programs on the machine do not count in; each the median of
several visits. Wants a Chromium, and what the tests want. ``--gradio 4.40.0`` is a page as in that host's version.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.plot import write_logs
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.jobs.store import Store
from trainer.paths import Folders

UNTIL_PAINTED = """([click, seen]) => new Promise((done) => {
    const buttons = [...document.querySelectorAll("#trainyard_tabs > .tab-nav button, #trainyard_tabs [role=tab], "
        + "#trainyard_queue > button")];
    const began = performance.now();
    const look = () => {
        if (!new Function(`return ${seen}`)()) return requestAnimationFrame(look);
        // It is painted after this frame's scripts: what is posted in the next one comes behind that.
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    };
    buttons.find((each) => each.offsetParent && each.textContent.trim().startsWith(click)).click();
    look();
})"""
ROWS = "document.querySelectorAll('#trainyard_queue tbody tr').length >= {}"
PICTURE = "document.querySelector('#trainyard_plot img')?.naturalWidth"
SECONDS = 10

Taken = tuple[float, float]
"""Milliseconds by the clock, and those the main thread worked."""


class Visit:
    """A page that has just been opened."""

    def __init__(self, browser: Any, site: Any) -> None:
        from tests.helpers.browser.visitor import Visitor

        self.page = Visitor(browser, site).page
        self._session = self.page.context.new_cdp_session(self.page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.wait_for_timeout(2000)

    def click(self, button: str, seen: str) -> Taken:
        """Until what is to be seen after it has been painted."""
        before = self._worked()
        taken = self.page.evaluate(UNTIL_PAINTED, [button, seen])
        return taken, self._worked() - before

    def second(self) -> Taken:
        """One of some in which nobody does anything, on the average."""
        self.page.wait_for_timeout(2000)
        before = self._worked()
        self.page.wait_for_timeout(1000 * SECONDS)
        return 1000, (self._worked() - before) / SECONDS

    def ask(self, route: str) -> None:
        self.page.evaluate("(route) => window.trainyard.ask(route, {})", route)

    def _worked(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return next(1000 * each["value"] for each in metrics if each["name"] == "TaskDuration")


def fill_queue(data: Path, entries: int) -> None:
    store = Store(Folders(data, data / "loras", data / "models"))
    given = replace(Settings(), mode="iLECO", model="toy-sd1.safetensors", original_prompt="a red bicycle " * 20)
    given = replace(given, image_size=Size(64, 64), train_iterations=100_000)
    for number in range(entries):
        store.add(replace(given, save_lora_name=f"job {number}"))
    store.close()


def visits(browser: Any, site: Any, entries: int, times: int) -> dict[str, list[Taken]]:
    found: dict[str, list[Taken]] = {}

    def note(what: str, taken: Taken) -> None:
        found.setdefault(what, []).append(taken)

    for number in range(times):
        visit = Visit(browser, site)
        note("the queue, from the click to its rows", visit.click("Queue", ROWS.format(1)))
        note("a second of it", visit.second())
        note("the plot, the first since the start" if not number else "the plot", visit.click("Plot", PICTURE))
        visit.click("Queue", "true")
        visit.page.wait_for_timeout(1000)
        note("the rest of the queue, when asked for", visit.click("Show later", ROWS.format(entries)))
        note("a second of all of it", visit.second())
        visit.page.close()
    visit = Visit(browser, site)
    visit.ask("jobs/1/run")
    visit.click("Queue", ROWS.format(1))
    visit.page.wait_for_function(
        "document.querySelector('#trainyard_queue td[data-label=steps]').innerText.includes('of')"
    )
    for _ in range(times):
        note("a second of it while a run goes on", visit.second())
    visit.click("Show later", ROWS.format(entries))
    for _ in range(times):
        note("a second of all of it while a run goes on", visit.second())
    visit.ask("run/stop")
    visit.page.wait_for_function("document.querySelector('#trainyard').dataset.state === 'idle'")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1000, help="of the queue")
    parser.add_argument("--rows", type=int, default=100_000, help="of the log that is drawn")
    parser.add_argument("--logs", type=int, default=1000, help="beside it")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--gradio", default="", help="its version, if not that of this environment")
    chosen = parser.parse_args()
    try:
        import playwright.sync_api  # noqa: F401
        from _pytest.outcomes import Failed

        from tests.helpers.browser.site import chromium, served
    except ImportError as error:
        sys.exit(f'{error}: install what the tests need (pip install -e ".[test]")')
    try:
        with tempfile.TemporaryDirectory() as folder, chromium() as browser:
            data = Path(folder)
            fill_queue(data, chosen.entries)
            write_logs(data, chosen.rows, chosen.logs)
            with served(data, gradio=chosen.gradio) as site:
                found = visits(browser, site, chosen.entries, chosen.times)
    except Failed as error:  # no Chromium
        sys.exit(str(error))
    print(
        f"{chosen.entries:,} jobs; a log of {chosen.rows:,} rows beside {chosen.logs:,}; load {os.getloadavg()[1]:.1f}"
    )
    print(f"{'':44}{'clock':>10}{'worked':>10}")
    for what, taken in found.items():
        clock, worked = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"{what:44}{clock:10.0f}{worked:10.0f} ms")


if __name__ == "__main__":
    main()
